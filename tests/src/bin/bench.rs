//! `make bench`: figures of the node, each against a floor of the same run.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use scenarios::bench::{Figure, Part, Plan, json, run, table};
use scenarios::demo::{Failure, say};
use scenarios::firewall::SharedChains;

/// Measures the node.
#[derive(Parser)]
struct Arguments {
    /// Also write the figures as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// One part only.
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Everything once and small, to see that it runs; the figures mean nothing.
    #[arg(long)]
    quick: bool,
    /// A directory on a disk for everything that is made.
    #[arg(long, default_value = "/var/tmp")]
    dir: PathBuf,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    match measure(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            drop(writeln!(io::stderr(), "{failure}"));
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &Arguments) -> Result<(), Failure> {
    if cfg!(debug_assertions) && !arguments.quick {
        return Err("these figures are about release builds: make bench (or --quick, to see that it runs)".into());
    }
    let plan = if arguments.quick { Plan::QUICK } else { Plan::FULL };
    let dir = tempfile::Builder::new().prefix("causeway-bench-").tempdir_in(&arguments.dir);
    let dir = dir.map_err(|error| format!("{}: {error}", arguments.dir.display()))?;
    let _chains = SharedChains::remember();
    let before = load();
    let figures = Box::pin(run(&plan, arguments.only, dir.path())).await?;
    say(&format!("\n{}\nload of the machine: {before} before, {} after", table(&figures), load()));
    arguments.json.as_ref().map_or(Ok(()), |path| write(path, &figures))
}

fn write(path: &PathBuf, figures: &[Figure]) -> Result<(), Failure> {
    let text = serde_json::to_vec_pretty(&json(figures)).map_err(|error| error.to_string())?;
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// How many processes wanted to run in the last minute, and in the last five and fifteen.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}
