//! `hubctl version` and `hubctl completion`.

use clap_complete::Shell;
use serde_json::json;

use super::super::args::{Completion, Format, Version};
use super::super::client::Target;
use super::super::error::CliError;
use super::super::help;
use super::super::session::Session;
use super::super::show::document;
use crate::api::types;

const OWN: &str = env!("CARGO_PKG_VERSION");

pub(super) async fn run(session: &mut Session, args: &Version) -> Result<(), CliError> {
    let machine = matches!(args.output.format, Format::Json | Format::Yaml);
    if !machine {
        session.out.line(format_args!("hubctl  {OWN}"))?;
    }
    let hub = match args.client {
        true => None,
        false => Some(session.client()?.get::<types::Version>(Target::new(&["version"])).await?),
    };
    match hub {
        hub if machine => document(session, args.output.format, &json!({"client": {"version": OWN}, "hub": hub})),
        Some(hub) => {
            Ok(session.out.line(format_args!("hub     {} ({}, API {}, epoch {})", hub.version, hub.hub, hub.api, hub.epoch))?)
        }
        None => Ok(()),
    }
}

pub(super) fn completion(session: &mut Session, args: &Completion) -> Result<(), CliError> {
    let shell = match args.shell.as_str() {
        "zsh" => Shell::Zsh,
        "fish" => Shell::Fish,
        _ => Shell::Bash,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut help::command(session.lang()), "hubctl", &mut script);
    Ok(session.out.write(&String::from_utf8_lossy(&script))?)
}
