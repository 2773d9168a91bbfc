//! `hubctl publisher`, `hubctl token`, `hubctl api-token`: who may sign, join, call.

use std::collections::BTreeMap;

use reqwest::Method;
use shared::fault::{Fault, cli};
use shared::people;

use super::super::args::{ApiTokenCommand, Format, PublisherCommand, TokenCommand};
use super::super::client::Target;
use super::super::error::CliError;
use super::super::keys;
use super::super::kinds::{Kind, name, pair};
use super::super::session::{Session, time};
use super::super::show::document;
use super::super::words::word_of;
use crate::api::types::{IssuedApiToken, IssuedToken, NewApiToken, NewPublisher, NewToken, Publisher, Role};

pub(super) async fn publisher(session: &mut Session, command: &PublisherCommand) -> Result<(), CliError> {
    match command {
        PublisherCommand::Add { name, key } => {
            let new = NewPublisher { name: self::name(name)?, key: keys::public(key)? };
            let target = Target::new(&["publishers"]);
            let (made, _): (Publisher, _) = session.client()?.change(Method::POST, target, None, &new).await?;
            let fault = Fault::new(&cli::PUBLISHER_ADDED).with("name", made.metadata.name).with("key", made.spec.key);
            Ok(session.out.say(&fault)?)
        }
        PublisherCommand::Remove { name } => remove(session, Kind::Publishers, name).await,
    }
}

pub(super) async fn token(session: &mut Session, command: &TokenCommand) -> Result<(), CliError> {
    match command {
        TokenCommand::Create { node, ttl, label, output } => {
            let ttl_seconds = ttl.as_deref().map(seconds).transpose()?;
            let labels = label.iter().map(|text| pair(text, "KEY=VALUE").map(|(key, value)| (key.to_owned(), value.to_owned())));
            let labels: BTreeMap<String, String> = labels.collect::<Result<_, _>>()?;
            let new = NewToken { node: name(node)?, ttl_seconds, labels };
            let target = Target::new(&["tokens"]);
            let (made, _): (IssuedToken, _) = session.client()?.change(Method::POST, target, None, &new).await?;
            show_token(session, &made, output.format)
        }
        TokenCommand::Remove { node } => remove(session, Kind::Tokens, node).await,
    }
}

/// The line for the node; what explains it is a remark, so that the line can be piped.
fn show_token(session: &mut Session, made: &IssuedToken, format: Format) -> Result<(), CliError> {
    match format {
        Format::Json | Format::Yaml => {
            let value = serde_json::to_value(made).unwrap_or_default();
            document(session, format, &value)
        }
        Format::Name => Ok(session.out.line(format_args!("{}/{}", Kind::Tokens.singular(), made.node))?),
        Format::Table | Format::Wide => {
            let fault = Fault::new(&cli::TOKEN_UNTIL).with("node", &made.node).with("until", people::rfc3339(made.expires));
            session.out.remark(fault.text(session.lang()));
            Ok(session.out.line(format_args!("edge-node join {}", made.token))?)
        }
    }
}

pub(super) async fn api_token(session: &mut Session, command: &ApiTokenCommand) -> Result<(), CliError> {
    match command {
        ApiTokenCommand::Create { name, role, ttl } => {
            let ttl_seconds = ttl.as_deref().map(seconds).transpose()?;
            let new = NewApiToken { name: self::name(name)?, role: self::role(role), ttl_seconds };
            let target = Target::new(&["api-tokens"]);
            let (made, _): (IssuedApiToken, _) = session.client()?.change(Method::POST, target, None, &new).await?;
            let fault = Fault::new(&cli::API_TOKEN_MADE).with("name", &made.name);
            let role = word_of(session.lang(), made.role);
            session.out.remark(fault.with("role", role).text(session.lang()));
            Ok(session.out.line(made.token)?)
        }
        ApiTokenCommand::Remove { name } => remove(session, Kind::ApiTokens, name).await,
    }
}

async fn remove(session: &mut Session, kind: Kind, name: &str) -> Result<(), CliError> {
    session.client()?.delete(kind.single(name)?).await?;
    let word = kind.word(session.lang());
    Ok(session.out.say(&Fault::new(&cli::REMOVED).with("kind", word).with("name", name))?)
}

/// The command line has checked that it is one of the three.
fn role(text: &str) -> Role {
    match text {
        "admin" => Role::Admin,
        "operator" => Role::Operator,
        _ => Role::Viewer,
    }
}

fn seconds(text: &str) -> Result<u64, CliError> {
    Ok(time(text, "--ttl")?.as_secs())
}
