//! What a node holds, and what it is told when it joins.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Budget, Fault, Stamp, WireError, malformed, name};
use crate::id::{Digest, Name};
use crate::state;
use crate::time::UnixMillis;

/// [`state::Desired`]: the bytes the hub signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// For whom.
    pub node: String,
    /// Its place in the order.
    pub stamp: Stamp,
    /// When the hub said so.
    pub as_of_ms: u64,
    /// App to release, revision, run.
    pub apps: BTreeMap<String, ([u8; 32], u64, bool)>,
    /// App to the release to have on disk.
    pub next: BTreeMap<String, [u8; 32]>,
    /// What its link may carry.
    pub budget: Option<Budget>,
    /// Neighbour to its address and the digest of its certificate.
    pub neighbours: BTreeMap<String, (SocketAddr, [u8; 32])>,
}

impl From<&state::Desired> for Desired {
    fn from(desired: &state::Desired) -> Self {
        let app = |(name, a): (&Name, &state::Assignment)| (name.to_string(), (*a.release.as_bytes(), a.revision, a.run));
        let neighbour = |(name, n): (&Name, &state::Neighbour)| (name.to_string(), (n.address, *n.certificate.as_bytes()));
        Self {
            node: desired.node.to_string(),
            stamp: desired.stamp.into(),
            as_of_ms: desired.as_of.0,
            apps: desired.apps.iter().map(app).collect(),
            next: desired.next.iter().map(|(app, release)| (app.to_string(), *release.as_bytes())).collect(),
            budget: desired.budget.as_ref().map(Budget::from),
            neighbours: desired.neighbours.iter().map(neighbour).collect(),
        }
    }
}

impl TryFrom<Desired> for state::Desired {
    type Error = WireError;
    fn try_from(desired: Desired) -> Result<Self, WireError> {
        let most = desired.apps.len().max(desired.next.len());
        if most > state::APPS_MAX {
            return Err(malformed("desired state", format!("{most} apps")));
        }
        if desired.neighbours.len() > state::NEIGHBOURS_MAX {
            return Err(malformed("desired state", format!("{} neighbours", desired.neighbours.len())));
        }
        let mut apps = BTreeMap::new();
        for (app, (release, revision, run)) in desired.apps {
            apps.insert(name(&app)?, state::Assignment { release: Digest::from_bytes(release), revision, run });
        }
        let mut next = BTreeMap::new();
        for (app, release) in desired.next {
            next.insert(name(&app)?, Digest::from_bytes(release));
        }
        let mut neighbours = BTreeMap::new();
        for (neighbour, (address, certificate)) in desired.neighbours {
            let certificate = Digest::from_bytes(certificate);
            neighbours.insert(name(&neighbour)?, state::Neighbour { address, certificate });
        }
        let (node, budget) = (name(&desired.node)?, desired.budget.map(TryInto::try_into).transpose()?);
        Ok(Self { node, stamp: desired.stamp.into(), as_of: UnixMillis(desired.as_of_ms), apps, next, budget, neighbours })
    }
}

/// [`state::Memory`] as the node stores it; a trial's clock starts again when it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The last release that proved itself.
    pub good: Option<[u8; 32]>,
    /// Release and revision on trial.
    pub trial: Option<([u8; 32], u64)>,
    /// Release, revision and reason of the one that was undone.
    pub undone: Option<([u8; 32], u64, Fault)>,
    /// One-shot service to instance hash.
    pub finished: BTreeMap<String, [u8; 32]>,
}

impl From<&state::Memory> for Memory {
    fn from(memory: &state::Memory) -> Self {
        Self {
            good: memory.good.map(|release| *release.as_bytes()),
            trial: memory.trial.as_ref().map(|t| (*t.release.as_bytes(), t.revision)),
            undone: memory.undone.as_ref().map(|u| (*u.release.as_bytes(), u.revision, u.fault.clone().into())),
            finished: memory.finished.iter().map(|(service, hash)| (service.to_string(), *hash.as_bytes())).collect(),
        }
    }
}

impl Memory {
    /// The core type; a trial's clock starts at `now`.
    pub fn into_core(self, now: crate::time::Uptime) -> Result<state::Memory, WireError> {
        let mut finished = BTreeMap::new();
        for (service, hash) in self.finished {
            finished.insert(name(&service)?, Digest::from_bytes(hash));
        }
        Ok(state::Memory {
            good: self.good.map(Digest::from_bytes),
            trial: self.trial.map(|(release, revision)| state::Trial {
                release: Digest::from_bytes(release),
                revision,
                since: now,
            }),
            undone: self.undone.map(|(release, revision, fault)| state::Undone {
                release: Digest::from_bytes(release),
                revision,
                fault: fault.into(),
            }),
            finished,
        })
    }
}

/// [`state::Override`]s as the node stores them: app, and service unless all are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrides(pub Vec<(String, Option<String>)>);

impl From<&BTreeSet<state::Override>> for Overrides {
    fn from(overrides: &BTreeSet<state::Override>) -> Self {
        Self(overrides.iter().map(|over| (over.app.to_string(), over.service.as_ref().map(Name::to_string))).collect())
    }
}

impl TryFrom<Overrides> for BTreeSet<state::Override> {
    type Error = WireError;
    fn try_from(overrides: Overrides) -> Result<Self, WireError> {
        let over = |(app, service): (String, Option<String>)| {
            Ok(state::Override { app: name(&app)?, service: service.as_deref().map(name).transpose()? })
        };
        overrides.0.into_iter().map(over).collect()
    }
}

/// [`crate::join::JoinToken`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// The hub's API.
    pub hub: String,
    /// Who may join.
    pub node: String,
    /// What the hub recognises the token by.
    pub secret: [u8; 16],
    /// sha256 of the hub's CA certificate.
    pub ca: [u8; 32],
}
