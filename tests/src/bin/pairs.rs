//! `make bench-images`: real pairs of images, and what others and our hub send for what changed in them.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use scenarios::bench::pairs::{About, Pair, Step, chosen, figures, json, make, measure, table};
use scenarios::bench::{self, Figure};
use scenarios::demo::{Failure, say};

/// Pairs of images, old and new.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Make them from Debian, PyPI and npm packages and from this workspace; what is there stays.
    Make {
        /// A directory on a disk, with 10 GB free.
        #[arg(long)]
        dir: PathBuf,
        /// When one cannot be made, say why and go on; fail only when none can be made.
        #[arg(long)]
        keep_going: bool,
        /// Which; all when none is named.
        ids: Vec<String>,
    },
    /// Measure what others would send, and what our hub sends.
    Rivals {
        /// Where the pairs are; those that are not there are left out.
        #[arg(long)]
        dir: PathBuf,
        /// Also write everything as JSON.
        #[arg(long)]
        json: Option<PathBuf>,
        /// Also write our figures as JSON.
        #[arg(long)]
        figures: Option<PathBuf>,
        /// Which; all that are there when none is named.
        ids: Vec<String>,
    },
    /// One step of hub or node, for this program itself.
    #[command(hide = true)]
    Step {
        #[command(subcommand)]
        step: Step,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().what {
        What::Make { dir, keep_going, ids } => chosen(&ids).and_then(|pairs| make_all(&dir, keep_going, &pairs)),
        What::Rivals { dir, json, figures, ids } => {
            chosen(&ids).and_then(|pairs| measure_all(&dir, json.as_deref(), figures.as_deref(), &pairs))
        }
        What::Step { step } => step.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            drop(writeln!(io::stderr(), "{failure}"));
            ExitCode::FAILURE
        }
    }
}

fn make_all(dir: &Path, keep_going: bool, pairs: &[Pair]) -> Result<(), Failure> {
    let mut failures = Vec::new();
    for pair in pairs {
        match make(dir, pair) {
            Ok(about) => say(&about.line()),
            Err(failure) => failures.push(format!("{:<14} could not be made: {failure}", pair.id)),
        }
    }
    let text = failures.join("\n");
    if failures.is_empty() {
        return Ok(());
    }
    if keep_going && failures.len() < pairs.len() {
        say(&text);
        return Ok(());
    }
    Err(text)
}

fn measure_all(dir: &Path, json_file: Option<&Path>, figures_file: Option<&Path>, pairs: &[Pair]) -> Result<(), Failure> {
    let mut reports = Vec::new();
    for pair in pairs {
        let home = dir.join(pair.id);
        if home.join("about.json").exists() {
            reports.push(measure(&home, &About::open(&home)?)?);
        }
    }
    say(&format!("\n{}", table(&reports)));
    let ours: Vec<Figure> = figures(dir, &reports)?;
    say(&format!("\n{}", bench::table(&ours)));
    write(json_file, &json(&reports))?;
    write(figures_file, &bench::json(&ours))
}

fn write(path: Option<&Path>, value: &serde_json::Value) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    let text = serde_json::to_vec_pretty(value).map_err(|error| error.to_string())?;
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
