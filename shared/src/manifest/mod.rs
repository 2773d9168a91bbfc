//! The App manifest: what a person writes, with the names and meanings of the Compose Specification.
//!
//! [`read`] turns a YAML text (an App document or a plain `compose.yaml`) into an [`App`]; whatever is not
//! supported is refused with file, line, column and the nearest supported thing, never dropped. The types
//! here are the normal form: every short syntax is written out, and this form is what a release carries;
//! [`App::check`] checks it again wherever a release arrives.
//!
//! ```yaml
//! apiVersion: causeway/v1
//! kind: App
//! metadata: {name: counter, version: 1.0.0}
//! spec:
//!   services:
//!     web: {image: "registry.example/counter:1.0.0", ports: ["8080:80"], restart: unless-stopped}
//! ```
//!
//! ```
//! use shared::manifest::{Outside, read};
//! let text = "apiVersion: causeway/v1\nkind: App\nmetadata: {name: counter, version: 1.0.0}\nspec:\n  services:\n    web: {imgae: x}\n";
//! let refused = read("app.yaml", text, &Outside::default()).unwrap_err();
//! assert!(refused.to_string().starts_with("app.yaml:6:11: imgae is not supported. Nearest supported key: image"));
//! ```

pub mod bounds;
mod check;
mod health;
mod problem;
mod read;
mod restart;
mod schema;
mod service;
mod units;
mod write;
mod yaml;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use bounds::{SERVICES_MAX, TEXT_MAX};
pub use health::{HealthCheck, Probe};
pub use problem::{Mark, Problem, Refused};
pub use read::{Manifest, Naming, Outside, read};
pub use restart::Restart;
pub use schema::{SCHEMA_ID, schema};
pub use service::{Condition, Deploy, Device, FileGrant, Limits, Mount, NetworkMode, Port, Protocol, Resources, Service};
pub use units::{BadUnit, ByteSize, Period};

use crate::id::Name;

/// The one `apiVersion` this build reads.
pub const API_VERSION: &str = "causeway/v1";

/// A named application with everything its services need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct App {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// Always `App`.
    pub kind: String,
    /// Name, version and what people need to find it.
    pub metadata: Metadata,
    /// What runs.
    pub spec: Spec,
}

/// Who the app is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// The app's name.
    pub name: Name,
    /// The release's version, 1 to 64 of `A-Z a-z 0-9 . _ + -`; shown, never compared.
    #[schemars(with = "schema::TextOrNumber")]
    pub version: String,
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// For selectors and people; keys and values up to 253 bytes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "schema::Labels")]
    pub labels: BTreeMap<String, String>,
}

/// The services of an app and what they share.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// One container definition each; 1 to [`SERVICES_MAX`].
    pub services: BTreeMap<Name, Service>,
    /// Named volumes, kept when the app changes or goes, until somebody purges them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "schema::Volumes")]
    pub volumes: BTreeMap<Name, Volume>,
    /// Files that are part of the release.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "schema::Configs")]
    pub configs: BTreeMap<Name, Config>,
    /// Files that live on the node only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "schema::Secrets")]
    pub secrets: BTreeMap<Name, Secret>,
    /// How a new release proves itself on the node.
    #[serde(default)]
    pub update: Update,
}

/// How a node judges a new release before it forgets the old one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Update {
    /// All services must be up (healthy where they have a health check) within this time of the switch.
    #[schemars(with = "schema::PeriodForm")]
    pub deadline: Period,
    /// A service without a health check counts as up after running this long without exit.
    #[schemars(with = "schema::PeriodForm")]
    pub settle: Period,
}

impl Default for Update {
    fn default() -> Self {
        Self { deadline: Period::seconds(120), settle: Period::seconds(5) }
    }
}

/// A named volume. Nothing about it can be chosen yet; the object keeps room.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Volume {}

/// A file that is part of the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file's text; at most 256 KiB.
    pub content: String,
}

/// A file that lives on the node only: `edge-node secret set APP NAME` puts it there, no release carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// Always true.
    pub external: bool,
}
