//! Objects in the form that was asked for.

use serde_json::Value;
use shared::people::{Dollars, yaml};

use super::args::Format;
use super::client::ClientError;
use super::error::CliError;
use super::kinds::Kind;
use super::rows;
use super::session::Session;
use super::table::Sheet;

/// How one command shows objects of one kind.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    pub(super) format: Format,
    sheet: Sheet,
}

impl Shape {
    /// For objects of `kind`.
    pub(super) fn new(session: &Session, kind: Kind, format: Format, headers: bool) -> Self {
        let sheet = Sheet::new(rows::columns(kind), session.lang(), format == Format::Wide, headers);
        Self { kind, format, sheet }
    }

    /// A list.
    pub(super) fn list(&mut self, session: &mut Session, items: &[Value], revision: u64) -> Result<(), CliError> {
        match self.format {
            Format::Table | Format::Wide | Format::Name => self.some(session, items),
            Format::Json | Format::Yaml => self.document(session, &serde_json::json!({"items": items, "revision": revision})),
        }
    }

    /// One object.
    pub(super) fn one(&mut self, session: &mut Session, object: &Value) -> Result<(), CliError> {
        match self.format {
            Format::Table | Format::Wide | Format::Name => self.some(session, std::slice::from_ref(object)),
            Format::Json | Format::Yaml => self.document(session, object),
        }
    }

    /// The beginning of an endless list; its rows share their columns, and there are names of columns even for no row.
    pub(super) fn first(&mut self, session: &mut Session, items: &[Value]) -> Result<(), CliError> {
        match self.format {
            Format::Table | Format::Wide | Format::Name => self.some(session, items),
            Format::Json | Format::Yaml => items.iter().try_for_each(|item| self.next(session, item)),
        }
    }

    /// One object of an endless list: a line of JSON, a document of YAML, a row.
    pub(super) fn next(&mut self, session: &mut Session, object: &Value) -> Result<(), CliError> {
        match self.format {
            Format::Table | Format::Wide | Format::Name => self.some(session, std::slice::from_ref(object)),
            Format::Json => Ok(session.out.lines(&format!("{object}\n"))?),
            Format::Yaml => Ok(session.out.write(&format!("---\n{}", yaml(object, Dollars::Plain)))?),
        }
    }

    /// An object that is gone.
    pub(super) fn gone(&mut self, session: &mut Session, name: &str) -> Result<(), CliError> {
        let kind = self.kind.singular();
        match self.format {
            Format::Table | Format::Wide => {
                let mut row = vec![name.to_owned(), super::words::word(session.lang(), "deleted")];
                row.resize(rows::columns(self.kind).len(), String::new());
                Ok(session.out.write(&self.sheet.lines(&[row]))?)
            }
            Format::Name => Ok(session.out.line(format_args!("{kind}/{name}"))?),
            Format::Json | Format::Yaml => self.next(session, &serde_json::json!({"deleted": true, "metadata": {"name": name}})),
        }
    }

    fn some(&mut self, session: &mut Session, items: &[Value]) -> Result<(), CliError> {
        if self.format == Format::Name {
            for item in items {
                session.out.line(format_args!("{}/{}", self.kind.singular(), self.kind.name_of(item)))?;
            }
            return Ok(());
        }
        let view = session.view();
        let rows = items.iter().map(|item| rows::cells(self.kind, item, view)).collect::<Result<Vec<_>, _>>();
        let rows = rows.map_err(|error| ClientError::BadAnswer { server: "hub".into(), cause: error.to_string() })?;
        Ok(session.out.write(&self.sheet.lines(&rows))?)
    }

    fn document(&self, session: &mut Session, value: &Value) -> Result<(), CliError> {
        document(session, self.format, value)
    }
}

/// A value as JSON or YAML.
pub(super) fn document(session: &mut Session, format: Format, value: &Value) -> Result<(), CliError> {
    match format {
        Format::Yaml => Ok(session.out.write(&yaml(value, Dollars::Plain))?),
        Format::Json | Format::Table | Format::Wide | Format::Name => Ok(session.out.lines(&format!("{value:#}\n"))?),
    }
}
