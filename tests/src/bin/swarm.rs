//! Load generator for the hub's gate.
//!
//! `swarm bench` starts a gate in a process of its own, connects thousands of nodes to it, measures the memory each idle
//! node costs, kills the gate with SIGKILL, starts it again, and measures until all nodes are back.
//! `swarm run` connects nodes to a hub that runs already.

use std::error::Error;
use std::io::{BufRead, BufReader, Write, stdout};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::{Parser, Subcommand};
use cloud_hub::broker::{Broker, PROBE_EVERY};
use cloud_hub::ca::Ca;
use cloud_hub::gate::{Config, Gate, Limits, Nodes, Session, SessionId};
use scenarios::bench::{Figure, Goal, json, table};
use scenarios::swarm::{Plan, Swarm, memory_of, now, raise_open_files};
use shared::fault::Fault;
use shared::id::{Digest, Name};
use shared::topic::Channel;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Thousands of MQTT nodes in one process.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Run only a gate, until standard input ends; prints its address.
    Gate {
        /// Directory for the CA.
        #[arg(long)]
        state: PathBuf,
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
    /// Connect nodes to a running hub and keep them there.
    Run {
        /// The hub's state directory, whose CA signs the nodes' certificates.
        #[arg(long)]
        state: PathBuf,
        /// Where the hub listens for nodes.
        #[arg(long)]
        address: SocketAddr,
        /// How many nodes.
        #[arg(long, default_value_t = 1000)]
        nodes: usize,
        /// The hub's process, to show its memory.
        #[arg(long)]
        pid: Option<u32>,
        /// For how many seconds.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Measure memory per idle node and the time to reconnect after SIGKILL.
    Bench {
        /// How many nodes.
        #[arg(long, default_value_t = 5000)]
        nodes: usize,
        /// Write the figures to this file as JSON.
        #[arg(long)]
        json: Option<PathBuf>,
    },
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Outcome<()> {
    raise_open_files()?;
    match Arguments::parse().what {
        What::Gate { state, listen } => gate(&state, listen).await,
        What::Run { state, address, nodes, pid, seconds } => run(&state, address, nodes, pid, seconds).await,
        What::Bench { nodes, json } => bench(nodes, json).await,
    }
}

// ---------------------------------------------------------------- a gate alone

/// A hub that does nothing, so that the memory is the gate's.
struct Idle;

impl Nodes for Idle {
    async fn admit(&self, _: &Name, _: &Digest) -> Result<(), Fault> {
        std::future::ready(Ok(())).await
    }
    async fn joined(&self, _: &Name, _: Session) {
        std::future::ready(()).await;
    }
    async fn received(&self, _: &Name, _: SessionId, _: Channel, _: Bytes) {
        std::future::ready(()).await;
    }
    async fn left(&self, _: &Name, _: SessionId) {
        std::future::ready(()).await;
    }
}

async fn gate(state: &Path, listen: SocketAddr) -> Outcome<()> {
    let ca = Ca::open(state, now())?;
    let serving = ca.serving(&["127.0.0.1".parse()?], [1; 16], now())?;
    let broker = Broker::start()?;
    let watched = broker.clone();
    tokio::spawn(async move { watched.keep_alive(PROBE_EVERY).await });
    let gate = Gate::bind(Config { listen, serving, limits: Limits::default() }, &ca, Arc::new(Idle), broker).await?;
    writeln!(stdout(), "{}", gate.local_addr()?)?;
    gate.run(async {
        let _ended = tokio::task::spawn_blocking(|| std::io::stdin().lock().lines().count()).await;
    })
    .await;
    Ok(())
}

/// A gate in its own process; killed when dropped.
struct OwnGate {
    child: Child,
    address: SocketAddr,
}

impl OwnGate {
    fn start(state: &Path, listen: &str) -> Outcome<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["gate", "--listen", listen, "--state"])
            .arg(state)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        Ok(Self { child, address: line.trim().parse()? })
    }
}

impl Drop for OwnGate {
    fn drop(&mut self) {
        let _killed = self.child.kill().and_then(|()| self.child.wait());
    }
}

// ---------------------------------------------------------------- commands

fn plan(address: SocketAddr, nodes: usize) -> Plan {
    Plan { address, nodes, parallel: 200, keep_alive: 600, backoff: Duration::from_secs(8) }
}

async fn run(state: &Path, address: SocketAddr, nodes: usize, pid: Option<u32>, seconds: u64) -> Outcome<()> {
    let ca = Ca::open(state, now())?;
    let swarm = Swarm::start(&plan(address, nodes), &ca)?;
    for second in 0..seconds {
        let counts = swarm.counts();
        let memory =
            pid.map(memory_of).transpose()?.map_or_else(String::new, |bytes| format!(", {} KB in the hub", bytes / 1024));
        let (connected, failed, lost) = (counts.connected.load(Relaxed), counts.failed.load(Relaxed), counts.lost.load(Relaxed));
        writeln!(stdout(), "{second:4} s: {connected} connected, {failed} attempts failed, {lost} lost{memory}")?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

/// So long all nodes may take to connect.
const LIMIT: Duration = Duration::from_secs(120);
/// The promise: all are back within this time.
const BACK: f64 = 30.0;
/// The promise: an idle node costs no more.
const KB_PER_NODE: f64 = 24.0;

async fn bench(nodes: usize, out: Option<PathBuf>) -> Outcome<()> {
    let dir = tempfile::tempdir()?;
    let gate = OwnGate::start(dir.path(), "127.0.0.1:0")?;
    let address = gate.address;
    let ca = Ca::open(dir.path(), now())?;
    let before = memory_of(gate.child.id())?;
    let began = Instant::now();
    let swarm = Swarm::start(&plan(address, nodes), &ca)?;
    all_connect(&swarm, nodes).await?;
    let connected = began.elapsed().as_secs_f64();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let each = memory_of(gate.child.id())?.saturating_sub(before) as f64 / 1024.0 / nodes as f64;

    let killed = Instant::now();
    drop(gate);
    let gate = OwnGate::start(dir.path(), &address.to_string())?;
    while swarm.counts().lost.load(Relaxed) < nodes && killed.elapsed() < LIMIT {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    all_connect(&swarm, nodes).await?;
    let back = killed.elapsed().as_secs_f64();
    drop(gate);

    let figure = |id: &str, value, unit, most: Option<f64>| {
        let command = format!("swarm bench --nodes {nodes}");
        Figure { id: id.into(), value, unit, floor: None, goal: most.map(Goal::Value), command }
    };
    let figures = [
        figure("gate_connect_s", connected, "s", None),
        figure("gate_kb_per_node", each, "KB", Some(KB_PER_NODE)),
        figure("gate_reconnect_s", back, "s", Some(BACK)),
    ];
    writeln!(stdout(), "{}", table(&figures))?;
    if let Some(path) = out {
        std::fs::write(path, serde_json::to_vec_pretty(&json(&figures))?)?;
    }
    Ok(())
}

async fn all_connect(swarm: &Swarm, nodes: usize) -> Outcome<()> {
    if swarm.reaches(nodes, LIMIT).await {
        return Ok(());
    }
    Err(format!("only {} of {nodes} nodes are connected after {LIMIT:?}", swarm.counts().connected.load(Relaxed)).into())
}
