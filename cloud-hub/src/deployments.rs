//! Deployments: *this release to these nodes*. A change is decided by a pure function ([`decide`]) on what is stored,
//! committed together with its event, and then carried to the nodes by [`crate::desired`].

mod error;

use std::collections::BTreeMap;
use std::time::Duration;

use shared::assign::Target;
use shared::fault::{Fault, hub};
use shared::id::{Digest, Name};
use shared::oci::Platform;
use shared::state::APPS_MAX;
use shared::time::UnixMillis;

pub use error::DeployError;

use crate::catalog::Entry;
use crate::desired::Scope;
use crate::fleet::Wanted;
use crate::hub::{Hub, PAGE};
use crate::records::{self, DEPLOYMENTS, Deployment, HUB, NODES, Past, Stored, key, name_of};
use crate::store::{Change, Expect, StoreError};

/// Entries of a deployment's history.
pub const HISTORY_MAX: usize = 20;
/// Most deployments of one hub.
pub const DEPLOYMENTS_MAX: usize = 4096;
/// Most nodes that one deployment names.
pub const NAMED_NODES_MAX: usize = 10_000;
/// Most labels of a selector.
pub const SELECTOR_MAX: usize = 32;
/// How long a change waits for the nodes' desired states to be signed; later they are signed all the same.
const SETTLE: Duration = Duration::from_secs(10);

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The app.
    pub app: Name,
    /// The release's id.
    pub release: Digest,
    /// Its version.
    pub version: String,
    /// Where.
    pub target: Target,
    /// Run it, or have it on disk and stopped.
    pub run: bool,
    /// Have it on disk for later, whatever of the app runs meanwhile.
    pub prefetch: bool,
    /// A new revision even if nothing changed.
    pub redeploy: bool,
}

/// What follows from a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Same,
    /// The record under its present revision: only the nodes differ.
    Retarget(Deployment),
    /// The record under a new revision.
    Deploy(Deployment),
    /// The deployment is one of another app.
    OtherApp(Name),
    /// A deployment that runs is no prefetch, and the other way round: its nodes would stop the app.
    OtherKind,
}

/// Decides; `revision` is the next free one.
pub fn decide(current: Option<&Deployment>, request: Request, revision: u64, by: &str, now: UnixMillis) -> Decision {
    let Request { app, release, version, target, run, prefetch, redeploy } = request;
    if let Some(current) = current {
        if current.app != app {
            return Decision::OtherApp(current.app.clone());
        }
        if current.prefetch != prefetch {
            return Decision::OtherKind;
        }
        // A prefetch that is asked for again is asked for now: something of the app may have been deployed in between.
        if (current.release, current.run) == (release, run) && !redeploy && !prefetch {
            return if current.target == target {
                Decision::Same
            } else {
                Decision::Retarget(Deployment { target, updated: now, ..current.clone() })
            };
        }
    }
    let mut history = vec![Past { revision, release, version: version.clone(), run, at: now, by: by.to_owned() }];
    history.extend(current.into_iter().flat_map(|current| current.history.iter().cloned()));
    history.truncate(HISTORY_MAX);
    let created = current.map_or(now, |current| current.created);
    Decision::Deploy(Deployment { app, release, version, target, run, prefetch, revision, created, updated: now, history })
}

/// The entry a rollback goes to: the newest of another release than the present one, or the one that is named by
/// `to`, an id or a version.
pub fn rollback_entry<'a>(current: &'a Deployment, to: Option<&str>) -> Option<&'a Past> {
    let named = |past: &&Past| match to {
        None => past.release != current.release,
        Some(to) => past.version == to || past.release.to_string() == to,
    };
    current.history.iter().find(named)
}

impl Hub {
    /// Every deployment with the revision of its record.
    pub async fn all_deployments(&self) -> Result<Vec<(Name, Deployment, u64)>, StoreError> {
        self.all(DEPLOYMENTS).await
    }

