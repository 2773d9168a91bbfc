//! Answers that are lines of JSON: how far some work is, and at last what came of it.

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;

/// Lines that wait for a client; more progress is left out.
const LINES: usize = 64;

/// Where work says how far it is.
pub(super) struct Told<L>(mpsc::Sender<L>);

impl<L> Told<L> {
    /// Says it, unless the reader has not read what was said before.
    pub(super) fn say(&self, line: L) {
        let _more_progress_comes = self.0.try_send(line);
    }
}

/// The answer of `work`, whose output is the last line. It ends when its reader is gone, and then gives its permit back.
pub(super) fn answer<L, W>(permit: OwnedSemaphorePermit, work: impl FnOnce(Told<L>) -> W) -> Response
where
    L: Serialize + Send + 'static,
    W: Future<Output = L> + Send + 'static,
{
    let (sender, lines) = mpsc::channel(LINES);
    let work = work(Told(sender.clone()));
    tokio::spawn(async move {
        let last = tokio::select! {
            // What was fetched or made stays, and the next one who asks finds it.
            () = sender.closed() => return,
            last = work => last,
        };
        let _reader_may_be_gone = sender.send(last).await;
        drop(permit);
    });
    let text = |line: L| {
        serde_json::to_vec(&line).map(|mut line| {
            line.push(b'\n');
            Bytes::from(line)
        })
    };
    let body = Body::from_stream(ReceiverStream::new(lines).map(text));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use axum::body::to_bytes;
    use tokio::sync::Semaphore;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn the_last_line_comes_even_if_progress_was_left_out() {
        let permits = Arc::new(Semaphore::new(1));
        let response = answer(permits.clone().try_acquire_owned().unwrap(), |told| async move {
            (0..1000).for_each(|number| told.say(number));
            1000
        });
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/x-ndjson");
        let text = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let expected: String = (0..LINES).chain([1000]).map(|number| format!("{number}\n")).collect();
        assert_eq!(text, expected);
        drop(timeout(Duration::from_secs(10), permits.acquire()).await.unwrap().unwrap());
    }

    #[tokio::test]
    async fn work_ends_when_its_reader_is_gone() {
        let permits = Arc::new(Semaphore::new(1));
        let response = answer(permits.clone().try_acquire_owned().unwrap(), |told| async move {
            told.say(0);
            std::future::pending().await
        });
        tokio::task::yield_now().await;
        assert_eq!(permits.available_permits(), 0);
        drop(response);
        drop(timeout(Duration::from_secs(10), permits.acquire()).await.unwrap().unwrap());
    }
}
