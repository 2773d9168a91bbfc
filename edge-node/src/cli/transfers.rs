//! `transfers`, `pause`, `resume`.

use bytes::Bytes;
use hyper::Method;
use shared::fault::{Fault, Lang, Text, budget, cli};
use shared::id::Digest;
use shared::people::{self, Table};

use super::args::TransferArgs;
use super::client::Client;
use super::exit::{Ended, Exit};
use super::out::Out;
use crate::api::TransferView;

pub async fn list(client: &Client, out: &mut Out) -> Result<(), Ended> {
    let transfers: Vec<TransferView> = client.get("/v1/transfers").await?;
    if out.is_json() {
        return out.json(&transfers);
    }
    let lang = out.lang();
    let mut table = match lang {
        Lang::En => Table::new(["IMAGE", "PROGRESS"]),
        Lang::Zh => Table::new(["镜像", "进度"]),
    };
    for TransferView { transfer, seconds_left } in &transfers {
        table.row([transfer.image.short(), people::transfer(transfer, *seconds_left, lang)]);
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
            let image = find(client, &text).await?;
            (format!("/v1/transfers/{image}/{verb}"), image.short())
        }
    };
    client.send(Method::POST, &path, Bytes::new()).await?;
    out.say(&Fault::new(said).with("what", what))
}

/// The one transfer whose image begins with `text`.
async fn find(client: &Client, text: &str) -> Result<Digest, Ended> {
    let plain = text.strip_prefix("sha256:").unwrap_or(text);
    let transfers: Vec<TransferView> = client.get("/v1/transfers").await?;
    let images = transfers.iter().map(|view| view.transfer.image);
    let mut fits = images.filter(|image| !plain.is_empty() && image.hex().starts_with(plain));
    match (fits.next(), fits.next()) {
        (Some(image), None) => Ok(image),
        _ => {
            let shown: String = text.chars().take(80).collect();
            Err(Ended::failed(Exit::NotFound, Fault::new(&budget::NO_TRANSFER).with("image", shown)))
        }
    }
}
