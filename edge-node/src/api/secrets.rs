//! Secrets of apps: put on the node by an operator, never shown again.
//!
//! `<state>/secrets/<app>/<name>`, mode 0600 in directories of mode 0700. Both names are [`Name`]s, so that a path can
//! lead nowhere else.

use std::fs;
use std::io;
use std::path::Path as FilePath;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use shared::fault::{Fault, node};
use shared::id::Name;

use super::Api;
use super::port::{Command, Node};
use super::problem::{Answer, Path, Problem};
use crate::private_file;

/// Largest secret, in bytes.
pub const SECRET_MAX: usize = 256 << 10;
/// Most secrets of one app.
const SECRETS_MAX: usize = 64;

pub async fn list<N: Node>(State(api): State<Api<N>>, Path(app): Path<Name>) -> Answer<Json<Vec<Name>>> {
    names(&api.secrets_dir.join(app.as_str())).map(Json)
}

pub async fn put<N: Node>(
    State(api): State<Api<N>>,
    Path((app, name)): Path<(Name, Name)>,
    value: Result<Bytes, BytesRejection>,
) -> Answer<StatusCode> {
    let value = value.ok().filter(|value| value.len() <= SECRET_MAX).ok_or_else(too_large)?;
    let dir = api.secrets_dir.join(app.as_str());
    let known = names(&dir)?;
    if !known.contains(&name) && known.len() >= SECRETS_MAX {
        let fault = Fault::new(&node::SECRETS_TOO_MANY).with("max", SECRETS_MAX);
        return Err(Problem::new(StatusCode::CONFLICT, fault));
    }
    let write = || {
        for dir in [&api.secrets_dir, &dir] {
            private_file::make_dir(dir)?; // It must survive a power cut as well as the file in it.
        }
        private_file::write(&dir.join(name.as_str()), &value)
    };
    api.reserve.lend(write).map_err(|error| Problem::failed(&error))?;
    tracing::info!(%app, %name, "secret set");
    api.command(Command::SecretChanged(app)).await
}

pub async fn remove<N: Node>(State(api): State<Api<N>>, Path((app, name)): Path<(Name, Name)>) -> Answer<StatusCode> {
    let path = api.secrets_dir.join(app.as_str()).join(name.as_str());
    if !private_file::remove(&path).map_err(|error| Problem::failed(&error))? {
        return Err(Problem::not_found(Fault::new(&node::SECRET_NOT_FOUND).with("app", app).with("name", name)));
    }
    tracing::info!(%app, %name, "secret removed");
    api.command(Command::SecretChanged(app)).await
}

fn too_large() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Fault::new(&node::SECRET_TOO_LARGE).with("max", SECRET_MAX))
}

/// Names of an app's secrets in order. A file that is being written has no name of this kind.
fn names(dir: &FilePath) -> Answer<Vec<Name>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("reading", dir, &error)),
    };
    let mut list: Vec<Name> =
        entries.take(4 * SECRETS_MAX).filter_map(|entry| Name::new(entry.ok()?.file_name().to_str()?).ok()).collect();
    list.sort();
    Ok(list)
}

fn failed(doing: &str, path: &FilePath, cause: &io::Error) -> Problem {
    Fault::new(&node::FILE_FAILED).with("doing", doing).with("path", path.display()).with("cause", cause).into()
}
