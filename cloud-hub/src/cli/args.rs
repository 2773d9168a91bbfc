//! The command line. Doc comments here are the English help; the Chinese one stands in [`super::help_zh`], and a test
//! checks that it has a text for everything.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Operate a Causeway hub: publish apps, deploy them to nodes, see what runs where
#[derive(Debug, Parser)]
#[command(name = "hubctl", version, disable_help_flag = true, disable_help_subcommand = true, disable_version_flag = true)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// The context to use for this command (also CAUSEWAY_CONTEXT)
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) context: Option<String>,
    /// The hub's address, if not that of the context (also CAUSEWAY_SERVER)
    #[arg(long, global = true, value_name = "URL")]
    pub(super) server: Option<String>,
    /// Language: zh or en; else LC_ALL, LC_MESSAGES or LANG decides
    #[arg(long, global = true, value_name = "LANG", value_parser = ["zh", "en"], hide_possible_values = true)]
    pub(super) lang: Option<String>,
    /// Results and errors only: no progress, no notices
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
}

/// What is done.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Get to know a hub, and store its address, its CA fingerprint and an API token
    Login(Login),
    /// List, choose or remove the hubs that are known
    #[command(subcommand)]
    Context(ContextCommand),
    /// Make a publisher key; the same as key generate
    Keygen(KeyFile),
    /// Make or show the publisher key that signs releases
    #[command(subcommand)]
    Key(KeyCommand),
    /// Register or remove keys that may sign releases
    #[command(subcommand)]
    Publisher(PublisherCommand),
    /// Publish a release: read the manifest, bring the images to the hub, sign, send
    Publish(Box<Publish>),
    /// Take a release back that nothing needs any more; the hub frees what only it needed
    Unpublish(Unpublish),
    /// Compare the images of releases
    #[command(subcommand)]
    Image(ImageCommand),
    /// Show objects of one kind: apps, releases, nodes, deployments, budgets, events, publishers, tokens, api-tokens
    Get(Get),
    /// Show one object with everything that matters to it
    Describe(Describe),
    /// Deploy a release to nodes
    Deploy(Deploy),
    /// Bring a release to the disks of nodes, so that deploying it later switches at once; what runs there stays
    Prefetch(Prefetch),
    /// Deploy an earlier release of a deployment again
    Rollback(Rollback),
    /// Remove a deployment; its nodes stop the app and keep its volumes
    Undeploy(Undeploy),
    /// Make or remove a token with which one node can join
    #[command(subcommand)]
    Token(TokenCommand),
    /// Make or remove tokens for the API
    #[command(subcommand)]
    ApiToken(ApiTokenCommand),
    /// Set or remove budgets: how fast, how much and when images may come to nodes
    #[command(subcommand)]
    Budget(BudgetCommand),
    /// Label, revoke or delete nodes
    #[command(subcommand)]
    Node(NodeCommand),
    /// Show what an app prints on a node
    Logs(Logs),
    /// Write a bundle: what nodes shall run and all it is made of, to carry to them on a stick
    Export(Export),
    /// Take in a node that no link reaches: answer the request that edge-node join --request wrote
    AnswerJoin(AnswerJoin),
    /// Bring receipts, written by nodes with edge-node receipts, to the hub
    ImportReceipts(ImportReceipts),
    /// Wait until a deployment or a node is as it should be
    Wait(Wait),
    /// Show the versions of hubctl and of the hub
    Version(Version),
    /// Print a completion script for a shell
    Completion(Completion),
}

