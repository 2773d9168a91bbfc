//! `run`: settings, the daemon's own log, signals, and then [`crate::daemon`].

use std::io::{self, IsTerminal};

use shared::fault::{Fault, Faulty, cli};
use shared::people::Table;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

use super::args::RunArgs;
use super::exit::{Ended, Exit};
use super::out::Out;
use super::wait;
use crate::config::check::check;
use crate::config::{Config, ConfigError, LogConfig, LogFormat, LogLevel};
use crate::daemon::{self, DaemonError};
use crate::shutdown::{Trigger, shutdown};

pub fn run(args: RunArgs, out: &mut Out) -> Result<(), Ended> {
    let only_check = args.check;
    let config = config(args)?;
    if only_check {
        return show(&config, out);
    }
    tell(&config.log);
    wait(async {
        let (trigger, shutdown) = shutdown();
        let signals = Signals::new()?;
        tokio::spawn(signals.pull(trigger));
        daemon::run(config, shutdown).await.map_err(|error| ended(&error))
    })
}

/// Defaults, then the file, then flags.
pub fn config(args: RunArgs) -> Result<Config, Ended> {
    let mut config = Config::load(args.config.as_deref()).map_err(|errors| bad(&errors))?;
    set(&mut config.state_dir, args.state_dir);
    set(&mut config.run_dir, args.run_dir);
    set(&mut config.runtime.kind, args.runtime);
    set(&mut config.runtime.socket, args.containerd_socket);
    set(&mut config.runtime.namespace, args.containerd_namespace);
    set(&mut config.log.format, args.log_format);
    set(&mut config.log.level, args.log_level);
    config.validate("edge-node").map_err(|errors| bad(&errors))?;
    Ok(config)
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn ended(error: &DaemonError) -> Ended {
    let exit = if matches!(error, DaemonError::AlreadyRuns(_)) { Exit::Conflict } else { Exit::Error };
    Ended::failed(exit, error.fault())
}

/// Settings that make no sense.
pub fn bad(errors: &[ConfigError]) -> Ended {
    Ended::Failed { exit: Exit::Usage, faults: errors.iter().map(Faulty::fault).collect() }
}

/// What would be used, and what is wrong with it.
fn show(config: &Config, out: &mut Out) -> Result<(), Ended> {
    let findings = check(config);
    let faults: Vec<Fault> = findings.iter().filter_map(|finding| finding.problem.clone()).collect();
    if out.is_json() {
        out.json(&serde_json::json!({ "config": config, "problems": faults }))?;
    } else {
        let mut table = Table::default();
        for finding in findings {
            let mark = if finding.problem.is_some() { "!" } else { "" };
            table.row([mark.into(), finding.what.into(), finding.value]);
        }
        out.table(&mut table)?;
    }
    if faults.is_empty() { Ok(()) } else { Err(Ended::Failed { exit: Exit::Error, faults }) }
}

/// Begins the daemon's own log on standard error, where systemd takes it.
fn tell(log: &LogConfig) {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let builder = tracing_subscriber::fmt().with_writer(io::stderr).with_max_level(level);
    let builder = builder.log_internal_errors(false); // On a full disk that would go there, too, and panic.
    // It fails only when there is a log already.
    drop(match log.format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().try_init(),
    });
}

/// The signals that end the daemon.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self, Ended> {
        let take =
            |kind| signal(kind).map_err(|error| Ended::failed(Exit::Error, Fault::new(&cli::NO_RUNTIME).with("cause", error)));
        Ok(Self { terminate: take(SignalKind::terminate())?, interrupt: take(SignalKind::interrupt())? })
    }

    /// Waits for one of them. Containers are not among what ends.
    async fn pull(mut self, trigger: Trigger) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        tracing::info!("asked to end; containers go on");
        trigger.pull();
    }
}
