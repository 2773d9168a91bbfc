//! `trust show|add`.

use hyper::Method;
use shared::fault::{Fault, cli};
use shared::people::Table;

use super::args::TrustAction;
use super::client::Client;
use super::exit::Ended;
use super::out::Out;
use crate::api::{NewPublisher, TrustView};

pub async fn run(action: TrustAction, client: &Client, out: &mut Out) -> Result<(), Ended> {
    match action {
        TrustAction::Show => show(&client.get("/v1/trust").await?, out),
        TrustAction::Add { key } => {
            // Plain data with one field has no way to fail; an empty body would be refused by name.
            let body = serde_json::to_vec(&NewPublisher { key }).unwrap_or_default();
            client.send(Method::POST, "/v1/trust/publishers", body.into()).await?;
            out.say(&Fault::new(&cli::KEY_TRUSTED).with("key", key))
        }
    }
}

fn show(trust: &TrustView, out: &mut Out) -> Result<(), Ended> {
    if out.is_json() {
        return out.json(trust);
    }
    let mut table = Table::default();
    table.row([out.pick("Node", "节点").into(), trust.node.to_string()]);
    table.row([out.pick("Hub", "中心").into(), trust.hub.clone()]);
    table.row([out.pick("Gate", "接入地址").into(), trust.mqtt.clone()]);
    table.row([out.pick("CA", "CA 指纹").into(), trust.ca.to_string()]);
    table.row([out.pick("Hub key", "中心密钥").into(), trust.hub_key.to_string()]);
    for publisher in &trust.publishers {
        table.row([out.pick("Publisher key", "发布者密钥").into(), publisher.key.to_string()]);
    }
    out.table(&mut table)
}
