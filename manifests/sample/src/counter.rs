//! The counter: `/next` counts one up and answers when that is on disk, `/now` only looks.

use std::io;
use std::sync::{Mutex, PoisonError};

use crate::http::{Answer, serve};
use crate::store::Store;
use crate::{Settings, say};

/// Serves the counter on `:8081`.
pub(crate) fn run(settings: Settings) -> io::Result<()> {
    let store = Store::open(&settings.data)?;
    say(&format!("counter: version {}, counting on from {}", settings.version, store.number()));
    let store = Mutex::new(store);
    let listen = settings.listen.as_deref().unwrap_or("0.0.0.0:8081").to_owned();
    serve("counter", &listen, move |path| answer(path, &settings, &store))
}

fn answer(path: &str, settings: &Settings, store: &Mutex<Store>) -> Answer {
    // A number is whole at any moment, so a poisoned lock is as good as any.
    let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
    match path {
        "/next" => match store.next() {
            Ok(number) => Answer::text(200, format!("{number}\n")),
            Err(error) => Answer::text(500, format!("{error}\n")),
        },
        "/now" => Answer::text(200, format!("{}\n", store.number())),
        "/healthz" => Answer::health(settings.healthy),
        _ => Answer::text(404, "try /next or /now\n"),
    }
}
