//! `hubctl get`: objects of one kind.

use serde_json::Value;
use shared::fault::{Fault, cli};

use super::super::args::{Format, Get};
use super::super::client::{Client, ClientError, Target};
use super::super::error::CliError;
use super::super::kinds::{self, Kind};
use super::super::session::Session;
use super::super::show::Shape;
use super::watch;
use crate::api::types::List;
use crate::nodes::selector::Selector;

/// Objects that are asked for at once.
const PAGE: usize = 1000;
/// Most pages of one list.
const PAGES_MAX: usize = 1000;

/// What is looked at.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) kind: Kind,
    /// Only these, if any.
    names: Vec<String>,
    selector: Option<String>,
    /// Read from `selector`.
    conditions: Selector,
    node: Option<String>,
    app: Option<String>,
    limit: u32,
}

pub(super) async fn run(session: &mut Session, args: &Get) -> Result<(), CliError> {
    let query = Query::of(args)?;
    let client = session.client()?;
    let mut shape = Shape::new(session, query.kind, args.output.format, !args.no_headers);
    if let ([name], false) = (query.names.as_slice(), args.watch) {
        let object = one(&client, session, query.kind, name).await?;
        return shape.one(session, &object);
    }
    let list = query.list(&client).await?;
    query.check_all_found(session, &list)?;
    if args.watch {
        return watch::run(session, &client, &query, &mut shape, list).await;
    }
    if list.items.is_empty() && matches!(args.output.format, Format::Table | Format::Wide) {
        let fault = Fault::new(&cli::NOTHING_FOUND).with("kind", query.kind.word(session.lang()));
        session.out.remark(fault.text(session.lang()));
        return Ok(());
    }
    shape.list(session, &list.items, list.revision)
}

/// One object, by whichever way the API has.
pub(super) async fn one(client: &Client, session: &Session, kind: Kind, name: &str) -> Result<Value, CliError> {
    if kind.has_single() {
        return Ok(client.get(kind.single(name)?).await?);
    }
    let list = pages(client, &kind.list()).await?;
    let found = list.items.into_iter().find(|item| kind.name_of(item) == name);
    found.ok_or_else(|| not_found(session, kind, name))
}

fn not_found(session: &Session, kind: Kind, name: &str) -> CliError {
    let fault = Fault::new(&cli::NOT_FOUND).with("kind", kind.word(session.lang()));
    CliError::NotFound(fault.with("name", kinds::shown(name)))
}

impl Query {
    fn of(args: &Get) -> Result<Self, CliError> {
        let (kind, names) = kinds::kind_and_names(&args.kind, &args.names)?;
        let usage = |what: &str| CliError::Usage(Fault::new(&cli::NOT_FOR_KIND).with("what", what).with("kind", kind.plural()));
        match args {
            Get { selector: Some(_), .. } if !kind.has_labels() => return Err(usage("--selector")),
            Get { node: Some(_), .. } if kind != Kind::Events => return Err(usage("--node")),
            Get { app: Some(_), .. } if kind != Kind::Events => return Err(usage("--app")),
            Get { watch: true, .. } if !kind.is_watched() && kind != Kind::Events => return Err(usage("--watch")),
            _ => {}
        }
        let conditions = args.selector.as_deref().unwrap_or_default().parse();
        let conditions = conditions.map_err(|error| CliError::Usage(shared::fault::Faulty::fault(&error)))?;
        for name in args.node.iter().chain(&args.app) {
            kinds::name(name)?;
        }
        let (selector, node, app) = (args.selector.clone(), args.node.clone(), args.app.clone());
        Ok(Self { kind, names, selector, conditions, node, app, limit: args.limit })
    }

    /// Whether an object is one that is looked at.
    pub(super) fn fits(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels").or_else(|| object.pointer("/labels"));
        let labels: std::collections::BTreeMap<String, String> =
            labels.and_then(|labels| serde_json::from_value(labels.clone()).ok()).unwrap_or_default();
        let named = self.names.is_empty() || self.names.iter().any(|name| *name == self.kind.name_of(object));
        named && self.conditions.fits(&labels)
    }

    /// Whether an object of that name, which is gone, may have been one that is looked at.
    pub(super) fn takes_name(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|known| known == name)
    }

    /// What there is now.
    pub(super) async fn list(&self, client: &Client) -> Result<List<Value>, ClientError> {
        if self.kind == Kind::Events {
            return client.get(self.events_after(None)).await;
        }
        let selector = self.selector.as_ref().filter(|_| self.kind == Kind::Nodes);
        let mut list = pages(client, &self.kind.list().with_some("selector", selector)).await?;
        list.items.retain(|object| self.fits(object));
        Ok(list)
    }

    /// The events behind a cursor, or the newest ones.
    pub(super) fn events_after(&self, cursor: Option<&str>) -> Target<'static> {
        let target = Kind::Events.list().with_some("node", self.node.as_ref()).with_some("app", self.app.as_ref());
        target.with("limit", self.limit).with_some("after", cursor)
    }

    /// Every name that was given must be there.
    fn check_all_found(&self, session: &Session, list: &List<Value>) -> Result<(), CliError> {
        let found = |name: &&String| list.items.iter().any(|item| self.kind.name_of(item) == **name);
        match self.names.iter().find(|name| !found(name)) {
            Some(name) => Err(not_found(session, self.kind, name)),
            None => Ok(()),
        }
    }
}

/// A whole list, page by page.
async fn pages(client: &Client, target: &Target<'static>) -> Result<List<Value>, ClientError> {
    let mut all: Option<List<Value>> = None;
    let mut after: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let asked = if after.is_some() { target.clone().with("limit", PAGE) } else { target.clone() };
        let page: List<Value> = client.get(asked.with_some("after", after.as_ref())).await?;
        after.clone_from(&page.next);
        match &mut all {
            // The revision of the first page: a watch from there misses nothing.
            Some(all) => all.items.extend(page.items),
            None => all = Some(page),
        }
        if after.is_none() {
            break;
        }
    }
    Ok(all.unwrap_or(List { items: Vec::new(), revision: 0, next: None }))
}
