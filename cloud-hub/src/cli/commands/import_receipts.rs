//! `hubctl import-receipts`: brings to the hub what nodes say that no link reaches.

use std::path::Path;

use reqwest::Method;
use shared::fault::{Fault, bundle};
use shared::receipt::RECEIPT_MAX;

use super::super::args::ImportReceipts;
use super::super::client::Target;
use super::super::error::CliError;
use super::super::files;
use super::super::session::Session;
use crate::api::types::Merged;

/// Each file by itself: one that is refused ends the command, and those before it count.
pub(super) async fn run(session: &mut Session, args: &ImportReceipts) -> Result<(), CliError> {
    let client = session.client()?;
    for file in &args.files {
        let bytes = files::bytes(Path::new(file), RECEIPT_MAX as u64)?;
        let (merged, _): (Merged, bool) = client.upload(Method::POST, Target::new(&["receipts"]), bytes).await?;
        let text = if merged.report { &bundle::RECEIPT_MERGED } else { &bundle::RECEIPT_OLD };
        session.out.say(&Fault::new(text).with("node", &merged.node).with("events", merged.events))?;
    }
    Ok(())
}
