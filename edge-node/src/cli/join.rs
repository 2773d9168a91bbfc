//! `join`: over the link, or with files that a person carries; see [`crate::join`].

use std::io::{self, Read};

use shared::fault::{Fault, Faulty, cli, trust};
use shared::join::{CARRIED_MAX, TOKEN_MAX};

use super::args::{JoinArgs, RunArgs};
use super::exit::{Ended, Exit};
use super::out::Out;
use super::{file, run, wait};
use crate::config::Config;
use crate::daemon::Lock;
use crate::identity::{Identity, IdentityError};
use crate::join::{JoinError, answered, ask, join};
use crate::reserve::Reserve;

pub fn run(args: JoinArgs, out: &mut Out) -> Result<(), Ended> {
    let JoinArgs { token, request, answer, again, config, state_dir } = args;
    let config = run::config(RunArgs { config, state_dir, ..RunArgs::default() })?;
    let (dir, reserve) = (config.identity_dir(), Reserve::existing(&config.state_dir));
    if let Some(answer) = answer {
        let bytes = file::read(&answer, CARRIED_MAX)?;
        let identity = answered(&bytes, &dir, again, &reserve).map_err(|error| ended(&error))?;
        return say(&identity, &config, out);
    }
    // Without an answer there is a token, says clap; an empty one is refused by name.
    let token = token.unwrap_or_default();
    let token = if token == "-" { stdin()? } else { token };
    if let Some(to) = request {
        let (node, bytes) = ask(&token, &dir, again, &reserve).map_err(|error| ended(&error))?;
        file::write(&to, &bytes)?;
        return out.say(&Fault::new(&trust::JOIN_REQUESTED).with("node", node).with("path", to.display()));
    }
    let mut joined = None;
    wait(async {
        let identity = join(&token, &dir, again, &reserve).await.map_err(|error| ended(&error))?;
        joined = Some(identity);
        Ok(())
    })?;
    joined.map_or(Ok(()), |identity| say(&identity, &config, out))
}

fn say(identity: &Identity, config: &Config, out: &mut Out) -> Result<(), Ended> {
    // Who runs read its identity when it began.
    let (restart, dir) = (Lock::is_held(config), config.identity_dir());
    if out.is_json() {
        let Identity { node, api, mqtt, epoch, .. } = identity;
        return out.json(&serde_json::json!({
            "node": node, "hub": api, "mqtt": mqtt.to_string(), "epoch": epoch, "dir": dir, "restart": restart
        }));
    }
    let said = if restart { &trust::JOINED_RESTART } else { &trust::JOINED };
    out.say(&Fault::new(said).with("node", &identity.node).with("hub", &identity.api))
}

fn ended(error: &JoinError) -> Ended {
    let exit = match error {
        JoinError::Token(_) => Exit::Usage,
        JoinError::Impostor { .. } => Exit::Denied,
        JoinError::Refused { status: 401 | 403, .. } => Exit::Denied,
        JoinError::Unreachable { .. } | JoinError::Lost { .. } => Exit::Unreachable,
        JoinError::Timeout { .. } => Exit::Timeout,
        JoinError::Identity(IdentityError::Present { .. }) => Exit::Conflict,
        JoinError::Refused { .. }
        | JoinError::Identity(_)
        | JoinError::Tls(_)
        | JoinError::NoKey(_)
        | JoinError::BadAnswer { .. }
        | JoinError::File(_)
        | JoinError::Carried(_) => Exit::Error,
        JoinError::NotAsked | JoinError::OtherAnswer { .. } => Exit::Conflict,
    };
    Ended::failed(exit, error.fault())
}

fn stdin() -> Result<String, Ended> {
    let mut text = String::new();
    let read = io::stdin().take(TOKEN_MAX as u64 + 64).read_to_string(&mut text);
    let failed = |error| Fault::new(&cli::INPUT_FAILED).with("what", "-").with("cause", error);
    read.map_err(|error| Ended::failed(Exit::Error, failed(error)))?;
    Ok(text)
}
