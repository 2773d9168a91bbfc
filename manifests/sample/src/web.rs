//! The web service: the page, its state as JSON, metrics.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::http::{Answer, serve};
use crate::page::{self, View};
use crate::{Settings, client, say};

/// Serves the page on `:8080`.
pub(crate) fn run(settings: Settings) -> io::Result<()> {
    say(&format!("web: version {}, counter at {}", settings.version, settings.counter));
    let visits = AtomicU64::new(0);
    let listen = settings.listen.as_deref().unwrap_or("0.0.0.0:8080").to_owned();
    serve("web", &listen, move |path| answer(path, &settings, &visits))
}

fn answer(path: &str, settings: &Settings, visits: &AtomicU64) -> Answer {
    let view = |visits, count| View { version: &settings.version, visits, count };
    match path {
        "/" => {
            let visits = visits.fetch_add(1, Ordering::Relaxed) + 1;
            let body = page::html(&view(visits, count(settings, "/next")));
            Answer { status: 200, kind: "text/html; charset=utf-8", body }
        }
        "/status" => {
            let body = page::json(&view(visits.load(Ordering::Relaxed), count(settings, "/now")));
            Answer { status: 200, kind: "application/json", body }
        }
        "/metrics" => {
            let body = page::metrics(&view(visits.load(Ordering::Relaxed), count(settings, "/now")));
            Answer { status: 200, kind: "text/plain; version=0.0.4; charset=utf-8", body }
        }
        "/healthz" => Answer::health(settings.healthy),
        _ => Answer::text(404, "try /, /status, /metrics or /healthz\n"),
    }
}

/// The counter's answer; why there is none goes to the log.
fn count(settings: &Settings, path: &str) -> Option<u64> {
    match client::get(&settings.counter, path) {
        Ok(text) => text.trim_end().parse().ok(),
        Err(error) => {
            say(&format!("web: the counter at {} does not answer: {error}", settings.counter));
            None
        }
    }
}
