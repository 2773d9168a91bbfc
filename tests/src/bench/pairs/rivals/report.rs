//! What was measured, and how it is shown: a table for people, JSON for programs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::bench::pairs::tool::Cost;

/// One rival on all changed layers of a pair, one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Bytes that travel, in both directions.
    pub wire: u64,
    /// Of which kind they are.
    pub parts: BTreeMap<String, u64>,
    /// Where the new image is.
    pub encode: Cost,
    /// Where the old image is.
    pub decode: Cost,
}

impl Measured {
    /// The parts are all that travels.
    pub(in crate::bench::pairs) fn new(parts: &[(&str, u64)], encode: Cost, decode: Cost) -> Self {
        let wire = parts.iter().map(|(_, bytes)| bytes).sum();
        Self { wire, parts: parts.iter().map(|(name, bytes)| ((*name).to_owned(), *bytes)).collect(), encode, decode }
    }

    /// Together with the next layer.
    #[must_use]
    pub fn then(mut self, next: Self) -> Self {
        for (name, bytes) in next.parts {
            *self.parts.entry(name).or_insert(0) += bytes;
        }
        Self { wire: self.wire + next.wire, encode: self.encode.then(next.encode), decode: self.decode.then(next.decode), ..self }
    }
}

/// What became of a rival.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The new layers came out byte for byte.
    Measured(Measured),
    /// Why it was not tried.
    Skipped(String),
}

/// One rival.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its name.
    pub rival: String,
    /// What was run.
    pub command: String,
    /// What became of it.
    pub verdict: Verdict,
}

/// All rivals on one pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The pair's name.
    pub id: String,
    /// Digests of the changed layers, old and new: what the rows are about.
    pub layers: Vec<[String; 2]>,
    /// Bytes of the changed layers, unpacked.
    pub raw: u64,
    /// One for each rival.
    pub rows: Vec<Row>,
}

impl Report {
    /// What one rival did.
    pub fn measured(&self, rival: &str) -> Option<&Measured> {
        let row = self.rows.iter().find(|row| row.rival == rival)?;
        match &row.verdict {
            Verdict::Measured(measured) => Some(measured),
            Verdict::Skipped(_) => None,
        }
    }

    /// Bytes of one rival.
    pub fn wire(&self, rival: &str) -> Option<u64> {
        self.measured(rival).map(|measured| measured.wire)
    }

    /// As a part of the registry's way.
    fn share(&self, wire: u64) -> Option<f64> {
        self.wire("gzip").filter(|gzip| *gzip > 0).map(|gzip| wire as f64 / gzip as f64)
    }

    fn line(&self) -> String {
        let cell = |row: &Row| match &row.verdict {
            Verdict::Measured(measured) => {
                let share = self.share(measured.wire).map_or_else(String::new, |share| format!("{:.1} %", share * 100.0));
                format!("{:>9.3}{share:>8}", measured.wire as f64 / 1e6)
            }
            Verdict::Skipped(_) => format!("{:>9}{:>8}", "-", ""),
        };
        let cells: String = self.rows.iter().map(cell).collect();
        format!("{:<14}{:>7.1}{cells}", self.id, self.raw as f64 / 1e6)
    }
}

/// For people: MB (10⁶ bytes) and percent of gzip.
pub fn table(reports: &[Report]) -> String {
    let names = reports.first().map_or(&[][..], |report| &report.rows);
    let names: String = names.iter().map(|row| format!("{:>17}", row.rival)).collect();
    let lines: Vec<String> = reports.iter().map(|report| report.line().trim_end().to_owned()).collect();
    format!("{:<14}{:>7}{names}\n{}\n", "pair", "raw MB", lines.join("\n"))
}

/// For programs: a list of pairs with a list of rivals each; bytes, seconds, MB.
pub fn json(reports: &[Report]) -> Value {
    let row = |report: &Report, row: &Row| {
        let mut value = json!({"rival": row.rival, "command": row.command});
        let more = match &row.verdict {
            Verdict::Skipped(why) => json!({"skipped": why}),
            Verdict::Measured(measured) => json!({
                "bytes": measured.wire, "of_gzip": report.share(measured.wire), "parts": measured.parts,
                "encode": measured.encode, "decode": measured.decode,
            }),
        };
        if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
            value.extend(more);
        }
        value
    };
    let pair = |report: &Report| {
        let rivals: Vec<Value> = report.rows.iter().map(|one| row(report, one)).collect();
        json!({"id": report.id, "raw_bytes": report.raw, "layers": report.layers.len(), "rivals": rivals})
    };
    reports.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports() -> Vec<Report> {
        let cost = |cpu_s| Cost { cpu_s, peak_rss_mb: 4.0 };
        let row = |rival: &str, verdict| Row { rival: rival.into(), command: format!("{rival} -x"), verdict };
        let gzip = Measured::new(&[("layer", 2_000_000)], cost(1.0), cost(0.5));
        let delta = Measured::new(&[("delta", 300_000), ("signature", 100_000)], cost(2.0), cost(0.25));
        let skipped = Verdict::Skipped("too large".into());
        let rows = vec![row("gzip", Verdict::Measured(gzip)), row("delta", Verdict::Measured(delta)), row("xdelta3", skipped)];
        vec![Report { id: "base".into(), layers: vec![["aa".into(), "bb".into()]], raw: 5_000_000, rows }]
    }

    #[test]
    fn people_see_megabytes_and_percent() {
        let expected = "\
pair           raw MB             gzip            delta          xdelta3
base              5.0    2.000 100.0 %    0.400  20.0 %        -
";
        assert_eq!(table(&reports()), expected);
    }

    #[test]
    fn programs_see_every_part() {
        let cost = |cpu_s: f64| json!({"cpu_s": cpu_s, "peak_rss_mb": 4.0});
        let expected = json!([{"id": "base", "raw_bytes": 5_000_000, "layers": 1, "rivals": [
            {"rival": "gzip", "command": "gzip -x", "bytes": 2_000_000, "of_gzip": 1.0, "parts": {"layer": 2_000_000},
             "encode": cost(1.0), "decode": cost(0.5)},
            {"rival": "delta", "command": "delta -x", "bytes": 400_000, "of_gzip": 0.2,
             "parts": {"delta": 300_000, "signature": 100_000}, "encode": cost(2.0), "decode": cost(0.25)},
            {"rival": "xdelta3", "command": "xdelta3 -x", "skipped": "too large"},
        ]}]);
        assert_eq!(json(&reports()), expected);
    }

    #[test]
    fn layers_add_up() {
        let cost = |cpu_s, peak_rss_mb| Cost { cpu_s, peak_rss_mb };
        let one = Measured::new(&[("chunks", 5)], cost(1.0, 9.0), cost(1.0, 2.0));
        let two = Measured::new(&[("chunks", 7), ("index", 1)], cost(2.0, 3.0), cost(0.5, 8.0));
        let both = Measured::new(&[("chunks", 12), ("index", 1)], cost(3.0, 9.0), cost(1.5, 8.0));
        assert_eq!(one.then(two), both);
    }
}
