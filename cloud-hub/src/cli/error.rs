//! Why a command did not succeed, and the exit code that says so to a script.

use std::io;

use shared::fault::{Fault, Faulty, Lang, cli};
use shared::manifest::Refused;
use shared::people::Exit;

use super::client::ClientError;
use super::contexts::ContextError;
use super::files::FileError;
use super::keys::KeyError;
use super::out::Out;
use crate::images::ImageError;

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line is wrong.
    #[error("{0}")]
    Usage(Fault),
    /// A file of this machine.
    #[error(transparent)]
    File(#[from] FileError),
    /// The hub is not known well enough.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// A publisher key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The hub, or the way to it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] Refused),
    /// An image archive.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// What the hub holds is not what was asked for, or does not fit together.
    #[error("{0}")]
    Unfit(Fault),
    /// The hub takes nothing more, whatever is tried.
    #[error("{0}")]
    Stuck(Fault, Exit),
    /// There is no such thing, as a list showed.
    #[error("{0}")]
    NotFound(Fault),
    /// The hub is not trusted.
    #[error("{0}")]
    Denied(Fault),
    /// It did not happen in time.
    #[error("{0}")]
    Timeout(Fault),
    /// Results cannot be written.
    #[error("writing the output")]
    Output(#[from] io::Error),
    /// The program itself cannot start.
    #[error("starting")]
    Start(#[source] io::Error),
}

impl CliError {
    /// What the shell is told.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Context(error) => error.exit(),
            Self::Client(error) => error.exit(),
            Self::Stuck(_, exit) => *exit,
            Self::NotFound(_) => Exit::NotFound,
            Self::Denied(_) => Exit::Denied,
            Self::Timeout(_) => Exit::Timeout,
            // Whoever read the output has seen enough.
            Self::Output(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            Self::File(_)
            | Self::Key(_)
            | Self::Manifest(_)
            | Self::Image(_)
            | Self::Unfit(_)
            | Self::Output(_)
            | Self::Start(_) => Exit::Error,
        }
    }

    /// Tells the person; a pipe that broke is nothing to tell.
    pub fn tell(&self, out: &mut Out) {
        match self {
            Self::Output(cause) if cause.kind() == io::ErrorKind::BrokenPipe => {}
            Self::Manifest(refused) => tell_all(refused, out),
            Self::Client(error) => out.error(&error.text(out.lang), &error.fault().code),
            Self::Usage(_)
            | Self::File(_)
            | Self::Context(_)
            | Self::Key(_)
            | Self::Image(_)
            | Self::Unfit(_)
            | Self::Stuck(..)
            | Self::NotFound(_)
            | Self::Denied(_)
            | Self::Timeout(_)
            | Self::Output(_)
            | Self::Start(_) => {
                let fault = self.fault();
                out.error(&fault.text(out.lang), &fault.code);
            }
        }
    }
}

/// Every problem of a manifest, each with its place.
fn tell_all(refused: &Refused, out: &mut Out) {
    for fault in refused.faults() {
        out.error(&fault.text(out.lang), &fault.code);
    }
    if refused.more > 0 {
        let (before, after) = if out.lang == Lang::Zh { ("… 另有 ", " 处") } else { ("… and ", " more") };
        out.remark(format_args!("{before}{}{after}", refused.more));
    }
}

impl Faulty for CliError {
    fn fault(&self) -> Fault {
        match self {
            Self::Usage(fault)
            | Self::Unfit(fault)
            | Self::Stuck(fault, _)
            | Self::NotFound(fault)
            | Self::Denied(fault)
            | Self::Timeout(fault) => fault.clone(),
            Self::File(error) => error.fault(),
            Self::Context(error) => error.fault(),
            Self::Key(error) => error.fault(),
            Self::Client(error) => error.fault(),
            Self::Manifest(error) => error.fault(),
            Self::Image(error) => error.fault(),
            Self::Output(cause) => Fault::new(&cli::OUTPUT_FAILED).with("cause", cause),
            Self::Start(cause) => Fault::new(&cli::NOT_STARTED).with("cause", cause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::Problem;

    #[test]
    fn every_kind_of_failure_has_its_exit_code() {
        let fault = || Fault::new(&cli::NOTHING_FOUND);
        let refused = |status| CliError::Client(ClientError::Refused { status, problem: Problem::from(fault()) });
        let unreachable = ClientError::Unreachable { server: "x".into(), cause: "y".into() };
        for (error, code) in [
            (CliError::Usage(fault()), 2),
            (CliError::NotFound(fault()), 3),
            (refused(404), 3),
            (refused(401), 4),
            (refused(403), 4),
            (refused(409), 5),
            (refused(412), 5),
            (refused(400), 1),
            (refused(422), 1),
            (refused(500), 1),
            (refused(504), 6),
            (CliError::Denied(fault()), 4),
            (CliError::Timeout(fault()), 6),
            (refused(503), 1),
            (CliError::Client(unreachable), 7),
            (CliError::Output(io::ErrorKind::BrokenPipe.into()), 0),
            (CliError::Output(io::ErrorKind::StorageFull.into()), 1),
        ] {
            assert_eq!(error.exit() as u8, code, "{error}");
        }
    }
}
