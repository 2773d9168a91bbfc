//! Other programs, run by argv: quietly, or with what they cost.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::demo::Failure;

/// Says which file it was about.
pub(super) fn at<T>(path: &Path, result: std::io::Result<T>) -> Result<T, Failure> {
    result.map_err(|error| format!("{}: {error}", path.display()))
}

/// A program that gets no input.
pub(super) fn tool(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command
}

/// Runs it to its end; what it printed.
///
/// # Errors
/// The command, and the end of what it complained about.
pub(super) fn run(command: &mut Command) -> Result<String, Failure> {
    let output = command.stderr(Stdio::piped()).output().map_err(|error| format!("{}: {error}", words(command)))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = complaint.lines().collect();
    let end = lines.get(lines.len().saturating_sub(10)..).unwrap_or_default().join("\n");
    Err(format!("{}: {}\n{end}", words(command), output.status))
}

fn words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// What some processes cost, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Cost {
    /// Seconds of processor time, in the kernel and outside.
    pub cpu_s: f64,
    /// Peak resident memory of the largest, MB (10⁶ bytes).
    pub peak_rss_mb: f64,
}

impl Cost {
    /// Together with `next`, which runs afterwards.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        Self { cpu_s: self.cpu_s + next.cpu_s, peak_rss_mb: self.peak_rss_mb.max(next.peak_rss_mb) }
    }
}

/// Runs `command` and says what it cost; what it prints goes to `output` where that is given.
pub(super) fn measured(work: &Path, command: &Command, output: Option<&Path>) -> Result<Cost, Failure> {
    let report = work.join("cost");
    let mut timed = tool("/usr/bin/time");
    timed.args(["--format=%U %S %M", "--output"]).arg(&report).arg(command.get_program()).args(command.get_args());
    if let Some(path) = output {
        // Through the child's own descriptor: what passes through us would cost us, not it.
        timed.stdout(Stdio::from(at(path, File::create(path))?));
    }
    run(&mut timed)?;
    let text = at(&report, std::fs::read_to_string(&report))?;
    cost(&text).ok_or_else(|| format!("{}: time said {text:?}", words(&timed)))
}

/// The kernel's `rusage` in the words of `time`: seconds, seconds, KiB.
fn cost(text: &str) -> Option<Cost> {
    let mut numbers = text.lines().last()?.split(' ').map(str::parse::<f64>);
    let mut next = || numbers.next()?.ok();
    Some(Cost { cpu_s: next()? + next()?, peak_rss_mb: next()? * 1024.0 / 1e6 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_time_are_understood() {
        assert_eq!(cost("0.25 0.50 1000\n"), Some(Cost { cpu_s: 0.75, peak_rss_mb: 1.024 }));
        assert_eq!(cost("Command exited with non-zero status 1\n"), None);
        let sum = Cost { cpu_s: 1.0, peak_rss_mb: 5.0 }.then(Cost { cpu_s: 0.5, peak_rss_mb: 2.0 });
        assert_eq!(sum, Cost { cpu_s: 1.5, peak_rss_mb: 5.0 });
    }

    #[test]
    fn a_failure_names_the_command_and_its_complaint() {
        assert_eq!(run(tool("echo").arg("hello")).as_deref(), Ok("hello\n"));
        let failure = run(tool("ls").arg("/nothing/here")).expect_err("a failure");
        assert!(failure.starts_with("ls /nothing/here: exit status") && failure.contains("No such file"), "{failure}");
    }
}
