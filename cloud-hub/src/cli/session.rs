//! One run of `hubctl`: what was asked for, where the hub is, where the answer goes.

use std::time::Duration;

use shared::fault::{Fault, Lang, cli};
use shared::manifest::Period;
use shared::time::UnixMillis;

use super::args::Global;
use super::client::Client;
use super::contexts;
use super::env::Env;
use super::error::CliError;
use super::kinds::shown;
use super::out::Out;
use super::rows::View;
use crate::os::system_clock;

/// What every command has at hand.
pub(super) struct Session {
    /// The shell around it.
    pub(super) env: Env,
    /// Where it writes.
    pub(super) out: Out,
    /// Options of every command.
    pub(super) global: Global,
}

impl Session {
    /// The hub that flags, environment and contexts say.
    pub(super) fn client(&self) -> Result<Client, CliError> {
        let context = contexts::choose(&self.env, self.global.context.as_deref(), self.global.server.as_deref())?;
        Ok(Client::new(context)?)
    }

    /// The reader's language.
    pub(super) const fn lang(&self) -> Lang {
        self.out.lang
    }

    /// How objects are shown now.
    pub(super) fn view(&self) -> View {
        View { lang: self.lang(), now: now() }
    }
}

/// This machine's clock.
pub(super) fn now() -> UnixMillis {
    system_clock()()
}

/// A time that somebody typed: `90s`, `5m`, `1h30m`.
pub(super) fn time(text: &str, argument: &str) -> Result<Duration, CliError> {
    let period: Result<Period, _> = text.parse();
    period.map(Period::duration).map_err(|error| {
        let fault = Fault::new(&cli::BAD_PAIR).with("text", format_args!("{argument} {}", shown(text)));
        CliError::Usage(fault.with("form", error.expected))
    })
}
