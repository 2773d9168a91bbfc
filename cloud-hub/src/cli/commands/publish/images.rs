//! The images of a release: verified, and at the hub.

use std::path::{Path, PathBuf};

use reqwest::Method;
use shared::fault::{Fault, Text, cli};
use shared::id::Digest;
use shared::oci::Platform;
use shared::release::Image;
use tokio::sync::mpsc;

use super::super::super::client::{Client, Target};
use super::super::super::error::CliError;
use super::super::super::held;
use super::super::super::session::Session;
use super::super::super::sources::Source;
use super::super::super::upload;
use super::super::progress::{Progress, Said, follow};
use crate::api::types::{IngestLine, IngestRequest};
use crate::images::archive::{self, ArchiveImage};
use crate::images::{self, ImageError, Limits, Wanted};

/// A registry may need so long for one step of its own, in which the hub has nothing to tell.
const INGEST_IDLE: std::time::Duration = std::time::Duration::from_secs(600);
/// Steps of progress that wait to be shown; more are left out.
const STEPS: usize = 64;

/// What is wanted of every image.
pub(super) struct Wish {
    /// These machines; all when empty.
    pub(super) platforms: Vec<Platform>,
    /// User for the registry.
    pub(super) user: Option<String>,
}

/// Brings the images of a source to the hub.
pub(super) async fn bring(session: &mut Session, client: &Client, source: &Source, wish: &Wish) -> Result<Vec<Image>, CliError> {
    match source {
        Source::Registry(reference) => ingest(session, client, reference, wish).await,
        Source::Archive { .. } => {
            let archive = verify(session, source, wish).await?;
            send(session, client, &archive).await?;
            Ok(archive.images)
        }
    }
}

/// Reads an archive and checks every byte of it, off the thread that shows how far it is.
pub(super) async fn verify(session: &mut Session, source: &Source, wish: &Wish) -> Result<ArchiveImage, CliError> {
    let Source::Archive { path, name } = source else {
        return Err(ImageError::NotAnArchive { why: source.text() }.into());
    };
    let wanted = Wanted { name: name.clone(), platforms: wish.platforms.clone() };
    let scratch = scratch(session);
    let (sender, mut steps) = mpsc::channel(STEPS);
    let path = path.clone();
    let work = tokio::task::spawn_blocking(move || {
        // A step that nobody has time to show is left out.
        let told = move |step: images::Progress| {
            let _shown = sender.try_send(step);
        };
        archive::read(&path, &wanted, &scratch, &Limits::default(), &told)
    });
    let mut progress = Progress::new(session);
    while let Some(step) = steps.recv().await {
        show(session, &mut progress, &cli::CHECKING, &step.blob, step.done, step.total);
    }
    progress.finish();
    let read = work.await.map_err(|error| CliError::Start(std::io::Error::other(error)))?;
    Ok(read?)
}

/// A directory for the inflated form of a compressed archive.
fn scratch(session: &Session) -> PathBuf {
    PathBuf::from(session.env.var("TMPDIR").filter(|dir| Path::new(dir).is_absolute()).unwrap_or("/var/tmp"))
}

/// Uploads what the hub does not have.
async fn send(session: &mut Session, client: &Client, archive: &ArchiveImage) -> Result<(), CliError> {
    let mut progress = Progress::new(session);
    let mut there = 0;
    for blob in archive.blobs() {
        let mut told = |done| {
            // What is there already is not worth a bar.
            if done < blob.size || progress.knows(&named(session, &cli::UPLOADING, &blob.digest)) {
                show(session, &mut progress, &cli::UPLOADING, &blob.digest, done, blob.size);
            }
        };
        if !Box::pin(upload::blob(client, archive, blob, &mut told)).await? {
            there += 1;
        }
    }
    progress.finish();
    if there > 0 {
        let fault = Fault::new(&cli::ALREADY_THERE).with("count", there);
        session.out.remark(fault.text(session.lang()));
    }
    Ok(())
}

/// Has the hub fetch an image, and checks what it says about it.
async fn ingest(session: &mut Session, client: &Client, reference: &str, wish: &Wish) -> Result<Vec<Image>, CliError> {
    let password = session.env.var("CAUSEWAY_REGISTRY_PASSWORD").filter(|_| wish.user.is_some()).map(str::to_owned);
    let request = IngestRequest {
        reference: reference.to_owned(),
        platforms: wish.platforms.iter().map(Platform::to_string).collect(),
        username: wish.user.clone(),
        password,
    };
    let body = serde_json::to_value(&request).map_err(|error| client.bad_answer(error))?;
    let images = ingested(session, client, reference, body).await?;
    let unfit = |why: String| CliError::Unfit(Fault::new(&cli::IMAGE_UNFIT).with("image", reference).with("why", why));
    for image in &images {
        held::check(client, image).await?.map_err(unfit)?;
    }
    if images.is_empty() {
        return Err(unfit("the hub names none".into()));
    }
    Ok(images)
}

async fn ingested(
    session: &mut Session,
    client: &Client,
    reference: &str,
    body: serde_json::Value,
) -> Result<Vec<Image>, CliError> {
    let target = Target::new(&["images:ingest"]);
    let objects = client.stream(Method::POST, target, Some(body), Some(INGEST_IDLE)).await?.objects();
    let images = follow(session, objects, |session, progress, line| match line {
        IngestLine::Progress { step, blob, done, total } => {
            let text = if step == "check" { &cli::CHECKING } else { &cli::FETCHING };
            show(session, progress, text, &blob, done, total);
            Said::More
        }
        IngestLine::Done { images, .. } => Said::Done(images),
        IngestLine::Failed { problem } => Said::Failed(problem),
    });
    images.await?.ok_or_else(|| CliError::Unfit(Fault::new(&cli::INGEST_CUT).with("image", reference)))
}

fn show(session: &mut Session, progress: &mut Progress, text: &'static Text, blob: &Digest, done: u64, total: u64) {
    let name = named(session, text, blob);
    progress.bytes(session, &name, done, total);
}

fn named(session: &Session, text: &'static Text, blob: &Digest) -> String {
    Fault::new(text).with("what", blob.short()).text(session.lang())
}
