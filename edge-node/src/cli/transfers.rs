//! `transfers`, `pause`, `resume`.

use bytes::Bytes;
use hyper::Method;
use shared::fault::{Fault, Lang, Text, budget, cli};
use shared::people::{self, Table};
use shared::report::Transfer;

use super::args::TransferArgs;
use super::client::Client;
use super::exit::{Ended, Exit};
use super::out::Out;

pub async fn list(client: &Client, out: &mut Out) -> Result<(), Ended> {
    let transfers: Vec<Transfer> = client.get("/v1/transfers").await?;
    if out.is_json() {
        return out.json(&transfers);
    }
    let mut table = match out.lang() {
        Lang::En => Table::new(["IMAGE", "DONE", "OF", "STATE"]),
        Lang::Zh => Table::new(["镜像", "已传输", "总量", "状态"]),
    };
    for Transfer { image, done, total, waits } in &transfers {
        let of = if *total == 0 { "-".into() } else { people::bytes(*total) };
        let state = match waits {
            Some(fault) => format!("{} [{}]", fault.text(out.lang()), fault.code),
            None => out.pick("on its way", "传输中").into(),
        };
        table.row([image.short(), people::bytes(*done), of, state]);
    }
    out.table(&mut table)
}

/// What may be told about a transfer.
#[derive(Debug, Clone, Copy)]
pub enum Verb {
    Pause,
    Resume,
}

impl Verb {
    /// As in the API, and what to say when it is done.
    const fn words(self) -> (&'static str, &'static Text) {
        match self {
            Self::Pause => ("pause", &cli::PAUSED),
            Self::Resume => ("resume", &cli::RESUMED),
        }
    }
}

pub async fn tell(verb: Verb, args: TransferArgs, client: &Client, out: &mut Out) -> Result<(), Ended> {
    let (verb, said) = verb.words();
    let (path, what) = match args.image {
        None => (format!("/v1/transfers/{verb}"), out.pick("all transfers", "全部传输").to_owned()),
        Some(text) => {
            let image = find(client, &text).await?.image;
            (format!("/v1/transfers/{image}/{verb}"), image.short())
        }
    };
    client.send(Method::POST, &path, Bytes::new()).await?;
    out.say(&Fault::new(said).with("what", what))
}

/// The one transfer whose image begins with `text`.
async fn find(client: &Client, text: &str) -> Result<Transfer, Ended> {
    let plain = text.strip_prefix("sha256:").unwrap_or(text);
    let mut transfers: Vec<Transfer> = client.get("/v1/transfers").await?;
    transfers.retain(|transfer| !plain.is_empty() && transfer.image.hex().starts_with(plain));
    match (transfers.pop(), transfers.len()) {
        (Some(transfer), 0) => Ok(transfer),
        _ => {
            let shown: String = text.chars().take(80).collect();
            Err(Ended::failed(Exit::NotFound, Fault::new(&budget::NO_TRANSFER).with("image", shown)))
        }
    }
}
