//! From an archive to the hub: each blob from the byte on that the hub has, in one request, again when it breaks.

use std::io::{self, Read};
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use shared::fault::{Fault, Faulty, cli};
use shared::release::Blob;
use shared::time::backoff;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;

use super::client::{Client, ClientError, Target};
use super::error::CliError;
use crate::api::types::Upload;
use crate::images::archive::ArchiveImage;

/// Bytes that are read at once.
const STEP: usize = 256 << 10;
/// Steps that wait for the network.
const WAITING: usize = 4;
/// An upload that does not take a step for so long is dead.
const STALL: Duration = Duration::from_secs(60);
/// For the hub to verify a blob once all its bytes are there.
const VERIFY: Duration = Duration::from_secs(300);
/// Attempts in a row that bring nothing.
const ATTEMPTS: u32 = 8;

/// Brings `blob` to the hub; `told` hears how many bytes are there. Returns whether it had to be sent.
pub(super) async fn blob(
    client: &Client,
    archive: &ArchiveImage,
    blob: Blob,
    told: &mut dyn FnMut(u64),
) -> Result<bool, CliError> {
    let (mut failures, mut furthest) = (0, 0);
    loop {
        let error = match offset(client, blob).await {
            Ok(None) => {
                told(blob.size);
                return Ok(failures > 0 || furthest > 0);
            }
            Ok(Some(offset)) => {
                if offset > furthest {
                    (failures, furthest) = (0, offset);
                }
                let mut reader = archive.open(&blob.digest, offset)?;
                match send(client, blob, offset, &mut *reader, told).await {
                    Ok(upload) if upload.complete => {
                        told(blob.size);
                        return Ok(true);
                    }
                    Ok(_) => None,
                    Err(error) => Some(error),
                }
            }
            Err(error) => Some(error),
        };
        failures += 1;
        match error {
            Some(error) if !is_passing(&error) => return Err(error.into()),
            Some(error) if failures > ATTEMPTS => return Err(stuck(blob, furthest, &error)),
            None if failures > ATTEMPTS => return Err(stuck(blob, furthest, &client.bad_answer("it ended early"))),
            Some(_) | None => sleep(backoff(failures)).await,
        }
    }
}

/// Where to go on; `None` when all is there.
async fn offset(client: &Client, blob: Blob) -> Result<Option<u64>, ClientError> {
    let digest = blob.digest.to_string();
    let (status, offset) = client.head(Target::new(&["blobs", &digest]), "upload-offset").await?;
    if status == 200 {
        return Ok(None);
    }
    Ok(Some(offset.and_then(|text| text.parse().ok()).unwrap_or(0)))
}

/// The hub may have moved on, or somebody else may upload the same blob (409).
const fn is_passing(error: &ClientError) -> bool {
    error.is_passing() || matches!(error, ClientError::Refused { status: 409, .. })
}

fn stuck(blob: Blob, offset: u64, error: &ClientError) -> CliError {
    let fault = Fault::new(&cli::UPLOAD_STUCK).with("blob", blob.digest).with("offset", offset);
    let inner = error.fault();
    let cause = inner.params.get("cause").cloned().unwrap_or(inner.code);
    CliError::Stuck(fault.with("cause", cause), error.exit())
}

/// Sends everything from `offset` on.
async fn send(
    client: &Client,
    blob: Blob,
    offset: u64,
    reader: &mut (dyn Read + Send),
    told: &mut dyn FnMut(u64),
) -> Result<Upload, ClientError> {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(WAITING);
    let digest = blob.digest.to_string();
    let target = Target::new(&["blobs", &digest]).with("offset", offset).with("size", blob.size);
    let body = reqwest::Body::wrap_stream(ReceiverStream::new(receiver));
    let mut answer = std::pin::pin!(client.send_stream(Method::PUT, target, body));
    let mut at = offset;
    told(at);
    while at < blob.size {
        let piece = read(reader).map_err(|error| client.bad_answer(format_args!("reading the archive: {error}")))?;
        if piece.is_empty() {
            return Err(client.bad_answer("the archive ended early"));
        }
        at += piece.len() as u64;
        tokio::select! {
            answer = &mut answer => return answer,
            sent = timeout(STALL, sender.send(Ok(piece))) => match sent {
                Ok(Ok(())) => told(at),
                // The request ended: its answer says why.
                Ok(Err(_)) => break,
                Err(_) => return Err(client.no_answer_within(STALL)),
            },
        }
    }
    drop(sender);
    timeout(VERIFY, answer).await.map_err(|_| client.no_answer_within(VERIFY))?
}

fn read(reader: &mut (dyn Read + Send)) -> io::Result<Bytes> {
    let mut piece = Vec::with_capacity(STEP);
    reader.take(STEP as u64).read_to_end(&mut piece)?;
    Ok(piece.into())
}
