//! `hubctl`, the operator's command line: reads what is asked, talks to the hub's API, says what came of it.
//!
//! ```text
//! arguments ─ help ─▶ command ─ commands/… ─▶ contexts ─ tls ─ client ─▶ hub
//!                                   └─ rows, table, describe ─ out ─▶ a person, or a script
//! ```
//!
//! It speaks the REST API of [`crate::api::types`] and nothing else, and knows a hub by the sha256 of its CA. Whatever a
//! person reads is Chinese or English; JSON and YAML are the API's own words. Results go to the standard output,
//! everything else to the standard error; the exit code says what kind of failure it was ([`Exit`]).

mod args;
mod client;
mod commands;
mod contexts;
mod env;
mod error;
mod files;
mod held;
mod help;
mod help_zh;
mod keys;
mod kinds;
mod lines;
mod out;
mod page;
mod part;
mod rows;
mod session;
mod show;
mod sources;
mod table;
mod tls;
mod upload;
mod words;

use std::process::ExitCode;

pub use client::ClientError;
pub use contexts::ContextError;
pub use env::Env;
pub use error::CliError;
pub use files::FileError;
pub use keys::KeyError;
pub use out::Out;
pub use shared::people::Exit;

use help::Read;
use session::Session;

/// The whole program.
pub fn main() -> ExitCode {
    let args = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>();
    let env = Env::of_process();
    let mut out = Out::new(std::io::stdout(), std::io::stderr(), env.lang(&args));
    out.results_on_terminal = env.stdout_terminal;
    out.colour = env.colour();
    ExitCode::from(run(&args, env, out) as u8)
}

/// Runs one command; `args` begins with the program's name.
pub fn run(args: &[String], env: Env, mut out: Out) -> Exit {
    let cli = match help::read(args, out.lang) {
        Read::Command(cli) => cli,
        Read::Text(text) => {
            let written = out.write(&text).map_err(CliError::Output);
            return ended(written, &mut out);
        }
        Read::Wrong(fault) => return ended(Err(CliError::Usage(fault)), &mut out),
    };
    let args::Cli { global, command } = *cli;
    out.quiet = global.quiet;
    let mut session = Session { env, out, global };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::Start);
    let result = runtime.and_then(|runtime| runtime.block_on(Box::pin(commands::run(&mut session, command))));
    ended(result, &mut session.out)
}

fn ended(result: Result<(), CliError>, out: &mut Out) -> Exit {
    match result {
        Ok(()) => Exit::Ok,
        Err(error) => {
            error.tell(out);
            error.exit()
        }
    }
}
