//! The commands, one file each; every one has the form `run(session, arguments)`.

mod access;
mod answer_join;
mod budget;
mod context;
mod deploy;
mod describe;
mod export;
mod get;
mod image;
mod import_receipts;
mod key;
mod login;
mod logs;
mod node;
mod progress;
mod publish;
mod target;
mod version;
mod wait;
mod watch;

use super::args::Command;
use super::error::CliError;
use super::session::Session;

/// Runs a command to its end.
pub(super) async fn run(session: &mut Session, command: Command) -> Result<(), CliError> {
    match command {
        Command::Login(args) => login::run(session, &args).await,
        Command::Context(args) => context::run(session, &args),
        Command::Keygen(args) => key::generate(session, &args),
        Command::Key(args) => key::run(session, &args),
        Command::Publisher(args) => access::publisher(session, &args).await,
        Command::Publish(args) => Box::pin(publish::run(session, &args)).await,
        Command::Unpublish(args) => publish::unpublish(session, &args).await,
        Command::Image(args) => Box::pin(image::run(session, &args)).await,
        Command::Get(args) => Box::pin(get::run(session, &args)).await,
        Command::Describe(args) => Box::pin(describe::run(session, &args)).await,
        Command::Deploy(args) => Box::pin(deploy::deploy(session, &args)).await,
        Command::Prefetch(args) => Box::pin(deploy::prefetch(session, &args)).await,
        Command::Rollback(args) => Box::pin(deploy::rollback(session, &args)).await,
        Command::Undeploy(args) => deploy::undeploy(session, &args).await,
        Command::Token(args) => access::token(session, &args).await,
        Command::ApiToken(args) => access::api_token(session, &args).await,
        Command::Budget(args) => budget::run(session, &args).await,
        Command::Node(args) => node::run(session, &args).await,
        Command::Logs(args) => Box::pin(logs::run(session, &args)).await,
        Command::Export(args) => Box::pin(export::run(session, &args)).await,
        Command::AnswerJoin(args) => answer_join::run(session, &args).await,
        Command::ImportReceipts(args) => import_receipts::run(session, &args).await,
        Command::Wait(args) => Box::pin(wait::run(session, &args)).await,
        Command::Version(args) => version::run(session, &args).await,
        Command::Completion(args) => version::completion(session, &args),
    }
}
