//! The JSON of `/api/v1`: what goes in and comes out, for the server, for `hubctl` and for everybody else.
//!
//! Objects look like those of other systems of this kind: `{metadata, spec, status}`, where `metadata` says
//! which object it is, `spec` what somebody asked for, and `status` what the hub observes. Requests refuse
//! unknown fields; readers of answers must accept them, because a newer hub may add some. Times are
//! milliseconds since 1970-01-01 UTC. Whatever may be old carries its age.
//!
//! | route | method | body → answer |
//! |---|---|---|
//! | `/api/v1/version` | GET | → [`Version`] |
//! | `/api/v1/whoami` | GET | → [`Caller`] |
//! | `/api/v1/publishers` | GET, POST | [`NewPublisher`] → [`List`]`<`[`Publisher`]`>`, [`Publisher`] |
//! | `/api/v1/publishers/{name}` | DELETE | |
//! | `/api/v1/blobs/{digest}` | HEAD, GET, PATCH and PUT with `?offset=&size=` | bytes → [`Upload`] |
//! | `/api/v1/images:ingest` | POST | [`IngestRequest`] → lines of [`IngestLine`] |
//! | `/api/v1/apps` | GET | → [`List`]`<`[`AppEntry`]`>` |
//! | `/api/v1/releases` | GET, POST | signed envelope → [`List`]`<`[`Release`]`>`, [`Release`] |
//! | `/api/v1/releases/{id or app@version}` | GET | → [`Release`] |
//! | `/api/v1/releases/{id or app@version}/diff` | GET `?from=` | → lines of [`DiffLine`] |
//! | `/api/v1/bundle/plan` | GET `?nodes=&have=` | → lines of [`BundleLine`] |
//! | `/api/v1/bundle` | GET `?nodes=&have=` | → bytes of a [bundle](shared::bundle) |
//! | `/api/v1/deployments` | GET | → [`List`]`<`[`Deployment`]`>` |
//! | `/api/v1/deployments/{name}` | GET, PUT, DELETE | [`NewDeployment`] → [`Deployment`] |
//! | `/api/v1/deployments/{name}/rollback` | POST | [`Rollback`] → [`Deployment`] |
//! | `/api/v1/budgets` | GET | → [`List`]`<`[`Budget`]`>` |
//! | `/api/v1/budgets/{name}` | GET, PUT, DELETE | [`NewBudget`] → [`Budget`] |
//! | `/api/v1/nodes` | GET `?selector=&limit=&after=` | → [`List`]`<`[`Node`]`>` |
//! | `/api/v1/nodes/{name}` | GET, PATCH, DELETE | [`NodePatch`] → [`Node`] |
//! | `/api/v1/nodes/{name}/revoke` | POST | → [`Node`] |
//! | `/api/v1/nodes/{name}/logs` | GET `?app=&service=&tail=&follow=` | → lines of text |
//! | `/api/v1/receipts` | POST | bytes of a [receipt](shared::receipt) → [`Merged`] |
//! | `/api/v1/tokens` | GET, POST | [`NewToken`] → [`List`]`<`[`PendingToken`]`>`, [`IssuedToken`] |
//! | `/api/v1/tokens/{node}` | DELETE | |
//! | `/api/v1/enroll` | POST, no authorization | [`EnrollRequest`] → [`Enrolled`] |
//! | `/api/v1/api-tokens` | GET, POST | [`NewApiToken`] → [`List`]`<`[`ApiToken`]`>`, [`IssuedApiToken`] |
//! | `/api/v1/api-tokens/{name}` | DELETE | |
//! | `/api/v1/events` | GET `?node=&app=&after=&limit=` | → [`List`]`<`[`Event`]`>` |
//! | `/api/v1/watch` | GET `?kind=&from=` | → server-sent events of [`WatchEvent`] |
//!
//! Every error is a [`Problem`] with the fitting HTTP status.

mod access;
mod budget;
mod bundle;
mod deployment;
mod diff;
mod event;
mod node;
mod release;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shared::fault::{Fault, Lang};
use shared::id::Digest;
use shared::sign::PublicKey;
use shared::time::UnixMillis;
use utoipa::ToSchema;

pub use access::{
    ApiToken, ApiTokenSpec, Caller, EnrollRequest, Enrolled, IssuedApiToken, IssuedToken, NewApiToken, NewPublisher, NewToken,
    PendingToken, Publisher, PublisherSpec, Role,
};
pub use budget::{Budget, BudgetLimits, BudgetSpec, BudgetStatus, Carried, CarriedBytes, NewBudget, NodeBudget};
pub use bundle::{BundleLine, Merged};
pub use deployment::{
    Deployment, DeploymentNode, DeploymentSpec, DeploymentStatus, HistoryEntry, NewDeployment, Rollback, Selector, Target,
};
pub use diff::{Change, DiffLine, LayerDiff, PlatformDiff, ReleaseDiff};
pub use event::{Event, WatchChange, WatchEvent};
pub use node::{
    AppStatus, Facts, GoodStatus, NextStatus, Node, NodeAssignment, NodePatch, NodeSpec, NodeStatus, OverruledAssignment,
    ServiceStatus, Stamp, Transfer,
};
pub use release::{
    AppEntry, AppStatusEntry, IngestLine, IngestRequest, Release, ReleaseImage, ReleaseSpec, ReleaseStatus, Upload,
};

/// Which object it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Its name within its kind; a release is named `app@version`.
    pub name: String,
    /// For selectors and people.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The store's revision of its last change: send it as `If-Match` to change only what was seen.
    pub revision: u64,
    /// When it was made.
    #[serde(default)]
    #[schema(value_type = u64)]
    pub created: UnixMillis,
    /// When it was last changed.
    #[serde(default)]
    #[schema(value_type = u64)]
    pub updated: UnixMillis,
}

/// Some objects of one kind, ordered by name (events by cursor).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    /// The objects.
    pub items: Vec<T>,
    /// The store's revision the list was read at: a watch from here misses nothing.
    pub revision: u64,
    /// There may be more: pass this as `after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What is wrong: the stable code, its parameters, and the text in two languages. Errors of the API have this form,
/// and so have the faults that nodes report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Stable, for programs: `hub-not-found`.
    pub code: String,
    /// The values in the text.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// For people, in English.
    #[serde(default)]
    pub message_en: String,
    /// For people, in Chinese.
    #[serde(default)]
    pub message_zh: String,
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let (message_en, message_zh) = (fault.text(Lang::En), fault.text(Lang::Zh));
        Self { code: fault.code, params: fault.params, message_en, message_zh }
    }
}

impl Problem {
    /// The text in the reader's language, as the hub wrote it.
    pub fn text(&self, lang: Lang) -> &str {
        match lang {
            Lang::En => &self.message_en,
            Lang::Zh => &self.message_zh,
        }
    }
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// Version of the hub.
    pub version: String,
    /// Version of the API: `v1`.
    pub api: String,
    /// The hub's name.
    pub hub: String,
    /// The hub's life: grows when it is restored from a backup.
    pub epoch: u64,
    /// sha256 of the CA certificate in DER: what clients pin.
    #[schema(value_type = String)]
    pub ca_fingerprint: Digest,
    /// The key that signs desired states.
    #[schema(value_type = String)]
    pub hub_key: PublicKey,
    /// Where nodes connect, `host:port`.
    pub mqtt: String,
}
