//! The words of the command line. English help stands here, Chinese help in [`super::help`].

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use shared::id::Name;
use shared::sign::PublicKey;

use crate::config::{LogFormat, LogLevel, RuntimeKind};

/// Runs apps on this machine, with or without the hub, and shows what it does
#[derive(Debug, Parser)]
#[command(name = "edge-node", disable_help_flag = true, disable_help_subcommand = true)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
    /// Language: en or zh; else that of the locale
    #[arg(long, global = true, value_name = "LANG", value_enum)]
    pub lang: Option<LangArg>,
    /// Form of results: table or json
    #[arg(short, long, global = true, value_name = "FORM", value_enum, default_value = "table")]
    pub output: Output,
    /// Socket of the daemon; else that of node.toml
    #[arg(long, global = true, value_name = "PATH", env = "CAUSEWAY_SOCKET")]
    pub socket: Option<PathBuf>,
}

/// Languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LangArg {
    /// English.
    En,
    /// Chinese.
    Zh,
}

/// Forms of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon
    Run(Box<RunArgs>),
    /// Join a hub with a token made there; where no link reaches, with files that a person carries
    Join(JoinArgs),
    /// Show the node and its session with the hub
    Status,
    /// Show what takes the disk: images and who uses them, packs, volumes, logs
    Df,
    /// List apps and services
    Ps,
    /// Show the log of an app or of one service
    Logs(LogsArgs),
    /// Run an app or service that was stopped here
    Start(TargetArgs),
    /// Stop an app or service; it stays stopped, through reboots and new releases, until it is started here
    Stop(TargetArgs),
    /// Stop the processes of an app or service once and start them
    Restart(TargetArgs),
    /// List images on their way to this node, and why they wait
    Transfers,
    /// Pause a transfer, or all; it stays so, through reboots, until it is resumed here, and nothing is lost
    Pause(TransferArgs),
    /// Go on with a transfer that was paused here, or with all
    Resume(TransferArgs),
    /// List the nodes of this site that share images with this one, how they stand, and what came and went
    Neighbours,
    /// Show what happened on this node
    Events(EventsArgs),
    /// Import a bundle that hubctl export wrote: the desired state in it, and all it is made of
    Import {
        /// The file, for example on a USB stick; it must stay there until the import has ended
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Write a receipt for hubctl import-receipts: this node's newest report, and events that the hub does not have
    Receipts {
        /// The file, for example on a USB stick
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Secrets of apps on this node
    Secret {
        /// What to do.
        #[command(subcommand)]
        action: SecretAction,
    },
    /// Whom this node believes
    Trust {
        /// What to do.
        #[command(subcommand)]
        action: TrustAction,
    },
    /// Show the version of this program
    Version,
    /// Write a completion script for a shell
    Completion {
        /// bash, zsh, fish, elvish or powershell
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
}

/// Of `run`.
#[derive(Debug, Default, ClapArgs)]
pub struct RunArgs {
    /// Settings; else /etc/causeway/node.toml if it is there
    #[arg(long, value_name = "FILE", env = "CAUSEWAY_CONFIG")]
    pub config: Option<PathBuf>,
    /// Look at settings and machine, say what would be used, and end
    #[arg(long)]
    pub check: bool,
    /// What survives a reboot
    #[arg(long, value_name = "DIR", env = "CAUSEWAY_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    /// Sockets, locks, network namespaces
    #[arg(long, value_name = "DIR", env = "CAUSEWAY_RUN_DIR")]
    pub run_dir: Option<PathBuf>,
    /// What runs containers: containerd, or memory to try things out
    #[arg(long, value_name = "KIND", value_enum)]
    pub runtime: Option<RuntimeKind>,
    /// Socket of containerd
    #[arg(long, value_name = "PATH")]
    pub containerd_socket: Option<PathBuf>,
    /// Namespace in containerd
    #[arg(long, value_name = "NAME")]
    pub containerd_namespace: Option<String>,
    /// Form of the daemon's own log: text or json
    #[arg(long, value_name = "FORM", value_enum)]
    pub log_format: Option<LogFormat>,
    /// Severity of the daemon's own log: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", value_enum, env = "CAUSEWAY_LOG")]
    pub log_level: Option<LogLevel>,
}

/// Of `join`.
#[derive(ClapArgs)]
pub struct JoinArgs {
    /// The token that the hub printed; - reads it from standard input
    #[arg(value_name = "TOKEN", required_unless_present = "answer")]
    pub token: Option<String>,
    /// Ask no hub, but write what this node asks to a file, for hubctl answer-join
    #[arg(long, value_name = "FILE", conflicts_with = "answer")]
    pub request: Option<PathBuf>,
    /// What hubctl answer-join wrote about the request of this node
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    pub answer: Option<PathBuf>,
    /// Give up the identity this node has
    #[arg(long)]
    pub again: bool,
    /// Settings; else /etc/causeway/node.toml if it is there
    #[arg(long, value_name = "FILE", env = "CAUSEWAY_CONFIG")]
    pub config: Option<PathBuf>,
    /// What survives a reboot
    #[arg(long, value_name = "DIR", env = "CAUSEWAY_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// A token is a secret.
impl std::fmt::Debug for JoinArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { token: _, request, answer, again, config: _, state_dir: _ } = self;
        let mut shown = f.debug_struct("JoinArgs");
        shown.field("request", request).field("answer", answer).field("again", again).finish_non_exhaustive()
    }
}

/// Of `logs`.
#[derive(Debug, ClapArgs)]
pub struct LogsArgs {
    /// The app
    #[arg(value_name = "APP")]
    pub app: Name,
    /// The service; else all of the app
    #[arg(value_name = "SERVICE")]
    pub service: Option<Name>,
    /// Go on with lines as they come
    #[arg(short, long)]
    pub follow: bool,
    /// So many of the last lines
    #[arg(long, value_name = "LINES", default_value_t = 100)]
    pub tail: usize,
}

/// Of `start`, `stop` and `restart`.
#[derive(Debug, ClapArgs)]
pub struct TargetArgs {
    /// The app
    #[arg(value_name = "APP")]
    pub app: Name,
    /// The service; else all of the app
    #[arg(value_name = "SERVICE")]
    pub service: Option<Name>,
}

/// Of `pause` and `resume`.
#[derive(Debug, ClapArgs)]
pub struct TransferArgs {
    /// The image, as transfers lists it; else all
    #[arg(value_name = "IMAGE")]
    pub image: Option<String>,
}

/// Of `events`.
#[derive(Debug, ClapArgs)]
pub struct EventsArgs {
    /// Only events from this number on; else the newest
    #[arg(long, value_name = "NUMBER")]
    pub from: Option<u64>,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub limit: usize,
    /// Go on with events as they come
    #[arg(short, long)]
    pub follow: bool,
}

/// Of `secret`.
#[derive(Debug, Subcommand)]
pub enum SecretAction {
    /// Set a secret; its value is read, never an argument
    Set {
        /// The app
        #[arg(value_name = "APP")]
        app: Name,
        /// The secret
        #[arg(value_name = "NAME")]
        name: Name,
        /// Where the value is; - is standard input
        #[arg(long, value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// List the names of an app's secrets
    List {
        /// The app
        #[arg(value_name = "APP")]
        app: Name,
    },
    /// Remove a secret
    Remove {
        /// The app
        #[arg(value_name = "APP")]
        app: Name,
        /// The secret
        #[arg(value_name = "NAME")]
        name: Name,
    },
}

/// Of `trust`.
#[derive(Debug, Subcommand)]
pub enum TrustAction {
    /// Show hub, CA and keys
    Show,
    /// Trust one more publisher key
    Add {
        /// ed25519: and 64 hexadecimal digits
        #[arg(value_name = "KEY")]
        key: PublicKey,
    },
}
