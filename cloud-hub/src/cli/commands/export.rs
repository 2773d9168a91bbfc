//! `hubctl export`: a bundle for nodes that no link reaches, written to a file, for example on a USB stick.
//!
//! The file has its name only when all of it is there, is what the hub sent, and is on the disk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Method;
use rustix::fs::{statfs, statvfs};
use shared::bundle::Checker;
use shared::fault::{Fault, Faulty, bundle};
use shared::people::bytes;

use super::super::args::Export;
use super::super::client::{Client, Target};
use super::super::error::CliError;
use super::super::files::directory;
use super::super::kinds::{name, release};
use super::super::part::Part;
use super::super::session::Session;
use super::progress::{LAYER_IDLE, Progress, Said, follow};
use crate::api::types::BundleLine;

/// Longest time between two pieces of the file.
const PIECE_IDLE: Duration = Duration::from_secs(60);
/// FAT file systems, as statfs(2) calls them.
const FAT: u64 = 0x4d44;
/// Bytes of the largest file on one of them.
const FAT_FILE_MAX: u64 = (4 << 30) - 1;

pub(super) async fn run(session: &mut Session, args: &Export) -> Result<(), CliError> {
    for text in &args.nodes {
        name(text)?;
    }
    for text in &args.have {
        release(text)?;
    }
    let client = session.client()?;
    let size = prepared(session, &client, args).await?;
    let path = PathBuf::from(&args.to);
    check_room(&path, size)?;
    let part = Part::create(&path)?;
    let mut progress = Progress::new(session);
    let stored = store(session, &client, args, part, &mut progress).await;
    progress.finish();
    stored?;
    let said = Fault::new(&bundle::EXPORTED).with("path", path.display()).with("size", bytes(size));
    Ok(session.out.say(&said.with("nodes", args.nodes.join(", ")))?)
}

fn target<'a>(segments: &[&'a str], args: &Export) -> Target<'a> {
    let have = Some(args.have.join(",")).filter(|have| !have.is_empty());
    Target::new(segments).with("nodes", args.nodes.join(",")).with_some("have", have)
}

/// Has the hub prepare the bundle; its size.
async fn prepared(session: &mut Session, client: &Client, args: &Export) -> Result<u64, CliError> {
    let target = target(&["bundle", "plan"], args);
    let objects = client.stream(Method::GET, target, None, Some(LAYER_IDLE)).await?.objects();
    let size = follow(session, objects, |session, progress, line| match line {
        BundleLine::Progress { done, total } => {
            let text = Fault::new(&bundle::MAKING).with("done", done).with("total", total);
            progress.state(session, &text.text(session.lang()));
            Said::More
        }
        BundleLine::Done { size } => Said::Done(size),
        BundleLine::Failed { problem } => Said::Failed(problem),
    });
    size.await?.ok_or_else(|| client.bad_answer("it ended early").into())
}

/// Whether a file of this size can lie there; a file system that cannot be asked is believed to take it.
fn check_room(path: &Path, size: u64) -> Result<(), CliError> {
    let dir = directory(path);
    let fault = |text| Fault::new(text).with("path", path.display()).with("size", bytes(size));
    let is_fat = statfs(dir).is_ok_and(|stat| u64::try_from(stat.f_type).is_ok_and(|kind| kind == FAT));
    if is_fat && size > FAT_FILE_MAX {
        return Err(CliError::Unfit(fault(&bundle::FILE_LIMIT)));
    }
    match statvfs(dir).map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize)) {
        Ok(free) if free < size => Err(CliError::Unfit(fault(&bundle::NO_ROOM).with("free", bytes(free)))),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Downloads the bundle into `part`, and looks at it on its way.
async fn store(
    session: &mut Session,
    client: &Client,
    args: &Export,
    mut part: Part,
    progress: &mut Progress,
) -> Result<(), CliError> {
    let unfit = |error: shared::bundle::BundleError| CliError::Unfit(error.fault());
    let mut stream = client.stream(Method::GET, target(&["bundle"], args), None, Some(PIECE_IDLE)).await?;
    let (mut checker, mut done) = (Checker::default(), 0);
    while let Some(piece) = stream.next().await? {
        checker.push(&piece).map_err(unfit)?;
        part.write(&piece)?;
        done += piece.len() as u64;
        if let Some(size) = checker.size() {
            progress.bytes(session, &args.to, done, size);
        }
    }
    checker.finish().map_err(unfit)?;
    Ok(part.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_known_before_the_first_byte() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("site.bundle");
        check_room(&path, 1).unwrap();
        assert!(matches!(check_room(&path, u64::MAX), Err(CliError::Unfit(fault)) if fault.code == bundle::NO_ROOM.code));
        check_room(Path::new("/nowhere/at/all"), u64::MAX).unwrap();
    }
}
