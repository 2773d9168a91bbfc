//! The demo: the product's one sentence, with real parts, told as a table.
//!
//! A hub and a node run as separate processes, each on its own state; the node has a private containerd. Everything
//! they leave on the machine lies below one directory or carries one unique name, and is removed at the end.
//! [`steps`] is the story; [`site`] are the parts it is told with, and [`acts`] what an operator does with them.

mod acts;
mod site;
mod steps;

use std::time::{Duration, Instant};

pub use acts::{BALLAST, NODE, PROGRAM, Version};
pub use site::{Said, Site, program, wait_for};

/// What went wrong, for a person.
pub type Failure = String;

/// One line of the table.
struct Row {
    step: &'static str,
    proof: String,
    took: Duration,
}

/// Tells the story once. The table is printed even when a step fails.
///
/// # Errors
/// The step that failed, and why.
pub async fn run(site: &mut Site) -> Result<(), Failure> {
    let mut rows = Vec::new();
    let told = steps::all(site, &mut rows).await;
    say(&table(&rows));
    told
}

/// Does one step and adds its row.
async fn step<T>(
    rows: &mut Vec<Row>,
    name: &'static str,
    work: impl Future<Output = Result<(T, String), Failure>>,
) -> Result<T, Failure> {
    say(&format!("… {name}"));
    let begin = Instant::now();
    match work.await {
        Ok((value, proof)) => {
            say(&format!("  ✔ {proof}"));
            rows.push(Row { step: name, proof, took: begin.elapsed() });
            Ok(value)
        }
        Err(failure) => {
            rows.push(Row { step: name, proof: format!("FAILED: {failure}"), took: begin.elapsed() });
            Err(format!("{name}: {failure}"))
        }
    }
}

fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.step.chars().count()).max().unwrap_or(0);
    let line = |row: &Row| format!("  {:width$}  {:>7.2} s  {}", row.step, row.took.as_secs_f64(), row.proof);
    let lines: Vec<String> = rows.iter().map(line).collect();
    format!("\n  {:width$}  {:>9}  what was shown\n{}\n", "step", "time", lines.join("\n"))
}

/// Prints a line; a reader that went away is no reason to stop.
pub fn say(line: &str) {
    use std::io::Write;
    drop(writeln!(std::io::stdout(), "{line}"));
}
