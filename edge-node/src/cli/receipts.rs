//! `receipts`: what this node says to the hub, in a file for somebody to carry there.

use std::path::Path;

use shared::fault::{Fault, Faulty, bundle};
use shared::receipt::{RECEIPT_MAX, Signed};

use super::client::Client;
use super::exit::{Ended, Exit};
use super::file;
use super::out::Out;

pub async fn run(to: &Path, client: &Client, out: &mut Out) -> Result<(), Ended> {
    let bytes = client.bytes("/v1/receipt", RECEIPT_MAX).await?;
    let receipt = Signed::from_bytes(&bytes).and_then(|signed| signed.receipt());
    let receipt = receipt.map_err(|error| Ended::failed(Exit::Error, error.fault()))?;
    file::write(to, &bytes)?;
    let said = Fault::new(&bundle::RECEIPT_WRITTEN).with("path", to.display()).with("node", receipt.node);
    out.say(&said.with("events", receipt.events.len()))
}
