//! `hubctl keygen` and `hubctl key`: the publisher's key on this machine.

use shared::fault::{Fault, cli};

use super::super::args::{KeyCommand, KeyFile};
use super::super::error::CliError;
use super::super::keys;
use super::super::session::Session;

pub(super) fn run(session: &mut Session, command: &KeyCommand) -> Result<(), CliError> {
    match command {
        KeyCommand::Generate(args) => generate(session, args),
        KeyCommand::Show(args) => {
            let key = keys::load(&keys::path(&session.env, args.file.as_deref())?)?;
            Ok(session.out.line(key.public())?)
        }
    }
}

pub(super) fn generate(session: &mut Session, args: &KeyFile) -> Result<(), CliError> {
    let path = keys::path(&session.env, args.file.as_deref())?;
    let public = keys::generate(&path)?;
    Ok(session.out.say(&Fault::new(&cli::KEY_MADE).with("path", path.display()).with("public", public))?)
}
