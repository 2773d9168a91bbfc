//! `hubctl context`: the hubs that are known.

use shared::fault::{Fault, cli};

use super::super::args::ContextCommand;
use super::super::contexts::Contexts;
use super::super::error::CliError;
use super::super::session::Session;
use super::super::table::{Column, Sheet, col};

static COLUMNS: [Column; 4] = [col("CURRENT", "当前"), col("NAME", "名称"), col("SERVER", "地址"), col("CA", "CA 指纹")];

pub(super) fn run(session: &mut Session, command: &ContextCommand) -> Result<(), CliError> {
    let mut contexts = Contexts::load(&session.env)?;
    match command {
        ContextCommand::List => list(session, &contexts),
        ContextCommand::Use { name } => {
            let server = contexts.named(name)?.server.clone();
            contexts.current = Some(name.clone());
            contexts.save(&session.env)?;
            Ok(session.out.say(&Fault::new(&cli::CONTEXT_USED).with("name", name).with("server", server))?)
        }
        ContextCommand::Remove { name } => {
            contexts.named(name)?;
            contexts.contexts.remove(name);
            contexts.current = contexts.current.filter(|current| current != name);
            contexts.save(&session.env)?;
            Ok(session.out.say(&Fault::new(&cli::CONTEXT_REMOVED).with("name", name))?)
        }
    }
}

fn list(session: &mut Session, contexts: &Contexts) -> Result<(), CliError> {
    let row = |(name, context): (&String, &super::super::contexts::Context)| {
        let current = if contexts.current.as_ref() == Some(name) { "*" } else { " " };
        vec![current.to_owned(), name.clone(), context.server.clone(), context.ca.to_string()]
    };
    let rows: Vec<Vec<String>> = contexts.contexts.iter().map(row).collect();
    Ok(session.out.write(&Sheet::new(&COLUMNS, session.lang(), false, true).lines(&rows))?)
}
