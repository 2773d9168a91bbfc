//! An ERROR in the log fails a run: whatever the product calls an error must not happen in a world whose faults it
//! promises to survive.
//!
//! One layer for the whole process. Each run has its own thread, and what is logged there belongs to it; what other
//! threads log (a store's writer) belongs to whoever looks next. `WORLD_LOG=1` also prints every line from `info` up.

use std::cell::RefCell;
use std::fmt::{Debug, Write};
use std::sync::{Mutex, Once, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

thread_local! {
    static HERE: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}
static ELSEWHERE: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// Errors that are kept: one is enough to fail, a few help to understand.
const KEPT: usize = 20;

/// Begins to listen to this thread, with nothing heard so far.
pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let listener = tracing_subscriber::registry().with(Listener { loud: std::env::var_os("WORLD_LOG").is_some() });
        // Fails only when somebody else listens already, which a test would notice by itself.
        let _first = tracing::subscriber::set_global_default(listener);
    });
    HERE.with_borrow_mut(|here| *here = Some(Vec::new()));
}

/// What was heard since [`listen`], here and on threads that are nobody's.
pub fn heard() -> Vec<String> {
    let mut all = HERE.with_borrow_mut(|here| here.replace(Vec::new()).unwrap_or_default());
    all.append(&mut ELSEWHERE.lock().unwrap_or_else(PoisonError::into_inner));
    all
}

struct Listener {
    loud: bool,
}

impl<S: Subscriber> Layer<S> for Listener {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let level = if self.loud { Level::INFO } else { Level::ERROR };
        *metadata.level() <= level
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line(format!("{} {}:", event.metadata().level(), event.metadata().target()));
        event.record(&mut line);
        if self.loud {
            super::say(&line.0);
        }
        if *event.metadata().level() != Level::ERROR {
            return;
        }
        let elsewhere = HERE.with_borrow_mut(|here| match here {
            Some(errors) if errors.len() < KEPT => {
                errors.push(std::mem::take(&mut line.0));
                false
            }
            Some(_) => false,
            None => true,
        });
        if elsewhere {
            ELSEWHERE.lock().unwrap_or_else(PoisonError::into_inner).push(line.0);
        }
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing into a text has no way to fail.
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
