//! `import`: a bundle on a stick becomes what this node runs.

use std::fs;
use std::path::Path;

use shared::fault::{Fault, bundle};
use shared::people::bytes;

use super::client::Client;
use super::exit::{Ended, Exit};
use super::out::Out;
use crate::api::{Import, ImportLine};

pub async fn run(file: &Path, client: &Client, out: &mut Out) -> Result<(), Ended> {
    let failed = |error| Fault::new(&bundle::UNREADABLE).with("path", file.display()).with("cause", error);
    let file = fs::canonicalize(file).map_err(|error| Ended::failed(Exit::Error, failed(error)))?;
    // A path that is no text cannot be sent; an empty body is refused by name.
    let body = serde_json::to_vec(&Import { file }).unwrap_or_default();
    let mut lines = client.lines("/v1/import", body.into()).await?;
    while let Some(line) = lines.next::<ImportLine>().await? {
        if out.is_json() {
            out.json_line(&line)?;
        }
        match line {
            ImportLine::Checking { done, total } => out.progress(&so_far(&bundle::CHECKING, done, total)),
            ImportLine::Fetching { done, total } => out.progress(&so_far(&bundle::FETCHING, done, total)),
            ImportLine::Done { accepted } if !out.is_json() => {
                out.end_progress();
                out.line(&Fault::new(&bundle::IMPORTED).with("stamp", accepted).text(out.lang()))?;
                return Ok(());
            }
            ImportLine::Done { .. } => return Ok(()),
            ImportLine::Failed { problem } => {
                out.end_progress();
                return Err(Ended::failed(Exit::Error, problem.fault));
            }
        }
    }
    Err(lines.interrupted())
}

fn so_far(text: &'static shared::fault::Text, done: u64, total: u64) -> Fault {
    Fault::new(text).with("done", bytes(done)).with("total", bytes(total))
}
