//! `cloud-hub`: the server of the app center.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use cloud_hub::config::{self, Config, ConfigError, Format};
use cloud_hub::os::system_clock;
use cloud_hub::{client, hub, serve, store};
use shared::fault::{Fault, Faulty, Lang, hub as texts};
use shared::id::Name;
use shared::people::Exit;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// The server of the app center.
#[derive(Debug, Parser)]
#[command(name = "cloud-hub", version, about = "The server of the app center")]
struct Cli {
    /// Language of messages; default from LANG.
    #[arg(long, global = true, value_enum)]
    lang: Option<Language>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Language {
    Zh,
    En,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the hub.
    Serve(Serve),
    /// After restoring a backup: make nodes accept this hub's states again. The hub must not run.
    NewEpoch(Where),
    /// Make a certificate with which another MQTT client of the center may read what nodes report.
    ClientCertificate(ClientCertificate),
}

#[derive(Debug, clap::Args)]
struct Where {
    /// Configuration file; default /etc/causeway/hub.toml, which need not exist.
    #[arg(long, value_name = "FILE", env = "CAUSEWAY_HUB_CONFIG")]
    config: Option<PathBuf>,
    /// State directory.
    #[arg(long, value_name = "DIR", env = "CAUSEWAY_HUB_STATE_DIR")]
    state_dir: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Serve {
    #[command(flatten)]
    place: Where,
    /// Where the API listens.
    #[arg(long, value_name = "IP:PORT")]
    listen_api: Option<SocketAddr>,
    /// Where the gate for nodes listens.
    #[arg(long, value_name = "IP:PORT")]
    listen_mqtt: Option<SocketAddr>,
    /// The hub's name.
    #[arg(long)]
    name: Option<Name>,
    /// A name or address under which the hub is reached; the first one is told to nodes. May be repeated.
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,
    /// Form of log lines.
    #[arg(long, value_enum)]
    log_format: Option<Format>,
    /// Which log lines, as in RUST_LOG.
    #[arg(long, value_name = "FILTER", env = "CAUSEWAY_LOG")]
    log: Option<String>,
    /// Only check the configuration.
    #[arg(long)]
    check: bool,
}

#[derive(Debug, clap::Args)]
struct ClientCertificate {
    /// The client's name.
    name: Name,
    #[command(flatten)]
    place: Where,
    /// Directory for NAME.crt, NAME.key and ca.crt.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

fn main() -> ExitCode {
    let lang = language();
    let matches = match localized(lang).try_get_matches() {
        Ok(matches) => matches,
        Err(error) => error.exit(),
    };
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match run(cli.command, lang) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Ended { exit, fault }) => {
            let _nobody_reads = writeln!(io::stderr(), "{} [{}]", fault.text(lang), fault.code);
            ExitCode::from(exit as u8)
        }
    }
}

/// Why a command did not succeed, and what a script is told.
struct Ended {
    exit: Exit,
    fault: Fault,
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Self {
        Self { exit: Exit::Error, fault }
    }
}

/// Settings that make no sense.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn bad(error: ConfigError) -> Ended {
    Ended { exit: Exit::Usage, fault: error.fault() }
}

/// `--lang` wherever it stands, because help must be in it too; otherwise the locale.
fn language() -> Lang {
    let args: Vec<String> = std::env::args().collect();
    let given = args.iter().enumerate().find_map(|(at, arg)| match arg.split_once('=') {
        Some(("--lang", value)) => Some(value.to_owned()),
        _ if arg == "--lang" => args.get(at + 1).cloned(),
        _ => None,
    });
    let locale =
        || ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(|key| std::env::var(key).ok().filter(|v| !v.is_empty()));
    Lang::from_locale(&given.or_else(locale).unwrap_or_default())
}

/// The command line with its help in the reader's language.
fn localized(lang: Lang) -> clap::Command {
    let command = Cli::command();
    if lang == Lang::En {
        return command;
    }
    let place = |command: clap::Command| {
        command
            .mut_arg("config", |arg| arg.help("配置文件；默认 /etc/causeway/hub.toml，可以不存在"))
            .mut_arg("state_dir", |arg| arg.help("状态目录"))
    };
    command
        .about("应用中心的服务端")
        .mut_arg("lang", |arg| arg.help("消息语言；默认取自 LANG"))
        .mut_subcommand("serve", |command| {
            place(command.about("运行中心"))
                .mut_arg("listen_api", |arg| arg.help("API 监听地址"))
                .mut_arg("listen_mqtt", |arg| arg.help("面向节点的网关监听地址"))
                .mut_arg("name", |arg| arg.help("中心的名称"))
                .mut_arg("host", |arg| arg.help("访问中心所用的名称或地址；第一个会告知节点。可重复"))
                .mut_arg("log_format", |arg| arg.help("日志行的格式"))
                .mut_arg("log", |arg| arg.help("记录哪些日志，写法同 RUST_LOG"))
                .mut_arg("check", |arg| arg.help("只检查配置"))
        })
        .mut_subcommand("new-epoch", |command| place(command.about("恢复备份之后：让节点重新接受本中心的状态。中心不得正在运行")))
        .mut_subcommand("client-certificate", |command| {
            place(command.about("为中心的其他 MQTT 客户端签发证书，使其可读取节点上报的内容"))
                .mut_arg("name", |arg| arg.help("客户端名称"))
                .mut_arg("out", |arg| arg.help("存放 NAME.crt、NAME.key 和 ca.crt 的目录"))
        })
}