    /// One deployment with the revision of its record.
    pub async fn deployment(&self, name: &Name) -> Result<(Deployment, u64), DeployError> {
        let found = self.record(&key(DEPLOYMENTS, name)).await?;
        found.ok_or_else(|| DeployError::NotFound { name: name.clone() })
    }

    /// Makes or changes the deployment `name`; `seen` is the revision of the record the caller looked at. Returns the
    /// record, its revision, and whether anything changed.
    pub async fn deploy(
        &self,
        name: &Name,
        request: Request,
        seen: Option<u64>,
        by: &str,
    ) -> Result<(Deployment, u64, bool), DeployError> {
        if let Some(why) = target_problem(&request.target) {
            return Err(DeployError::BadTarget { why });
        }
        self.check_fit(&request).await?;
        let changing = self.changing.lock().await;
        // It may have been taken back since it was looked at.
        if self.release(request.release).await?.is_none() {
            return Err(DeployError::Vanished { release: request.release });
        }
        let current = self.record::<Deployment>(&key(DEPLOYMENTS, name)).await?;
        check_seen(name, seen, current.as_ref().map(|(_, revision)| *revision))?;
        if current.is_none() && self.all_deployments().await?.len() >= DEPLOYMENTS_MAX {
            return Err(DeployError::TooMany);
        }
        let (hub, hub_revision) = self.own_record().await?;
        let next = hub.revision.saturating_add(1);
        let (record, mut changes, what) = match decide(current.as_ref().map(|(record, _)| record), request, next, by, self.now())
        {
            Decision::OtherApp(app) => return Err(DeployError::OtherApp { name: name.clone(), app }),
            Decision::OtherKind => return Err(DeployError::OtherKind { name: name.clone() }),
            Decision::Same => {
                return current
                    .map(|(record, revision)| (record, revision, false))
                    .ok_or_else(|| DeployError::NotFound { name: name.clone() });
            }
            Decision::Retarget(record) => (record, Vec::new(), &hub::RETARGETED),
            Decision::Deploy(record) => {
                let counted = records::Hub { revision: next, ..hub };
                let what = if record.prefetch { &hub::PREFETCHED } else { &hub::DEPLOYED };
                (record, vec![Change::replace(HUB, hub_revision, counted.encode())], what)
            }
        };
        let expect = current.map_or(Expect::Absent, |(_, revision)| Expect::Revision(revision));
        changes.push(Change { key: key(DEPLOYMENTS, name), expect, value: Some(record.encode()) });
        let what = Fault::new(what)
            .with("deployment", name)
            .with("app", &record.app)
            .with("version", &record.version)
            .with("revision", record.revision)
            .with("by", by);
        let revision = self.store.commit(changes, vec![self.event(None, Some(&record.app), by, what)]).await?;
        drop(changing);
        self.assign_now(Scope::All).await;
        Ok((record, revision, true))
    }

    /// Goes back to an earlier release, under a new revision. What it goes back from is what is read here: who changes or
    /// removes the deployment meanwhile wins, and is not undone.
    pub async fn rollback(
        &self,
        name: &Name,
        to: Option<&str>,
        seen: Option<u64>,
        by: &str,
    ) -> Result<(Deployment, u64, bool), DeployError> {
        let (current, revision) = self.deployment(name).await?;
        let Some(past) = rollback_entry(&current, to) else {
            return Err(DeployError::NoEarlier { name: name.clone(), to: to.unwrap_or_default().to_owned() });
        };
        let request = Request {
            app: current.app.clone(),
            release: past.release,
            version: past.version.clone(),
            target: current.target.clone(),
            run: past.run,
            prefetch: current.prefetch,
            redeploy: true,
        };
        self.deploy(name, request, seen.or(Some(revision)), by).await
    }

