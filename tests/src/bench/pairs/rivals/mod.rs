//! What others would send for the layers that changed, and what our hub sends.
//!
//! Every rival gets one layer after the other, against the layer in the same place of the old image. What it sends is
//! decoded again, and counts only when the new layer comes out byte for byte. Results of others are kept beside the pair,
//! so that a second run measures only what is new; ours are measured each time.

mod chunks;
mod delta;
mod job;
mod ours;
mod report;
mod whole;

use std::path::Path;

pub use report::{Measured, Report, Row, Verdict, json, table};

use job::Job;

use super::about::{About, Change};
use super::make::{load, store};
use super::tool::at;
use crate::demo::{Failure, say};

pub(super) use ours::step;

/// The name of our own way.
pub const OURS: &str = "causeway";

/// One way to send a layer.
struct Rival {
    name: &'static str,
    command: &'static str,
    /// Larger layers are not given to it, in bytes.
    most: u64,
    measure: fn(&Job<'_>) -> Result<Measured, Failure>,
}

/// xdelta3 needs several times the layer's size of memory.
const XDELTA3_MOST: u64 = 400_000_000;

const RIVALS: [Rival; 9] = [
    Rival { name: "gzip", command: "gzip -6", most: u64::MAX, measure: whole::gzip },
    Rival { name: "zstd", command: "zstd -10", most: u64::MAX, measure: whole::zstd },
    Rival { name: "librsync", command: "rdiff, 2 KiB blocks, delta as gzip -6", most: u64::MAX, measure: delta::librsync },
    Rival { name: "xdelta3", command: "xdelta3 -9 -B 512M", most: XDELTA3_MOST, measure: delta::xdelta3 },
    Rival { name: "patch-from", command: "zstd -10 --long --patch-from", most: u64::MAX, measure: delta::patch_from },
    Rival {
        name: "patch-from-wide",
        command: "zstd -10 --long --zstd=hlog=26,clog=26 --patch-from",
        most: u64::MAX,
        measure: delta::patch_from_wide,
    },
    Rival { name: "casync", command: "casync, 64 KiB chunks", most: u64::MAX, measure: chunks::casync },
    Rival { name: "casync-10", command: "casync, 64 KiB chunks as zstd -10", most: u64::MAX, measure: chunks::casync_zstd },
    Rival { name: OURS, command: "chunks, and runs against the old file", most: u64::MAX, measure: ours::patch },
];

/// Measures all rivals on the pair `about`, which lies at `home`.
///
/// # Errors
/// The rival that failed, or whose layer came out wrong.
pub fn measure(home: &Path, about: &About) -> Result<Report, Failure> {
    let path = home.join("rivals.json");
    let changes = about.changes(home);
    let mut report = empty(about, &changes);
    let stored = if path.exists() { load::<Report>(&path).ok() } else { None };
    let mut known = stored.filter(|stored| stored.layers == report.layers).unwrap_or_else(|| report.clone());
    for rival in &RIVALS {
        let same = |row: &&Row| row.rival == rival.name && row.command == rival.command && rival.name != OURS;
        if let Some(row) = known.rows.iter().find(same) {
            report.rows.push(row.clone());
            continue;
        }
        let row = rival.row(home, &changes).map_err(|failure| format!("{}, {}: {failure}", about.id, rival.name))?;
        known.rows.retain(|old| old.rival != row.rival);
        known.rows.push(row.clone());
        store(&path, &known)?;
        report.rows.push(row);
    }
    Ok(report)
}

fn empty(about: &About, changes: &[Change]) -> Report {
    let differ = about.old.iter().zip(&about.new).filter(|(old, new)| old.sha256 != new.sha256);
    Report {
        id: about.id.clone(),
        layers: differ.map(|(old, new)| [old.sha256.clone(), new.sha256.clone()]).collect(),
        raw: changes.iter().map(|change| change.tar.bytes).sum(),
        rows: Vec::new(),
    }
}

impl Rival {
    fn row(&self, home: &Path, changes: &[Change]) -> Result<Row, Failure> {
        let verdict = match changes.iter().find(|change| change.tar.bytes > self.most) {
            Some(large) => Verdict::Skipped(format!(
                "{} has {:.0} MB; more than {:.0} MB need too much memory",
                large.tar.file,
                large.tar.bytes as f64 / 1e6,
                self.most as f64 / 1e6
            )),
            None => Verdict::Measured(self.all(home, changes)?),
        };
        Ok(Row { rival: self.name.into(), command: self.command.into(), verdict })
    }

    fn all(&self, home: &Path, changes: &[Change]) -> Result<Measured, Failure> {
        let mut sum: Option<Measured> = None;
        for change in changes {
            say(&format!("… {} {}", self.name, change.new.display()));
            let work = at(home, tempfile::Builder::new().prefix("rival-").tempdir_in(home))?;
            let one = (self.measure)(&Job { change, work: work.path() })?;
            sum = Some(match sum {
                Some(sum) => sum.then(one),
                None => one,
            });
        }
        sum.ok_or_else(|| "no layer changed".into())
    }
}
