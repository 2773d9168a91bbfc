//! The figures of image delivery, out of what was measured on the pairs.
//!
//! Speeds are bytes of the new layer per second of processor time, so that neighbours on the machine disturb them little.

use std::path::Path;
use std::process::Command;

use super::about::About;
use super::catalog::PAIRS;
use super::rivals::{Measured, OURS, Report, step};
use super::tool::{at, measured, tool};
use crate::bench::figure::{Figure, Goal};
use crate::demo::Failure;

/// All figures: of `reports`, and of how fast the hub stores the largest new layer of the pair `base` below `dir`.
///
/// # Errors
/// A step that failed.
pub fn figures(dir: &Path, reports: &[Report]) -> Result<Vec<Figure>, Failure> {
    let mut figures = wire(reports);
    figures.extend(speeds(reports));
    figures.extend(store(&dir.join("base"))?);
    Ok(figures)
}

fn figure(id: impl Into<String>, value: f64, unit: &'static str, goal: Option<Goal>, what: &str) -> Figure {
    Figure { id: id.into(), value, unit, floor: None, goal, command: format!("make bench-images: {what}") }
}

/// What travels, in per cent of what a registry sends.
fn wire(reports: &[Report]) -> Vec<Figure> {
    let both = |report: &Report| Some((report.wire(OURS)? as f64, report.wire("gzip")? as f64));
    let shares: Vec<(f64, f64)> = reports.iter().filter_map(both).collect();
    let (ours, gzip) = shares.iter().fold((0.0, 0.0), |(a, b), (ours, gzip)| (a + ours, b + gzip));
    let what = format!("all bytes of the patches of {} pairs, of their changed layers as gzip -6", shares.len());
    let mut figures = vec![figure("wire_total", 100.0 * ours / gzip.max(1.0), "%", Some(Goal::Value(4.0)), &what)];
    for report in reports {
        if let Some((ours, gzip)) = both(report) {
            let story = PAIRS.iter().find(|pair| pair.id == report.id).map_or("", |pair| pair.story);
            figures.push(figure(format!("wire_{}", report.id), 100.0 * ours / gzip.max(1.0), "%", None, story));
        }
    }
    figures
}

fn speeds(reports: &[Report]) -> Vec<Figure> {
    let ours: Vec<(f64, &Measured)> =
        reports.iter().filter_map(|report| Some((report.raw as f64 / 1e6, report.measured(OURS)?))).collect();
    let raw: f64 = ours.iter().map(|(raw, _)| raw).sum();
    let seconds = |of: fn(&Measured) -> f64| ours.iter().map(|(_, measured)| of(measured)).sum::<f64>().max(1e-3);
    let each = ours.iter().map(|(raw, measured)| raw / measured.encode.cpu_s.max(1e-3));
    let memory = ours.iter().map(|(_, measured)| measured.decode.peak_rss_mb).fold(0.0, f64::max);
    let least = Some(Goal::Least(40.0));
    vec![
        figure("hub_patch", raw / seconds(|of| of.encode.cpu_s), "MB/s", least, "patches of all pairs"),
        figure("hub_patch_least", each.fold(f64::INFINITY, f64::min), "MB/s", least, "the pair whose patch took longest"),
        figure(
            "node_apply",
            raw / seconds(|of| of.decode.cpu_s),
            "MB/s",
            Some(Goal::Least(200.0)),
            "patch and old packs to the new pack, and its tar with sha256; all pairs",
        ),
        figure("node_apply_rss", memory, "MB", Some(Goal::Value(32.0)), "the same, most memory of a process"),
    ]
}

/// How fast a hub takes in a layer, and how fast a node reads it.
fn store(home: &Path) -> Result<Vec<Figure>, Failure> {
    if !home.join("about.json").exists() {
        return Ok(Vec::new());
    }
    let about = About::open(home)?;
    let largest = about.new.iter().max_by_key(|tar| tar.bytes).ok_or("a pair without layers")?;
    let work = at(home, tempfile::Builder::new().prefix("store-").tempdir_in(home))?;
    let (tar, pack) = (home.join("new").join(&largest.file), work.path().join("pack"));
    let nowhere = Path::new("/dev/null");
    let seconds = |command: &Command| Ok::<_, Failure>(measured(work.path(), command, Some(nowhere))?.cpu_s);
    let speed = |seconds: f64| largest.bytes as f64 / 1e6 / seconds.max(1e-3);
    seconds(&step("read", &[&tar])?)?; // into the page cache
    let reading = seconds(&step("read", &[&tar])?)?;
    let chunk = seconds(&step("chunk", &[&tar])?)? - reading;
    let store = seconds(&step("pack", &[&tar, &pack])?)? - reading;
    let squeeze = seconds(tool("zstd").args(["-1", "--single-thread", "--stdout"]).arg(&tar))? - reading;
    let read = seconds(&step("tar", &[&pack])?)?;
    let [chunking, storing] = [1000.0, 200.0].map(|least| Some(Goal::Least(least)));
    let mut stored = figure("hub_store", speed(store), "MB/s", storing, "the pack of base, with sha256, without reading it");
    stored.floor = Some(speed(squeeze));
    Ok(vec![
        figure("hub_chunk", speed(chunk), "MB/s", chunking, "cut and name the chunks of base, without reading it"),
        stored,
        figure("node_tar", speed(read), "MB/s", None, "the tar of the pack of base, with sha256"),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::rivals::{Row, Verdict};
    use super::super::tool::Cost;
    use super::*;

    #[test]
    fn figures_add_up_over_pairs() {
        let row = |rival: &str, bytes, encode, decode| {
            let cost = |cpu_s| Cost { cpu_s, peak_rss_mb: 20.0 };
            let measured = Measured::new(&[("x", bytes)], cost(encode), cost(decode));
            Row { rival: rival.into(), command: String::new(), verdict: Verdict::Measured(measured) }
        };
        let report = |id: &str, gzip, ours, encode| Report {
            id: id.into(),
            layers: Vec::new(),
            raw: 100_000_000,
            rows: vec![row("gzip", gzip, 1.0, 1.0), row(OURS, ours, encode, 0.25)],
        };
        let reports = [report("base", 1000, 20, 1.0), report("app", 3000, 60, 4.0)];
        let figures = figures(Path::new("/nowhere"), &reports).expect("figures");
        let shown: Vec<(&str, f64)> = figures.iter().map(|figure| (figure.id.as_str(), figure.value)).collect();
        let expected = [
            ("wire_total", 2.0),
            ("wire_base", 2.0),
            ("wire_app", 2.0),
            ("hub_patch", 40.0),
            ("hub_patch_least", 25.0),
            ("node_apply", 400.0),
            ("node_apply_rss", 20.0),
        ];
        assert_eq!(shown, expected);
        assert_eq!(figures.iter().filter_map(Figure::kept).collect::<Vec<_>>(), [true, true, false, true, true]);
    }
}
