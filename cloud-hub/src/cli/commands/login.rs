//! `hubctl login`: whom to trust, then who we are, then both are stored.
//!
//! ```text
//! pin: --ca-fingerprint | --ca FILE | known already | shown and confirmed by a person
//! token: --token | CAUSEWAY_TOKEN | asked for, or the standard input       ──▶ whoami ──▶ context
//! ```
//!
//! Nothing but a handshake goes to a hub before its CA is pinned.

use std::io::{BufRead, Read};
use std::path::Path;

use reqwest::Url;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use shared::fault::{Fault, cli};
use shared::id::Digest;
use tokio::sync::oneshot;

use super::super::args::Login;
use super::super::client::{Client, Target, first_contact};
use super::super::contexts::{self, Context, Contexts};
use super::super::error::CliError;
use super::super::files::{self, Privacy};
use super::super::session::Session;
use super::super::tls;
use super::super::words::word_of;
use crate::api::types::{Caller, Version};

/// Longest line that is read from a person, in bytes.
const LINE_MAX: u64 = 4096;
/// Largest file of a CA certificate, in bytes.
const CA_MAX: u64 = 1 << 20;

pub(super) async fn run(session: &mut Session, args: &Login) -> Result<(), CliError> {
    let server = contexts::server(&args.url)?;
    let mut all = Contexts::load(&session.env)?;
    let ca = match given_pin(session, args)?.or_else(|| all.pin_of(&server)) {
        Some(pin) => pin,
        None => confirmed(session, &server).await?,
    };
    let context = Context { token: token(session, args.token.as_deref()).await?, server, ca };
    let client = Client::new(context.clone())?;
    let version: Version = client.get(Target::new(&["version"])).await?;
    let caller: Caller = client.get(Target::new(&["whoami"])).await?;
    let name = session.global.context.clone().unwrap_or_else(|| context_name(&version, &context.server));
    all.contexts.insert(name.clone(), context);
    all.current = Some(name.clone());
    all.save(&session.env)?;
    let said = Fault::new(&cli::LOGGED_IN)
        .with("hub", &version.hub)
        .with("name", &caller.name)
        .with("role", word_of(session.lang(), caller.role))
        .with("context", name);
    Ok(session.out.say(&said)?)
}

/// The hub's name for itself, else its host.
fn context_name(version: &Version, server: &str) -> String {
    let host = Url::parse(server).ok().and_then(|url| url.host_str().map(str::to_owned));
    Some(version.hub.clone()).filter(|hub| !hub.is_empty()).or(host).unwrap_or_else(|| "hub".into())
}

/// The pin that somebody gave.
fn given_pin(session: &Session, args: &Login) -> Result<Option<Digest>, CliError> {
    if let Some(path) = &args.ca {
        return pin_of_file(path).map(Some);
    }
    let text = args.ca_fingerprint.as_deref().or_else(|| session.env.var("CAUSEWAY_CA_FINGERPRINT"));
    Ok(text.map(contexts::fingerprint).transpose()?)
}

fn pin_of_file(path: &Path) -> Result<Digest, CliError> {
    let text = files::read(path, CA_MAX, Privacy::Open)?;
    let bad = || CliError::Unfit(Fault::new(&cli::BAD_CA_FILE).with("path", path.display()));
    tls::fingerprint_of_pem(&text).ok_or_else(bad)
}

/// The fingerprint that the hub shows, if a person says that it is the right one.
async fn confirmed(session: &mut Session, server: &str) -> Result<Digest, CliError> {
    let found = first_contact(server).await?;
    if !session.env.asks {
        let fault = Fault::new(&cli::UNCONFIRMED).with("server", server).with("found", found);
        return Err(CliError::Denied(fault));
    }
    let question = Fault::new(&cli::ASK_CA).with("server", server).with("found", found);
    session.out.ask(&question.text(session.lang()));
    let answer = line_of_stdin()?;
    match answer.trim().to_lowercase().as_str() {
        "yes" | "y" | "是" => Ok(found),
        _ => Err(CliError::Denied(Fault::new(&cli::REFUSED_CA).with("server", server).with("found", found))),
    }
}

async fn token(session: &mut Session, flag: Option<&str>) -> Result<String, CliError> {
    let text = match (flag, session.env.var("CAUSEWAY_TOKEN")) {
        (Some("-"), _) => line_of_stdin()?,
        (Some(flag), _) => flag.to_owned(),
        (None, Some(var)) => var.to_owned(),
        (None, None) if session.env.asks => {
            session.out.ask(&Fault::new(&cli::ASK_TOKEN).text(session.lang()));
            let typed = hidden_line().await;
            session.out.ask("\n");
            typed?
        }
        (None, None) => line_of_stdin()?,
    };
    Ok(contexts::token(&text)?)
}

fn line_of_stdin() -> Result<String, CliError> {
    let mut line = String::new();
    std::io::stdin().lock().take(LINE_MAX).read_line(&mut line).map_err(CliError::Start)?;
    Ok(line)
}

/// A line from a terminal that does not show it. The terminal shows again what is typed, also after Ctrl-C.
async fn hidden_line() -> Result<String, CliError> {
    let stdin = std::io::stdin();
    let Ok(before) = tcgetattr(&stdin) else { return line_of_stdin() };
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    // A terminal that cannot be silenced still takes the token.
    let _silenced = tcsetattr(&stdin, OptionalActions::Flush, &silent);
    // A thread of its own: one that reads cannot be ended, and nothing must wait for it.
    let (sender, line) = oneshot::channel();
    std::thread::spawn(move || sender.send(line_of_stdin()));
    let interrupted = || CliError::Unfit(Fault::new(&cli::INTERRUPTED));
    let result = tokio::select! {
        line = line => line.unwrap_or_else(|_| Err(interrupted())),
        _ = tokio::signal::ctrl_c() => Err(interrupted()),
    };
    let _restored = tcsetattr(&stdin, OptionalActions::Now, &before);
    result
}
