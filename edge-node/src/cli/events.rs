//! `events`: the journal of this node.

use std::time::Duration;

use shared::fault::Lang;
use shared::people::{self, Table};
use shared::report::Event;

use super::args::EventsArgs;
use super::client::Client;
use super::exit::Ended;
use super::out::Out;

/// How often to look for new events.
const EVERY: Duration = Duration::from_secs(1);

pub async fn run(args: EventsArgs, client: &Client, out: &mut Out) -> Result<(), Ended> {
    let mut from = args.from;
    let mut events: Vec<Event> = client.get(&path(from, args.limit)).await?;
    if !args.follow && out.is_json() {
        return out.json(&events);
    }
    let mut table = match out.lang() {
        Lang::En => Table::new(["NUMBER", "TIME", "APP", "EVENT"]),
        Lang::Zh => Table::new(["序号", "时间", "应用", "事件"]),
    };
    loop {
        from = events.last().map(|event| event.number + 1).or(from).or(Some(0));
        if out.is_json() {
            events.iter().try_for_each(|event| out.json_line(event))?;
        } else {
            events.iter().for_each(|event| table.row(cells(event, out.lang())));
            out.table(&mut table)?;
            out.flush()?;
        }
        if !args.follow {
            return Ok(());
        }
        tokio::time::sleep(EVERY).await;
        events = client.get(&path(from, args.limit)).await?;
    }
}

fn path(from: Option<u64>, limit: usize) -> String {
    let from = from.map(|from| format!("from={from}&")).unwrap_or_default();
    format!("/v1/events?{from}limit={limit}")
}

fn cells(event: &Event, lang: Lang) -> [String; 4] {
    let app = event.app.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    [event.number.to_string(), people::rfc3339(event.wall), app, event.what.text(lang)]
}