    /// Takes a deployment away: its nodes stop and remove the app (unless another deployment brings it); volumes stay.
    pub async fn undeploy(&self, name: &Name, seen: Option<u64>, by: &str) -> Result<(), DeployError> {
        let changing = self.changing.lock().await;
        let (record, revision) = self.deployment(name).await?;
        check_seen(name, seen, Some(revision))?;
        let what = Fault::new(&hub::UNDEPLOYED).with("deployment", name).with("app", &record.app).with("by", by);
        let change = Change::delete(key(DEPLOYMENTS, name), Expect::Revision(revision));
        self.store.commit(vec![change], vec![self.event(None, Some(&record.app), by, what)]).await?;
        drop(changing);
        self.assign_now(Scope::All).await;
        Ok(())
    }

    /// Has the nodes' desired states follow, and waits for it a while.
    pub(crate) async fn assign_now(&self, scope: Scope) {
        let asked = self.assigner.ask(scope);
        if !self.assigner.settled(asked, SETTLE).await {
            tracing::warn!("desired states are not signed yet; that goes on in the background");
        }
    }

    /// Whether the nodes it goes to can take it: an image for their platform, and room for one more app.
    async fn check_fit(&self, request: &Request) -> Result<(), DeployError> {
        let nodes = self.covered(&request.target).await?;
        let Some(release) = self.whole_release(request.release).await? else {
            return Err(DeployError::Vanished { release: request.release });
        };
        let fleet = self.fleet();
        let lives = || nodes.iter().filter_map(|name| Some((name, fleet.nodes.get(name)?)));
        let platforms: BTreeMap<&Name, &Platform> =
            lives().filter_map(|(name, life)| Some((name, &life.report.as_ref()?.facts.platform))).collect();
        error::platforms_fit(&release, &request.target, &platforms)?;
        let is_full = |wanted: &Wanted| {
            let apps = if request.prefetch { &wanted.next } else { &wanted.apps };
            apps.len() >= APPS_MAX && !apps.contains_key(&request.app)
        };
        match lives().find(|(_, life)| life.wanted.as_deref().is_some_and(is_full)) {
            Some((node, _)) => Err(DeployError::NodeFull { node: node.clone() }),
            None => Ok(()),
        }
    }

    /// The enrolled nodes a target covers now. Revoked ones say nothing any more that could matter.
    async fn covered(&self, target: &Target) -> Result<Vec<Name>, StoreError> {
        let mut covered = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.store.list(NODES, after.as_deref(), PAGE).await?;
            for (key, record) in &page {
                let (name, node) = (name_of(NODES, key)?, records::Node::decode(key, &record.value)?);
                if !node.revoked && target.covers(&name, &node.labels) {
                    covered.push(name);
                }
            }
            match page.last() {
                Some((key, _)) => after = Some(key.clone()),
                None => return Ok(covered),
            }
        }
    }
}

/// The request of somebody who named a release.
pub fn request(entry: &Entry, target: Target, run: bool, redeploy: bool) -> Request {
    let records::Release { app, version, .. } = &entry.record;
    let (app, version) = (app.clone(), version.clone());
    Request { app, release: entry.id, version, target, run, prefetch: false, redeploy }
}

/// Why a target cannot be used, if it cannot.
pub(crate) fn target_problem(target: &Target) -> Option<String> {
    match target {
        Target::Nodes(names) if names.is_empty() => Some("it names no node".into()),
        Target::Nodes(names) if names.len() > NAMED_NODES_MAX => Some(format!("it names more than {NAMED_NODES_MAX} nodes")),
        Target::Nodes(_) => None,
        Target::Labels(labels) if labels.len() > SELECTOR_MAX => Some(format!("it selects by more than {SELECTOR_MAX} labels")),
        Target::Labels(labels) => {
            labels.iter().find_map(|(key, value)| crate::nodes::check_label(key, value).err()).map(|error| error.to_string())
        }
    }
}

/// `If-Match`: nothing was changed since the caller looked.
fn check_seen(name: &Name, seen: Option<u64>, found: Option<u64>) -> Result<(), DeployError> {
    match seen {
        Some(seen) if Some(seen) != found => {
            Err(DeployError::Stale { name: name.clone(), seen, found: found.unwrap_or_default() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
