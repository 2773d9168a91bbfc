//! Why a deployment was not changed.

use std::collections::{BTreeMap, BTreeSet};

use shared::assign::Target;
use shared::fault::{Fault, Faulty, hub};
use shared::id::{Digest, Name};
use shared::oci::Platform;
use shared::release::Release;
use shared::state::APPS_MAX;

use super::DEPLOYMENTS_MAX;
use crate::refusal::{Kind, Refusal};
use crate::store::StoreError;

/// Most nodes that an error names.
const NAMED: usize = 5;

/// Why a deployment was not changed.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// There is none of this name.
    #[error("no deployment {name}")]
    NotFound {
        /// The name.
        name: Name,
    },
    /// Somebody changed it since the caller looked.
    #[error("deployment {name} has revision {found}, not {seen}")]
    Stale {
        /// The name.
        name: Name,
        /// What the caller saw.
        seen: u64,
        /// What is there; 0 for nothing.
        found: u64,
    },
    /// It deploys another app.
    #[error("deployment {name} is one of {app}")]
    OtherApp {
        /// The name.
        name: Name,
        /// Its app.
        app: Name,
    },
    /// It runs its app and shall be a prefetch, or the other way round.
    #[error("deployment {name} is of the other kind")]
    OtherKind {
        /// The name.
        name: Name,
    },
    /// The target makes no sense.
    #[error("target: {why}")]
    BadTarget {
        /// Why.
        why: String,
    },
    /// Nodes that are named, or all that labels select, could not run it.
    #[error("no image of {app} for {nodes}")]
    NoPlatform {
        /// The app.
        app: Name,
        /// Its version.
        version: String,
        /// Nodes with their platforms.
        nodes: String,
        /// Platforms it was published for.
        published: String,
    },
    /// A node has [`APPS_MAX`] apps.
    #[error("{node} has {APPS_MAX} apps")]
    NodeFull {
        /// The node.
        node: Name,
    },
    /// Nothing to go back to.
    #[error("deployment {name} has no earlier release {to}")]
    NoEarlier {
        /// The name.
        name: Name,
        /// What was asked for; empty for just an earlier one.
        to: String,
    },
    /// There are [`DEPLOYMENTS_MAX`] already.
    #[error("more than {DEPLOYMENTS_MAX} deployments")]
    TooMany,
    /// The release is gone.
    #[error("release {release} is gone")]
    Vanished {
        /// Its id.
        release: Digest,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Faulty for DeployError {
    fn fault(&self) -> Fault {
        match self {
            Self::NotFound { name } => Fault::new(&hub::DEPLOYMENT_NOT_FOUND).with("name", name),
            Self::Stale { name, seen, found } => {
                Fault::new(&hub::STALE).with("what", name).with("seen", seen).with("found", found)
            }
            Self::OtherApp { name, app } => Fault::new(&hub::DEPLOYMENT_OTHER_APP).with("name", name).with("app", app),
            Self::OtherKind { name } => Fault::new(&hub::DEPLOYMENT_OTHER_KIND).with("name", name),
            Self::BadTarget { why } => Fault::new(&hub::DEPLOYMENT_BAD_TARGET).with("why", why),
            Self::NoPlatform { app, version, nodes, published } => Fault::new(&hub::DEPLOYMENT_NO_PLATFORM)
                .with("app", app)
                .with("version", version)
                .with("nodes", nodes)
                .with("published", published),
            Self::NodeFull { node } => Fault::new(&hub::NODE_FULL).with("node", node).with("max", APPS_MAX),
            Self::NoEarlier { name, to } if to.is_empty() => Fault::new(&hub::DEPLOYMENT_NO_EARLIER).with("name", name),
            Self::NoEarlier { name, to } => Fault::new(&hub::DEPLOYMENT_NOT_IN_HISTORY).with("name", name).with("release", to),
            Self::TooMany => Fault::new(&hub::TOO_MANY).with("what", "deployments").with("max", DEPLOYMENTS_MAX),
            Self::Vanished { release } => Fault::new(&hub::RELEASE_NOT_FOUND).with("release", release),
            Self::Store(error) => error.fault(),
        }
    }
}

impl Refusal for DeployError {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound { .. } | Self::Vanished { .. } => Kind::NotFound,
            Self::Stale { .. } => Kind::Stale,
            Self::OtherApp { .. } | Self::OtherKind { .. } | Self::NoEarlier { .. } => Kind::Conflict,
            Self::BadTarget { .. } | Self::NoPlatform { .. } | Self::NodeFull { .. } | Self::TooMany => Kind::Unfit,
            Self::Store(error) => error.kind(),
        }
    }
}

/// Whether `release` has for each of its services an image for the `machines` of `target`: for all that are named, and for
/// at least one of those that labels select. What one node says about itself must not stop the others; where there is no
/// image for it, it says so.
pub(super) fn platforms_fit(
    release: &Release,
    target: &Target,
    machines: &BTreeMap<&Name, &Platform>,
) -> Result<(), DeployError> {
    let runs_on = |machine: &Platform| release.images.keys().all(|service| release.image(service, machine).is_some());
    let unfit: Vec<String> =
        machines.iter().filter(|(_, machine)| !runs_on(machine)).map(|(node, machine)| format!("{node} ({machine})")).collect();
    let enough = match target {
        Target::Nodes(_) => unfit.is_empty(),
        Target::Labels(_) => unfit.is_empty() || unfit.len() < machines.len(),
    };
    if enough {
        return Ok(());
    }
    let mut nodes = unfit.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if unfit.len() > NAMED {
        nodes = format!("{nodes} … ({})", unfit.len());
    }
    let published: BTreeSet<String> = release.images.values().flatten().map(|image| image.platform.to_string()).collect();
    let metadata = &release.manifest.metadata;
    Err(DeployError::NoPlatform {
        app: metadata.name.clone(),
        version: metadata.version.clone(),
        nodes,
        published: published.into_iter().collect::<Vec<_>>().join(", "),
    })
}
