//! Logs of services for whoever reads them: on site through the local API, at the hub through the link.

use std::path::{Path, PathBuf};
use std::time::Duration;

use shared::fault::{Fault, node};
use shared::id::Name;
use shared::wire::v1::LogWanted;
use tokio::sync::mpsc;

use crate::runtime::containerd::log::read::{Follow, tail};
use crate::session::Logs;

/// Largest piece, in bytes: an uplink message of this size passes a slow link within its time.
const PIECE: usize = 32 << 10;
/// Pieces that wait for a slow reader; then the log waits.
const PIECES: usize = 4;
/// A log that is followed is looked at this often.
const LOOK: Duration = Duration::from_millis(500);
/// Most lines of one answer.
const TAIL_MAX: usize = 10_000;

/// Reads `<logs>/<app>/<service>`.
#[derive(Debug, Clone)]
pub struct LogFiles {
    dir: PathBuf,
}

/// Which lines of which service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The app.
    pub app: Name,
    /// The service; when absent, all of the app, one after the other, each line beginning with its service.
    pub service: Option<Name>,
    /// So many of the last lines.
    pub tail: usize,
    /// And those that come.
    pub follow: bool,
}

impl LogFiles {
    /// Logs below `dir`.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The wanted lines, in pieces of whole lines; the end of the receiver is the end of the log. A reader that goes
    /// away ends the reading.
    pub fn open(&self, wanted: &Wanted) -> Result<mpsc::Receiver<Vec<u8>>, Fault> {
        let app = self.dir.join(wanted.app.as_str());
        let services = match &wanted.service {
            Some(service) => vec![service.clone()],
            None => services(&app),
        };
        let none = || {
            Fault::new(&node::NO_LOG).with("app", &wanted.app).with("service", wanted.service.as_ref().map_or("*", Name::as_str))
        };
        if services.is_empty() || services.iter().all(|service| !app.join(service.as_str()).is_dir()) {
            return Err(none());
        }
        let named = wanted.service.is_none();
        let (send, pieces) = mpsc::channel(PIECES);
        for service in services {
            let prefix = if named { format!("{service} ") } else { String::new() };
            let (dir, count, follow) = (app.join(service.as_str()), wanted.tail.min(TAIL_MAX), wanted.follow);
            tokio::spawn(read(dir, prefix, count, follow, send.clone()));
        }
        Ok(pieces)
    }
}

impl Logs for LogFiles {
    fn read(&self, wanted: &LogWanted) -> Result<mpsc::Receiver<Vec<u8>>, Fault> {
        let bad =
            |_| Fault::new(&node::NO_LOG).with("app", &wanted.app).with("service", wanted.service.as_deref().unwrap_or("*"));
        let app = Name::new(&wanted.app).map_err(bad)?;
        let service = wanted.service.as_deref().map(Name::new).transpose().map_err(bad)?;
        self.open(&Wanted { app, service, tail: usize::try_from(wanted.tail).unwrap_or(TAIL_MAX), follow: wanted.follow })
    }
}

fn services(app: &Path) -> Vec<Name> {
    let entries = std::fs::read_dir(app).into_iter().flatten().flatten();
    let mut names: Vec<Name> = entries.filter_map(|entry| Name::new(entry.file_name().to_str()?).ok()).collect();
    names.sort();
    names
}

async fn read(dir: PathBuf, prefix: String, count: usize, follow: bool, send: mpsc::Sender<Vec<u8>>) {
    let first = tokio::task::spawn_blocking(move || tail(&dir, count)).await;
    let Ok(Ok((lines, mut place))) = first else { return };
    let mut lines = lines;
    loop {
        for piece in pieces(&prefix, &lines) {
            if send.send(piece).await.is_err() {
                return;
            }
        }
        if !follow {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = send.closed() => return,
        }
        match tokio::task::spawn_blocking(move || more(place)).await {
            Ok(Some((now, new))) => (place, lines) = (now, new),
            Ok(None) | Err(_) => return,
        }
    }
}

fn more(mut place: Follow) -> Option<(Follow, Vec<crate::runtime::containerd::log::line::Line>)> {
    let lines = place.more().ok()?;
    Some((place, lines))
}

/// Lines as text, cut into pieces at line ends.
fn pieces(prefix: &str, lines: &[crate::runtime::containerd::log::line::Line]) -> Vec<Vec<u8>> {
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    for line in lines {
        let text = format!("{prefix}{} {} {}\n", line.at, line.stream.as_str(), line.text);
        match pieces.last_mut().filter(|piece| piece.len() + text.len() <= PIECE) {
            Some(piece) => piece.extend_from_slice(text.as_bytes()),
            None => pieces.push(text.into_bytes()),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(files: &LogFiles, wanted: &Wanted) -> Result<String, String> {
        let mut pieces = files.open(wanted).map_err(|fault| fault.code)?;
        let mut text = Vec::new();
        while let Some(piece) = pieces.recv().await {
            text.extend(piece);
        }
        Ok(String::from_utf8(text).expect("text"))
    }

    #[tokio::test]
    async fn logs_of_one_service_or_of_all() {
        let dir = tempfile::tempdir().expect("dir");
        for service in ["db", "web"] {
            let place = dir.path().join("shop").join(service);
            std::fs::create_dir_all(&place).expect("dir");
            let lines =
                format!("2026-11-21T00:00:00.000000001Z out {service} 1\n2026-11-21T00:00:00.000000002Z err {service} 2\n");
            std::fs::write(place.join("current"), lines).expect("log");
        }
        let files = LogFiles::new(dir.path().into());
        let wanted = |app: &str, service: Option<&str>, tail| Wanted {
            app: Name::new(app).expect("name"),
            service: service.map(|service| Name::new(service).expect("name")),
            tail,
            follow: false,
        };
        let one = all(&files, &wanted("shop", Some("web"), 1)).await;
        assert_eq!(one.as_deref(), Ok("2026-11-21T00:00:00.000000002Z err web 2\n"));
        assert_eq!(all(&files, &wanted("shop", None, 9)).await.map(|text| text.lines().count()), Ok(4));
        assert_eq!(all(&files, &wanted("other", None, 9)).await, Err("node-no-log".into()));
        assert_eq!(all(&files, &wanted("shop", Some("cache"), 9)).await, Err("node-no-log".into()));
    }
}
