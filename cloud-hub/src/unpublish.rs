//! Taking a release back: it leaves the catalogue, and what only it needed leaves the disk ([`crate::collect`]).
//!
//! That is refused while something may ask for it: a deployment, the way back from one, or a node that runs it, has it on its
//! disk for later, would go back to it, or has accepted more than it has reported. Its version is never used for anything
//! else: the same bytes can be published again, others cannot.

use shared::fault::{Fault, Faulty, hub};
use shared::id::{Digest, Name};

use crate::catalog::CatalogError;
use crate::deployments::rollback_entry;
use crate::fleet::{Fleet, Life};
use crate::hub::Hub;
use crate::records::{Deployment, ENVELOPES, RELEASES, release_key, version_key};
use crate::refusal::{Kind, Refusal};
use crate::store::{Change, Expect, StoreError};

/// Most names that an error has.
const NAMED: usize = 5;

/// Why a release was not taken back.
#[derive(Debug, thiserror::Error)]
pub enum UnpublishError {
    /// There is none of this name.
    #[error(transparent)]
    NotFound(#[from] CatalogError),
    /// Something may ask for it.
    #[error("{release} is needed: {needs:?}")]
    Needed {
        /// What people call it.
        release: String,
        /// By whom.
        needs: Needs,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Faulty for UnpublishError {
    fn fault(&self) -> Fault {
        match self {
            Self::NotFound(error) => error.fault(),
            Self::Needed { release, needs: Needs::Deployed(names) } => {
                Fault::new(&hub::RELEASE_DEPLOYED).with("release", release).with("deployments", listed(names))
            }
            Self::Needed { release, needs: Needs::WayBack(names) } => {
                Fault::new(&hub::RELEASE_WAY_BACK).with("release", release).with("deployments", listed(names))
            }
            Self::Needed { release, needs: Needs::OnNodes(names) } => {
                Fault::new(&hub::RELEASE_ON_NODES).with("release", release).with("nodes", listed(names))
            }
            Self::Store(error) => error.fault(),
        }
    }
}

impl Refusal for UnpublishError {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound(error) => error.kind(),
            Self::Needed { .. } => Kind::Conflict,
            Self::Store(error) => error.kind(),
        }
    }
}

/// The first names, and that there are more.
fn listed(names: &[Name]) -> String {
    let mut text = names.iter().take(NAMED).map(Name::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > NAMED {
        text.push_str(" …");
    }
    text
}

/// Who may ask for a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needs {
    /// These deployments and prefetches bring it.
    Deployed(Vec<Name>),
    /// These deployments would go back to it.
    WayBack(Vec<Name>),
    /// These nodes have it, or may go back to it.
    OnNodes(Vec<Name>),
}

/// Who may ask for `release` of `app`; what people can do most about comes first.
fn needs(release: Digest, app: &Name, deployments: &[(Name, Deployment)], fleet: &Fleet) -> Option<Needs> {
    let named = |is: &dyn Fn(&Deployment) -> bool| {
        let names: Vec<Name> = deployments.iter().filter(|(_, of)| is(of)).map(|(name, _)| name.clone()).collect();
        (!names.is_empty()).then_some(names)
    };
    if let Some(names) = named(&|deployment| deployment.release == release) {
        return Some(Needs::Deployed(names));
    }
    let way_back = |of: &Deployment| !of.prefetch && rollback_entry(of, None).is_some_and(|past| past.release == release);
    if let Some(names) = named(&way_back) {
        return Some(Needs::WayBack(names));
    }
    let brought = |of: &Deployment| of.app == *app && of.history.iter().any(|past| past.release == release);
    let was_brought = deployments.iter().any(|(_, of)| brought(of));
    let on_nodes = fleet.nodes.iter().filter(|(_, life)| is_on(life, release, app) || (was_brought && is_behind(life)));
    let names: Vec<Name> = on_nodes.map(|(name, _)| name.clone()).collect();
    (!names.is_empty()).then_some(Needs::OnNodes(names))
}

/// Whether a node has the release of `app`, shall have it, or would go back to it.
fn is_on(life: &Life, release: Digest, app: &Name) -> bool {
    let wanted = life.wanted.iter().flat_map(|wanted| [wanted.apps.get(app), wanted.next.get(app)]).flatten();
    let report = life.report.iter();
    let apps = report.clone().flat_map(|report| &report.apps).filter(|of| of.app == *app);
    let next = report.flat_map(|report| &report.next).filter(|of| of.app == *app);
    wanted.map(|assigned| assigned.assignment.release).any(|wanted| wanted == release)
        || apps
            .flat_map(|of| [Some(of.release), Some(of.wanted), of.good.as_ref().map(|good| good.release)])
            .any(|of| of == Some(release))
        || next.map(|of| of.release).any(|of| of == release)
}

/// Whether a node holds a newer state than its report is about, or does not know itself what it runs because its runtime does
/// not answer: what it runs, and goes back to, may be anything it was given.
fn is_behind(life: &Life) -> bool {
    let report = life.report.as_ref();
    let is_blind = report.is_some_and(|report| report.facts.runtime.is_empty());
    is_blind || life.accepted.is_some() && life.accepted != report.map(|report| report.accepted)
}

impl Hub {
    /// Takes back the release that a person means; what only it needed is removed in the background.
    pub async fn unpublish(&self, text: &str, by: &str) -> Result<(), UnpublishError> {
        let changing = self.changing.lock().await;
        let entry = self.find_release(None, text).await?;
        let deployments: Vec<(Name, Deployment)> =
            self.all_deployments().await?.into_iter().map(|(name, deployment, _)| (name, deployment)).collect();
        let (app, version) = (&entry.record.app, &entry.record.version);
        if let Some(needs) = needs(entry.id, app, &deployments, &self.fleet()) {
            return Err(UnpublishError::Needed { release: format!("{app}@{version}"), needs });
        }
        let what = Fault::new(&hub::UNPUBLISHED).with("app", app).with("version", version).with("by", by);
        let changes = vec![
            Change::delete(release_key(RELEASES, entry.id), Expect::Revision(entry.revision)),
            Change::delete(release_key(ENVELOPES, entry.id), Expect::Anything),
            // Written again, so that who watches hears which version it was.
            Change::put(version_key(app, version), entry.id.as_bytes().to_vec()),
        ];
        self.store.commit(changes, vec![self.event(None, Some(app), by, what)]).await?;
        drop(changing);
        self.collector.ask();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use shared::assign::{Assigned, Target};
    use shared::report::{AppReport, Good, NextReport, Phase, Report};
    use shared::state::{Assignment, Stamp};
    use shared::time::UnixMillis;

    use super::*;
    use crate::fleet::Wanted;
    use crate::fleet::tests::{app, report};
    use crate::records::Past;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn id(n: u8) -> Digest {
        Digest::from_bytes([n; 32])
    }

    /// A deployment of `web` that brought these releases, the present one first.
    fn deployment(text: &str, releases: &[u8]) -> (Name, Deployment) {
        let past = |n: &u8| Past {
            revision: 1,
            release: id(*n),
            version: n.to_string(),
            run: true,
            at: UnixMillis(1),
            by: String::new(),
        };
        let deployment = Deployment {
            app: name("web"),
            release: id(releases[0]),
            version: releases[0].to_string(),
            target: Target::Nodes([name("n1")].into()),
            run: true,
            prefetch: false,
            revision: 1,
            created: UnixMillis(1),
            updated: UnixMillis(1),
            history: releases.iter().map(past).collect(),
        };
        (name(text), deployment)
    }

    fn fleet(life: Life) -> Fleet {
        Fleet { nodes: [(name("n1"), life)].into(), ..Fleet::default() }
    }

    fn says(change: impl FnOnce(&mut Report)) -> Fleet {
        let mut report = report(1, 1);
        change(&mut report);
        fleet(Life { accepted: Some(report.accepted), report: Some(Arc::new(report)), ..Life::default() })
    }

    fn wanted(apps: &[u8], next: &[u8]) -> Fleet {
        let assigned = |n: &u8| {
            let assignment = Assignment { release: id(*n), revision: 1, run: true };
            (name("web"), Assigned { assignment, deployment: name("d"), overruled: Vec::new() })
        };
        let (apps, next) = (apps.iter().map(assigned).collect(), next.iter().map(assigned).collect());
        let stamp = Stamp { epoch: 1, generation: 1 };
        fleet(Life {
            wanted: Some(Arc::new(Wanted {
                stamp,
                hash: id(0),
                apps,
                next,
                budget: None,
                neighbours: std::collections::BTreeMap::new(),
            })),
            ..Life::default()
        })
    }

    #[test]
    fn what_may_be_asked_for_is_needed_by_name() {
        let nobody = Fleet::default();
        let deployments = [deployment("a", &[3, 3, 2, 1]), deployment("b", &[3])];
        let n1 = Some(Needs::OnNodes(vec![name("n1")]));
        let phase = |release: u8, wanted: u8, phase| {
            says(|report| report.apps = vec![AppReport { wanted: id(wanted), ..app("web", id(release), phase) }])
        };
        let next = says(|report| {
            let phase = Phase::Fetched;
            report.next = vec![NextReport { app: name("web"), release: id(1), version: "1".into(), phase, fault: None }];
        });
        let good = |release: u8| {
            let good = Some(Good { release: id(release), version: String::new() });
            says(|report| report.apps = vec![AppReport { good, ..app("web", id(3), Phase::Starting) }])
        };
        let other = says(|report| report.apps = vec![app("other", id(9), Phase::Running)]);
        let mut went_on = says(|report| report.apps = vec![app("other", id(9), Phase::Running)]);
        went_on.nodes.get_mut(&name("n1")).unwrap().accepted = Some(Stamp { epoch: 1, generation: 2 });
        let blind = says(|report| report.facts.runtime.clear());
        let silent = fleet(Life { accepted: Some(Stamp { epoch: 1, generation: 2 }), ..Life::default() });
        for (release, fleet, expected) in [
            (3, &nobody, Some(Needs::Deployed(vec![name("a"), name("b")]))),
            (2, &nobody, Some(Needs::WayBack(vec![name("a")]))),
            (1, &nobody, None),
            (9, &nobody, None),
            (1, &blind, n1.clone()),
            (1, &wanted(&[1], &[]), n1.clone()),
            (1, &wanted(&[], &[1]), n1.clone()),
            (1, &wanted(&[3], &[2]), None),
            (1, &phase(1, 3, Phase::Fetching), n1.clone()),
            (1, &phase(3, 1, Phase::Undone), n1.clone()),
            (1, &phase(3, 2, Phase::Undone), None),
            (1, &phase(3, 3, Phase::Running), None),
            (1, &good(1), n1.clone()),
            (1, &good(2), None),
            (1, &good(3), None),
            (1, &other, None),
            (1, &went_on, n1.clone()),
            (9, &went_on, None),
            (1, &silent, n1.clone()),
            (1, &phase(3, 3, Phase::Starting), None),
            (9, &good(1), None),
            (1, &next, n1),
        ] {
            assert_eq!(needs(id(release), &name("web"), &deployments, fleet), expected, "{release} {fleet:?}");
        }
        let text = listed(&["a", "b", "c", "d", "e", "f"].map(name));
        assert_eq!(text, "a, b, c, d, e …");
    }
}
