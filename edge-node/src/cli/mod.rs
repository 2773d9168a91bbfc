//! The command line: `run` and `join` on this machine, everything else through the local API.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | it failed; the text says why and what to do |
//! | 2 | the command line or node.toml makes no sense |
//! | 3 | there is no such app, service or secret |
//! | 4 | not allowed: not root, token refused, or the other side is not the hub |
//! | 5 | it contradicts what is there: joined already, or the daemon runs already |
//! | 6 | no answer in time |
//! | 7 | the daemon, or for `join` the hub, cannot be reached |
//!
//! Results go to standard output, in a table for people or as JSON (`-o json`); problems go to standard error in the
//! language of `--lang`, else of the locale. A reader that goes away (`| head`) is no error.

mod apps;
pub mod args;
mod client;
mod df;
mod events;
mod exit;
mod file;
mod help;
mod import;
mod join;
mod logs;
mod neighbours;
mod out;
mod receipts;
mod run;
mod secret;
mod status;
mod transfers;
mod trust;

use std::ffi::OsString;
use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::FromArgMatches;
use shared::fault::{Fault, Lang, cli};

use crate::config::{Config, ConfigError};
use apps::Verb;
use args::{Args, Command};
use client::Client;
use exit::{Ended, Exit};
use out::Out;

/// Runs the command of `arguments` (the first is the program) and returns its exit code.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let lang = help::language(&arguments, |name| std::env::var(name).ok());
    let parsed = help::command(lang).try_get_matches_from(arguments).and_then(|found| Args::from_arg_matches(&found));
    let args = match parsed {
        Ok(args) => args,
        Err(error) => {
            // Help and version are errors to clap; a reader that went away is none to us.
            drop(error.print());
            return ExitCode::from(if error.use_stderr() { Exit::Usage as u8 } else { 0 });
        }
    };
    let mut out = Out::new(lang, args.output);
    let result = dispatch(args, &mut out).and_then(|()| out.flush());
    match result {
        Ok(()) | Err(Ended::Quietly) => ExitCode::SUCCESS,
        Err(Ended::Failed { exit, faults }) => {
            out.complain(&faults);
            ExitCode::from(exit as u8)
        }
    }
}

fn dispatch(args: Args, out: &mut Out) -> Result<(), Ended> {
    let Args { command, socket, .. } = args;
    let client = || client(socket, || Config::load(None));
    match command {
        Command::Run(args) => run::run(*args, out),
        Command::Join(args) => join::run(args, out),
        Command::Status => wait(status::run(&client()?, out)),
        Command::Df => wait(df::run(&client()?, out)),
        Command::Ps => wait(apps::ps(&client()?, out)),
        Command::Logs(args) => wait(logs::run(args, &client()?, out)),
        Command::Start(target) => wait(apps::tell(Verb::Start, target, &client()?, out)),
        Command::Stop(target) => wait(apps::tell(Verb::Stop, target, &client()?, out)),
        Command::Restart(target) => wait(apps::tell(Verb::Restart, target, &client()?, out)),
        Command::Transfers => wait(transfers::list(&client()?, out)),
        Command::Pause(args) => wait(transfers::tell(transfers::Verb::Pause, args, &client()?, out)),
        Command::Resume(args) => wait(transfers::tell(transfers::Verb::Resume, args, &client()?, out)),
        Command::Neighbours => wait(neighbours::list(&client()?, out)),
        Command::Events(args) => wait(events::run(args, &client()?, out)),
        Command::Import { file } => wait(import::run(&file, &client()?, out)),
        Command::Receipts { to } => wait(receipts::run(&to, &client()?, out)),
        Command::Secret { action } => wait(secret::run(action, &client()?, out)),
        Command::Trust { action } => wait(trust::run(action, &client()?, out)),
        Command::Version => status::version(out),
        Command::Completion { shell } => help::completion(shell, out),
    }
}

/// The daemon at `socket`, else where the settings say. Settings that cannot be read are told: a daemon elsewhere would
/// only look as if it did not run.
fn client(socket: Option<PathBuf>, settings: impl FnOnce() -> Result<Config, Vec<ConfigError>>) -> Result<Client, Ended> {
    let socket = match socket {
        Some(socket) => socket,
        None => settings().map_err(|errors| run::bad(&errors))?.socket(),
    };
    Ok(Client::new(socket))
}

/// Runs `work` on a runtime of this thread.
fn wait(work: impl Future<Output = Result<(), Ended>>) -> Result<(), Ended> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Ended::failed(Exit::Error, Fault::new(&cli::NO_RUNTIME).with("cause", error)))?;
    runtime.block_on(Box::pin(work))
}

impl From<args::LangArg> for Lang {
    fn from(lang: args::LangArg) -> Self {
        match lang {
            args::LangArg::En => Self::En,
            args::LangArg::Zh => Self::Zh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_be_read_are_told_unless_a_socket_is_given() {
        let broken = || {
            let syntax = ConfigError::Syntax { file: "node.toml".into(), line: 3, why: "no value".into() };
            Err(vec![syntax])
        };
        let Err(Ended::Failed { exit, faults }) = client(None, broken) else { panic!("a client of broken settings") };
        assert_eq!((exit, faults.len()), (Exit::Usage, 1));
        assert!(faults[0].text(Lang::En).contains("node.toml:3"), "{faults:?}");
        assert!(client(Some("/run/other.sock".into()), broken).is_ok());
        assert!(client(None, || Ok(Config::default())).is_ok());
    }
}