#[derive(Debug, Args)]
pub(super) struct Login {
    /// The hub's address, for example https://hub.example:8443
    pub(super) url: String,
    /// API token, or - for the standard input; asked for when absent (also CAUSEWAY_TOKEN)
    #[arg(long, value_name = "TOKEN")]
    pub(super) token: Option<String>,
    /// sha256 of the hub's CA certificate, as the hub says it about itself (also CAUSEWAY_CA_FINGERPRINT)
    #[arg(long, value_name = "SHA256", conflicts_with = "ca")]
    pub(super) ca_fingerprint: Option<String>,
    /// File with the hub's CA certificate in PEM
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum ContextCommand {
    /// Show all contexts; the current one has a star
    List,
    /// Make a context the current one
    Use {
        /// Its name
        name: String,
    },
    /// Forget a context and its token
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a publisher key; an existing file is never replaced
    Generate(KeyFile),
    /// Show the public half of the publisher key
    Show(KeyFile),
}

#[derive(Debug, Args)]
pub(super) struct KeyFile {
    /// The key's file; default publisher.key beside the contexts
    #[arg(long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum PublisherCommand {
    /// Let a key sign releases
    Add {
        /// A name for the key
        name: String,
        /// The public key, or the file that holds it
        key: String,
    },
    /// Let a key sign nothing new any more
    Remove {
        /// The key's name
        name: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Publish {
    /// The manifest: an App or a plain compose.yaml; - for the standard input
    pub(super) file: PathBuf,
    /// Take a service's image from an archive (PATH or PATH#NAME) or from another reference
    #[arg(long, value_name = "SERVICE=IMAGE")]
    pub(super) image: Vec<String>,
    /// Publish for these machines only, for example linux/arm64; default all that the images have
    #[arg(long, value_name = "PLATFORM")]
    pub(super) platform: Vec<String>,
    /// The publisher key's file; default publisher.key beside the contexts
    #[arg(long, value_name = "FILE")]
    pub(super) key: Option<PathBuf>,
    /// The app's name, where the manifest has none
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// The release's version, where the manifest has none
    #[arg(long = "version", value_name = "VERSION")]
    pub(super) release_version: Option<String>,
    /// A value for ${VAR} in the manifest
    #[arg(long, value_name = "VAR=VALUE")]
    pub(super) set: Vec<String>,
    /// User for the registry; its password is read from CAUSEWAY_REGISTRY_PASSWORD
    #[arg(long, value_name = "USER")]
    pub(super) registry_user: Option<String>,
    /// Read and check everything that is on this machine, show the manifest in normal form, send nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Unpublish {
    /// The release, for example counter@1.0.0, or its id
    #[arg(value_name = "APP@VERSION")]
    pub(super) release: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum ImageCommand {
    /// Show, before a rollout, the bytes that a node that has only this release will need; the patches are made meanwhile
    Diff {
        /// The only release that such a node has, for example counter@1.0.0
        #[arg(value_name = "APP@OLD")]
        old: String,
        /// The release it shall get, for example counter@1.1.0
        #[arg(value_name = "APP@NEW")]
        new: String,
        #[command(flatten)]
        output: Output,
    },
}

/// Forms of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Table,
    Wide,
    Json,
    Yaml,
    Name,
}

#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Output {
    /// Form of the result: table, wide, json, yaml or name
    #[arg(
        short = 'o',
        long = "output",
        value_name = "FORM",
        default_value = "table",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
pub(super) struct Get {
    /// apps, releases, nodes, deployments, budgets, events, publishers, tokens or api-tokens; KIND/NAME means one object
    pub(super) kind: String,
    /// Only these objects
    pub(super) names: Vec<String>,
    #[command(flatten)]
    pub(super) output: Output,
    /// Only what has these labels: site=north,role!=gate,gpu,!old
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub(super) selector: Option<String>,
    /// Go on showing what changes
    #[arg(short, long)]
    pub(super) watch: bool,
    /// No line with the names of columns
    #[arg(long)]
    pub(super) no_headers: bool,
    /// Events: only about this node
    #[arg(long, value_name = "NODE")]
    pub(super) node: Option<String>,
    /// Events: only about this app
    #[arg(long, value_name = "APP")]
    pub(super) app: Option<String>,
    /// Events: so many of the newest
    #[arg(long, value_name = "N", default_value_t = 100, hide_default_value = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) limit: u32,
}

#[derive(Debug, Args)]
pub(super) struct Describe {
    /// app, release, node, deployment, budget, publisher, token or api-token; KIND/NAME works too
    pub(super) kind: String,
    /// Its name; a release is named APP@VERSION or by its id
    pub(super) name: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Deploy {
    /// The release, for example counter@1.0.0
    #[arg(value_name = "APP@VERSION")]
    pub(super) release: String,
    /// The deployment's name; default the app's
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    #[command(flatten)]
    pub(super) nodes: Nodes,
    /// Have it on disk, but stopped
    #[arg(long)]
    pub(super) stopped: bool,
    /// Under a new revision even if nothing changed: nodes that undid it try once more
    #[arg(long)]
    pub(super) redeploy: bool,
    #[command(flatten)]
    pub(super) patience: Patience,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Prefetch {
    /// The release, for example counter@1.1.0
    #[arg(value_name = "APP@VERSION")]
    pub(super) release: String,
    /// The prefetch's name among the deployments; default the app's with -prefetch behind it. undeploy ends it
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    #[command(flatten)]
    pub(super) nodes: Nodes,
    #[command(flatten)]
    pub(super) patience: Patience,
    #[command(flatten)]
    pub(super) output: Output,
}

/// For which nodes.
#[derive(Debug, Args)]
pub(super) struct Nodes {
    /// For this node; may be given several times. What is there already keeps its nodes when none is named
    #[arg(short, long, value_name = "NODE", conflicts_with_all = ["selector", "all_nodes"])]
    pub(super) node: Vec<String>,
    /// For all nodes with these labels, now and in future: key=value,…
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with = "all_nodes")]
    pub(super) selector: Option<String>,
    /// For every node, now and in future
    #[arg(long)]
    pub(super) all_nodes: bool,
}

/// Waiting for what was deployed.
#[derive(Debug, Args)]
pub(super) struct Patience {
    /// Wait until all nodes are ready
    #[arg(long)]
    pub(super) wait: bool,
    /// How long to wait at most, for example 90s, 10m, 1h
    #[arg(long, value_name = "TIME", default_value = "5m", hide_default_value = true)]
    pub(super) timeout: String,
}

#[derive(Debug, Args)]
pub(super) struct Rollback {
    /// The deployment
    pub(super) deployment: String,
    /// To this version or release id; default the one before
    #[arg(long, value_name = "VERSION")]
    pub(super) to: Option<String>,
    #[command(flatten)]
    pub(super) patience: Patience,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Undeploy {
    /// The deployment
    pub(super) deployment: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token, and show the line to run on the node; an earlier token for it is void
    Create {
        /// The node's name
        node: String,
        /// How long it is good for, at most 2160h (90 days); default 1h
        #[arg(long, value_name = "TIME")]
        ttl: Option<String>,
        /// A label the node gets
        #[arg(short = 'l', long, value_name = "KEY=VALUE")]
        label: Vec<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Make a token void that was not used yet
    Remove {
        /// The node's name
        node: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ApiTokenCommand {
    /// Make an API token; its text is shown only now
    Create {
        /// A name for it
        name: String,
        /// viewer, operator or admin
        #[arg(long, value_name = "ROLE", value_parser = ["viewer", "operator", "admin"], hide_possible_values = true)]
        role: String,
        /// How long it is good for, for example 720h; default without end
        #[arg(long, value_name = "TIME")]
        ttl: Option<String>,
    },
    /// Remove an API token; it is refused from now on
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum BudgetCommand {
    /// Set a budget, all of it anew, for each node by itself; of several that cover one, the one set last is in force
    Set(BudgetSet),
    /// Remove a budget
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct BudgetSet {
    /// Its name
    pub(super) name: String,
    /// Bytes of images per second: 1Mbit, 128KiB
    #[arg(long, value_name = "RATE")]
    pub(super) rate: Option<String>,
    /// Bytes of a day: 2GiB; all messages count, images wait
    #[arg(long, value_name = "SIZE")]
    pub(super) per_day: Option<String>,
    /// Bytes of a month: 20GiB
    #[arg(long, value_name = "SIZE")]
    pub(super) per_month: Option<String>,
    /// Images come only then: 22:00-06:00, or mon-fri 20:00-24:00; may be given several times
    #[arg(long, value_name = "WINDOW")]
    pub(super) window: Vec<String>,
    /// The site's distance from UTC, for its days and windows: +08:00; default +00:00
    #[arg(long, value_name = "ZONE", default_value = "+00:00", hide_default_value = true, allow_hyphen_values = true)]
    pub(super) zone: String,
    #[command(flatten)]
    pub(super) nodes: Nodes,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Subcommand)]
pub(super) enum NodeCommand {
    /// Set labels (key=value) or remove them (key-)
    Label {
        /// The node
        node: String,
        /// key=value or key-
        #[arg(required = true, value_name = "LABEL")]
        labels: Vec<String>,
    },
    /// Cut a node off at once and for ever; its apps run on, only a new token brings it back
    Revoke {
        /// The node
        node: String,
    },
    /// Forget a node, and cut it off
    Delete {
        /// The node
        node: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Logs {
    /// The node
    pub(super) node: String,
    /// The app
    pub(super) app: String,
    /// The service; all of the app when absent
    pub(super) service: Option<String>,
    /// Go on as lines are written
    #[arg(short, long)]
    pub(super) follow: bool,
    /// So many of the last lines; default 100
    #[arg(long, value_name = "N")]
    pub(super) tail: Option<u32>,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    /// For these nodes; each gets what is deployed to it
    #[arg(required = true, value_name = "NODE")]
    pub(super) nodes: Vec<String>,
    /// The file, for example on a USB stick
    #[arg(long, value_name = "FILE")]
    pub(super) to: String,
    /// The nodes have this release, for example counter@1.0.0: only what differs is written; may be given several times
    #[arg(long, value_name = "APP@VERSION")]
    pub(super) have: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct AnswerJoin {
    /// The file that the node wrote
    #[arg(value_name = "FILE")]
    pub(super) request: String,
    /// The file to carry back, for example on a USB stick
    #[arg(long, value_name = "FILE")]
    pub(super) to: String,
}

#[derive(Debug, Args)]
pub(super) struct ImportReceipts {
    /// Files that edge-node receipts wrote
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Wait {
    /// What to wait for: deployment/NAME or node/NAME
    pub(super) object: String,
    /// deployment: ready, accepted, deleted; node: connected, disconnected, in-sync, deleted
    #[arg(long = "for", value_name = "CONDITION")]
    pub(super) condition: String,
    /// How long to wait at most, for example 90s, 10m, 1h; default 5m
    #[arg(long, value_name = "TIME", default_value = "5m", hide_default_value = true)]
    pub(super) timeout: String,
}

#[derive(Debug, Args)]
pub(super) struct Version {
    /// Only that of hubctl; no hub is asked
    #[arg(long)]
    pub(super) client: bool,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Completion {
    /// bash, zsh or fish
    #[arg(value_parser = ["bash", "zsh", "fish"], hide_possible_values = true)]
    pub(super) shell: String,
}