fn run(command: Command, lang: Lang) -> Result<(), Ended> {
    match command {
        Command::Serve(args) => run_hub(args, lang),
        Command::NewEpoch(place) => {
            let config = load(&place)?;
            let path = existing(&config.state_dir)?;
            let epoch = runtime()?.block_on(async {
                let store = store::redb::RedbStore::open(&path)?;
                let epoch = hub::begin_new_epoch(&store, system_clock()()).await;
                store.close().await;
                epoch
            });
            let epoch = epoch.map_err(|error| error.fault())?;
            say(&Fault::new(&texts::SAYS_NEW_EPOCH).with("epoch", epoch), lang);
            Ok(())
        }
        Command::ClientCertificate(args) => {
            let config = load(&args.place)?;
            existing(&config.state_dir)?;
            let made = client::certificate(&config.state_dir, &args.name, &args.out, system_clock()());
            let files = made.map_err(|error| error.fault())?;
            say(&Fault::new(&texts::SAYS_CERTIFICATE).with("name", &args.name).with("files", files.join(", ")), lang);
            Ok(())
        }
    }
}

fn run_hub(args: Serve, lang: Lang) -> Result<(), Ended> {
    let mut config = load(&args.place)?;
    if let Some(listen) = args.listen_api {
        config.api.listen = listen;
    }
    if let Some(listen) = args.listen_mqtt {
        config.gate.listen = listen;
    }
    config.name = args.name.or(config.name);
    if !args.host.is_empty() {
        config.hosts = args.host;
    }
    if let Some(format) = args.log_format {
        config.log.format = format;
    }
    if let Some(filter) = args.log {
        config.log.filter = filter;
    }
    config.check().map_err(bad)?;
    let filter = filter(&config)?;
    if args.check {
        say(&Fault::new(&texts::SAYS_CONFIG_GOOD).with("state", config.state_dir.display()), lang);
        return Ok(());
    }
    log_to_stderr(config.log.format, filter);
    runtime()?.block_on(Box::pin(serve_until_signal(config, lang))).map_err(Ended::from)
}

async fn serve_until_signal(config: Config, lang: Lang) -> Result<(), Fault> {
    let failed = |cause: io::Error| Fault::new(&texts::RUNTIME_FAILED).with("doing", "signal").with("cause", cause);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut running = Box::pin(serve::start(&config, system_clock())).await.map_err(|error| {
        tracing::debug!(?error, "the hub does not start");
        error.fault()
    })?;
    if running.first_token.is_some() {
        // The token itself stays in its file: what is printed here ends in the system's log.
        let file = config.state_dir.join(serve::ADMIN_TOKEN);
        let hello = Fault::new(&texts::SAYS_FIRST_TOKEN).with("file", file.display());
        say(&hello.with("api", running.hub.api_address()).with("ca", running.hub.ca_fingerprint()), lang);
    }
    tracing::info!(api = %running.api, gate = %running.gate, epoch = running.hub.epoch(), "the hub is ready");
    notify(&[sd_notify::NotifyState::Ready]);
    let broken = tokio::select! {
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
        () = running.broken() => true,
    };
    notify(&[sd_notify::NotifyState::Stopping]);
    tracing::info!("the hub stops");
    running.stop().await;
    if broken { Err(Fault::new(&texts::RUNTIME_FAILED).with("doing", "serve").with("cause", "panic")) } else { Ok(()) }
}

/// Tells systemd; without systemd this does nothing.
fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd was not told");
    }
}

fn load(place: &Where) -> Result<Config, Ended> {
    let path = place.config.as_deref().unwrap_or(Path::new(config::PATH));
    let mut config = Config::load(path, place.config.is_some()).map_err(bad)?;
    if let Some(state) = &place.state_dir {
        config.state_dir = std::path::absolute(state).unwrap_or_else(|_| state.clone());
    }
    Ok(config)
}

/// The store's file, which must be there: a command on an existing hub must not make a new one by a mistyped path.
fn existing(state: &Path) -> Result<PathBuf, Ended> {
    let path = state.join(serve::STORE);
    let none = || Ended { exit: Exit::NotFound, fault: Fault::new(&texts::NOT_A_HUB).with("path", state.display()) };
    path.is_file().then_some(path).ok_or_else(none)
}

fn runtime() -> Result<tokio::runtime::Runtime, Fault> {
    let failed = |cause: io::Error| Fault::new(&texts::RUNTIME_FAILED).with("doing", "tokio").with("cause", cause);
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)
}

fn filter(config: &Config) -> Result<EnvFilter, Fault> {
    let value = &config.log.filter;
    EnvFilter::try_new(value).map_err(|_| {
        let expected = "info | debug,cloud_hub=trace";
        Fault::new(&texts::CONFIG_VALUE).with("key", "log.filter").with("value", value).with("expected", expected)
    })
}

fn log_to_stderr(format: Format, filter: EnvFilter) {
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let log = log.log_internal_errors(false); // On a full disk that would go there, too, and panic.
    match format {
        Format::Text => log.with_ansi(io::stderr().is_terminal()).init(),
        Format::Json => log.json().flatten_event(true).init(),
    }
}

/// Says something to whoever started this.
fn say(what: &Fault, lang: Lang) {
    let _nobody_reads = writeln!(io::stdout(), "{}", what.text(lang));
}
