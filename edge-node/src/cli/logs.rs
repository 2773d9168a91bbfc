//! `logs`: one service, or all of an app with the service's name before each line.

use bytes::Bytes;
use shared::fault::{Fault, node};
use shared::id::Name;
use shared::people;
use shared::report::AppReport;
use tokio::sync::mpsc;

use super::args::LogsArgs;
use super::client::{Client, Stream};
use super::exit::{Ended, Exit};
use super::out::Out;

/// Longest line that is put together, in bytes; the daemon's lines are shorter.
const LINE_MAX: usize = 64 << 10;

pub async fn run(args: LogsArgs, client: &Client, out: &mut Out) -> Result<(), Ended> {
    let services = match args.service {
        Some(service) => vec![service],
        None => services(&args.app, client).await?,
    };
    let wide = services.iter().map(|service| people::width(service.as_str())).max().unwrap_or(0);
    let is_one = services.len() == 1;
    let (sender, mut lines) = mpsc::channel(64);
    for service in services {
        let path = format!("/v1/logs/{}/{service}?tail={}&follow={}", args.app, args.tail, args.follow);
        let prefix = if is_one { String::new() } else { format!("{service:wide$} | ") };
        tokio::spawn(read(prefix, client.stream(&path).await?, sender.clone()));
    }
    drop(sender);
    while let Some(piece) = lines.recv().await {
        out.lines(&piece?)?;
        if lines.is_empty() {
            out.flush()?;
        }
    }
    Ok(())
}

async fn services(app: &Name, client: &Client) -> Result<Vec<Name>, Ended> {
    let apps: Vec<AppReport> = client.get("/v1/apps").await?;
    let found = apps.into_iter().find(|found| found.app == *app);
    let app = found.ok_or_else(|| Ended::failed(Exit::NotFound, Fault::new(&node::APP_NOT_FOUND).with("app", app)))?;
    Ok(app.services.into_iter().map(|service| service.service).collect())
}

/// Sends the lines of one stream with `prefix`; ends when nobody listens.
async fn read(prefix: String, mut stream: Stream, sender: mpsc::Sender<Result<Bytes, Ended>>) {
    let mut rest = Vec::new();
    loop {
        let piece = match stream.next().await {
            Ok(Some(piece)) => piece,
            Ok(None) => break,
            Err(ended) => return drop(sender.send(Err(ended)).await),
        };
        rest.extend_from_slice(&piece);
        let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let whole = if rest.len() > LINE_MAX { rest.len() } else { whole };
        if whole != 0 && sender.send(Ok(prefixed(&prefix, rest.drain(..whole).as_slice()))).await.is_err() {
            return;
        }
    }
    if !rest.is_empty() {
        drop(sender.send(Ok(prefixed(&prefix, &rest))).await);
    }
}

fn prefixed(prefix: &str, lines: &[u8]) -> Bytes {
    let mut text = Vec::with_capacity(lines.len() + prefix.len());
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        text.extend_from_slice(prefix.as_bytes());
        text.extend_from_slice(line);
    }
    if !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_says_whose_it_is() {
        for (lines, expected) in [("a\nb\n", "web | a\nweb | b\n"), ("a", "web | a\n"), ("\n", "web | \n")] {
            assert_eq!(prefixed("web | ", lines.as_bytes()), expected);
        }
    }
}
