//! The demo's application: a page, a counter that survives restarts, metrics.
//!
//! One static binary with two roles, so that one small image shows what an app of two services needs:
//!
//! ```text
//! browser ─▶ web :8080  page, /status, /healthz, /metrics ─ http://counter:8081/next ─▶ counter :8081 ─▶ /data/counter
//! ```
//!
//! Environment: `SAMPLE_VERSION` is shown on the page; `SAMPLE_HEALTH=never` makes `/healthz` answer 503, as a
//! broken release would; `SAMPLE_COUNTER` is where the counter is (default `counter:8081`); `SAMPLE_LISTEN` and
//! `SAMPLE_DATA` move the listener and the counter's directory. Standard library only.

mod client;
mod counter;
mod http;
mod page;
mod store;
mod sys;
mod web;

use std::io::{self, Write};
use std::process::ExitCode;

/// What both roles take from the environment.
#[derive(Debug, Clone)]
struct Settings {
    version: String,
    healthy: bool,
    counter: String,
    listen: Option<String>,
    data: String,
}

impl Settings {
    fn from_environment() -> Self {
        let get = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            version: get("SAMPLE_VERSION").unwrap_or_else(|| env!("CARGO_PKG_VERSION").into()),
            healthy: get("SAMPLE_HEALTH").as_deref() != Some("never"),
            counter: get("SAMPLE_COUNTER").unwrap_or_else(|| "counter:8081".into()),
            listen: get("SAMPLE_LISTEN"),
            data: get("SAMPLE_DATA").unwrap_or_else(|| "/data".into()),
        }
    }
}

fn main() -> ExitCode {
    sys::exit_on_signals();
    let settings = Settings::from_environment();
    let result = match std::env::args().nth(1).as_deref() {
        Some("web") => web::run(settings),
        Some("counter") => counter::run(settings),
        _ => {
            say(&format!("sample-app {}: expected a role: sample-app web | counter", settings.version));
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("sample-app: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// One line to standard output, which is the service's log. A log that cannot be written is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}
