//! `hubctl describe`: one object with everything that matters to it.

mod catalog;
mod deployment;
mod node;

use serde::Deserialize;
use serde_json::Value;
use shared::fault::{Fault, cli};

use super::super::args::Describe;
use super::super::client::Client;
use super::super::error::CliError;
use super::super::kinds::{self, Kind, shown};
use super::super::page::Page;
use super::super::rows;
use super::super::session::Session;
use super::super::table::Column;
use super::get;
use crate::api::types::List;

/// Events on a page.
const EVENTS: usize = 10;

pub(super) async fn run(session: &mut Session, args: &Describe) -> Result<(), CliError> {
    let names: Vec<String> = args.name.clone().into_iter().collect();
    let (kind, names) = kinds::kind_and_names(&args.kind, &names)?;
    let [name] = names.as_slice() else {
        let fault = Fault::new(&cli::BAD_REFERENCE).with("text", shown(&args.kind)).with("form", "KIND NAME");
        return Err(CliError::Usage(fault.with("example", "node crane-7")));
    };
    let client = session.client()?;
    let object = get::one(&client, session, kind, name).await?;
    let view = session.view();
    let mut page = Page::new(view.lang);
    let bad = |error: serde_json::Error| client.bad_answer(error);
    match kind {
        Kind::Nodes => {
            node::page(&mut page, &Deserialize::deserialize(&object).map_err(bad)?, view);
            events(&mut page, session, &client, "node", name).await?;
        }
        Kind::Deployments => deployment::page(&mut page, &Deserialize::deserialize(&object).map_err(bad)?, view),
        Kind::Releases => catalog::release(&mut page, &Deserialize::deserialize(&object).map_err(bad)?, view),
        Kind::Apps => {
            row(&mut page, kind, &object, session, &client)?;
            let all: List<Value> = client.get(Kind::Releases.list().with("app", name)).await?;
            page.section("Releases", "发布包");
            table(&mut page, Kind::Releases, &all.items, session, &client)?;
            events(&mut page, session, &client, "app", name).await?;
        }
        Kind::Budgets | Kind::Events | Kind::Publishers | Kind::Tokens | Kind::ApiTokens => {
            row(&mut page, kind, &object, session, &client)?
        }
    }
    Ok(session.out.write(&page.finish())?)
}

/// All columns of one object, one below the other.
fn row(page: &mut Page, kind: Kind, object: &Value, session: &Session, client: &Client) -> Result<(), CliError> {
    let cells = rows::cells(kind, object, session.view()).map_err(|error| client.bad_answer(error))?;
    for (Column { en, zh, .. }, cell) in rows::columns(kind).iter().zip(cells) {
        page.field(en, zh, cell);
    }
    Ok(())
}

fn table(page: &mut Page, kind: Kind, objects: &[Value], session: &Session, client: &Client) -> Result<(), CliError> {
    let view = session.view();
    let rows = objects.iter().map(|object| rows::cells(kind, object, view)).collect::<Result<Vec<_>, _>>();
    page.table(rows::columns(kind), &rows.map_err(|error| client.bad_answer(error))?);
    Ok(())
}

/// The newest events about it.
async fn events(page: &mut Page, session: &Session, client: &Client, key: &'static str, name: &str) -> Result<(), CliError> {
    let list: List<Value> = client.get(Kind::Events.list().with(key, name).with("limit", EVENTS)).await?;
    if list.items.is_empty() {
        return Ok(());
    }
    page.section("Events", "事件");
    table(page, Kind::Events, &list.items, session, client)
}
