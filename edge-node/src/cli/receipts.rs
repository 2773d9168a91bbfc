//! `receipts`: what this node says to the hub, in a file for somebody to carry there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use shared::fault::{Fault, Faulty, bundle, node};
use shared::receipt::{RECEIPT_MAX, Signed};

use super::client::Client;
use super::exit::{Ended, Exit};
use super::out::Out;

pub async fn run(to: &Path, client: &Client, out: &mut Out) -> Result<(), Ended> {
    let bytes = client.bytes("/v1/receipt", RECEIPT_MAX).await?;
    let receipt = Signed::from_bytes(&bytes).and_then(|signed| signed.receipt());
    let receipt = receipt.map_err(|error| Ended::failed(Exit::Error, error.fault()))?;
    write(to, &bytes).map_err(|cause| {
        let fault = Fault::new(&node::FILE_FAILED).with("doing", "writing").with("path", to.display());
        Ended::failed(Exit::Error, fault.with("cause", cause))
    })?;
    let said = Fault::new(&bundle::RECEIPT_WRITTEN).with("path", to.display()).with("node", receipt.node);
    out.say(&said.with("events", receipt.events.len()))
}

/// The file has its name only when all of it is on the disk.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_added_extension("part");
    let written = || -> io::Result<()> {
        let mut file = File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        File::open(path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")))?.sync_all()
    };
    written().inspect_err(|_| {
        // What was begun is of no use; that it may not even exist does not matter.
        drop(fs::remove_file(&part));
    })
}
