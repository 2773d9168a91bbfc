//! A simulated world: one hub and some nodes in one process, and everything that can happen to them.
//!
//! What runs is the product: the real hub over its real store, the real daemons with reconciler, inbox, journal and link,
//! real signed releases and images. Simulated are only time (tokio's, paused: it jumps to the next timer), the networks
//! between them ([`cable`], [`lan`]), and what containers do ([`edge_node::runtime::memory`]).
//!
//! ```text
//! seed ─▶ happenings ─▶ World { Center, Machine × n }        judged all the time by history and errors,
//!            …                hub    ◄─ cable ─►  daemon ◄─ lan ─► daemon      by meter what the cable brings, and in calm by oracle
//! ```
//!
//! A seed fixes what happens and what the network does. Not fixed is which of several branches that are ready at the same
//! moment a task takes first, and how fast the disk is, so a failing seed is worth some tries.
#![allow(clippy::indexing_slicing, reason = "a simulated world that is wrong must fail, loudly")]

pub mod cable;
pub mod catalog;
pub mod center;
pub mod errors;
pub mod happenings;
pub mod history;
pub mod identity;
pub mod lan;
pub mod machine;
pub mod meter;
pub mod oracle;
pub mod prompt;
pub mod random;
pub mod watched;
pub mod weather;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use edge_node::api::port::Command;
use shared::assign::{Labels, Target};
use shared::id::{Digest, Name};
use tokio::time::{Instant, sleep};

use catalog::{Catalog, Published, platform};
use center::Center;
use history::History;
use lan::{Network, Port};
use machine::Machine;
use random::Random;
use weather::{Archive, Sky, Weather};

/// In calm everything must be well within this time: the longest trial, the longest backoff, and twice the time after
/// which hub and node compare what they hold.
pub const CALM: Duration = Duration::from_secs(20 * 60);
/// Hub and nodes agree within this time, whatever images wait for: twice the time after which they compare what they hold.
const THRIFTY: Duration = Duration::from_secs(10 * 60);
/// The longest waits of the most patient worlds.
const DAYS: Duration = Duration::from_secs(3 * 24 * 3600);
/// How often the world is looked at while it calms down.
const LOOK: Duration = Duration::from_secs(15);

/// A hub and some nodes.
pub struct World {
    /// Every choice of this world comes from here.
    pub random: Random,
    /// What can be deployed.
    pub catalog: Arc<Catalog>,
    /// The hub.
    pub center: Center,
    /// The nodes.
    pub machines: Vec<Machine>,
    /// What happened.
    pub history: Arc<History>,
    /// How often each release was deployed.
    pub deployed: BTreeMap<Digest, u64>,
    /// Nodes on which something happened that is no fault of a release, and may still have one undone.
    pub disturbed: BTreeSet<Name>,
    /// The hub lost its memory, so that journals may have gaps.
    pub may_have_gaps: bool,
    started: Instant,
}

impl World {
    /// A hub and `nodes` nodes, all up, in fair weather.
    pub async fn new(seed: u64, nodes: usize) -> Self {
        let mut random = Random::new(seed);
        let catalog = catalog::catalog();
        let labels: BTreeMap<Name, Labels> = (1..=nodes)
            .map(|n| {
                let site = if n % 2 == 1 { "north" } else { "south" };
                (node(n), [("site".to_owned(), site.to_owned())].into())
            })
            .collect();
        let center = Center::new(catalog.clone(), &labels).await;
        let (history, archive) = (Arc::new(History::new(platform())), Arc::new(Archive::default()));
        let (network, mut machines) = (Arc::new(Network::default()), Vec::new());
        for (name, host) in labels.into_keys().zip(1..) {
            let sky = Sky::new(random.fork(), archive.clone());
            let lan = Port { network: network.clone(), machine: [10, 0, 0, host].into() };
            let mut machine = Machine::new(name, sky, lan, center.serving(), catalog.clone(), history.clone());
            machine.start().await;
            machines.push(machine);
        }
        Self {
            random,
            catalog,
            center,
            machines,
            history,
            deployed: BTreeMap::new(),
            disturbed: BTreeSet::new(),
            may_have_gaps: false,
            started: Instant::now(),
        }
    }

    /// Time passes.
    pub async fn pass(&self, time: Duration) {
        sleep(time).await;
    }

    /// Notes what happens.
    pub fn tell(&self, what: String) {
        let at = self.started.elapsed();
        let line = format!("{:>9.3} {what}", at.as_secs_f64());
        if std::env::var_os("WORLD_LOG").is_some() {
            say(&line);
        }
        self.history.tell(line);
    }

    /// Deploys `app@version` to `target`, if the hub runs.
    pub async fn deploy(&mut self, name: &str, app: &str, version: &str, target: Target) {
        let catalog = self.catalog.clone();
        self.put(name, catalog.release(app, version), target, true, false).await;
    }

    /// Deploys a release, if the hub runs.
    pub async fn put(&mut self, name: &str, release: &Published, target: Target, run: bool, redeploy: bool) {
        let Some(hub) = self.center.hub() else { return };
        let entry = hub.release(release.id).await.expect("store").expect("published");
        let request = cloud_hub::deployments::request(&entry, target, run, redeploy);
        let name = Name::new(name).expect("name");
        let before = hub.deployment(&name).await.ok().map(|(record, _)| record.revision);
        let (record, ..) = hub.deploy(&name, request, None, "world").await.expect("deploy");
        if before != Some(record.revision) {
            *self.deployed.entry(release.id).or_default() += 1;
        }
    }

    /// Brings a release to the disks of `target`, if the hub runs.
    pub async fn prefetch(&self, name: &str, release: &Published, target: Target) {
        let Some(hub) = self.center.hub() else { return };
        let entry = hub.release(release.id).await.expect("store").expect("published");
        let request = cloud_hub::deployments::request(&entry, target, false, false);
        let request = cloud_hub::deployments::Request { prefetch: true, ..request };
        hub.deploy(&Name::new(name).expect("name"), request, None, "world").await.expect("prefetch");
    }

    /// Ends every fault and has every daemon and the hub run.
    pub async fn calm(&mut self) {
        self.center.start().await;
        for machine in &mut self.machines {
            machine.sky.set(Weather::FAIR);
            machine.memory.set_down(false);
            machine.plug(true);
            machine.plug_lan(true);
            machine.start().await;
        }
    }

    /// Calms down, with all budgets and pauses in force: only images wait for them. Hub and nodes agree soon; then budgets and
    /// pauses end.
    pub async fn be_thrifty(&mut self) -> Result<(), Vec<String>> {
        self.calm().await;
        let deadline = Instant::now() + THRIFTY;
        loop {
            sleep(LOOK).await;
            let wrong = self.unequal().await;
            if wrong.is_empty() {
                break;
            }
            if Instant::now() > deadline {
                return Err(wrong.into_iter().map(|what| format!("although only images wait: {what}")).collect());
            }
        }
        if let Some(hub) = self.center.hub() {
            for (name, ..) in hub.all_budgets().await.expect("store") {
                hub.remove_budget(&name, None, "world").await.expect("remove");
            }
        }
        for machine in &self.machines {
            machine.command(Command::Resume(None)).await.expect("a daemon").expect("resumed");
        }
        Ok(())
    }

    /// Calms down and waits until all is well; otherwise says what is not.
    pub async fn settle(&mut self) -> Result<(), Vec<String>> {
        self.calm().await;
        let deadline = Instant::now() + CALM;
        loop {
            sleep(LOOK).await;
            let mut wrong = self.history.violations();
            wrong.extend(errors::heard());
            for machine in &mut self.machines {
                if machine.is_broken() {
                    wrong.push(format!("{}: a part of the daemon ended", machine.name));
                }
            }
            if !wrong.is_empty() {
                return Err(wrong);
            }
            let wrong = self.disagreements().await;
            if wrong.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(wrong);
            }
        }
    }

    /// As [`settle`](Self::settle), and panics with everything that is known when it fails.
    pub async fn must_settle(&mut self) {
        if let Err(wrong) = self.settle().await {
            panic!("{}", self.account(&wrong));
        }
    }

    /// What is wrong, and what happened before.
    pub fn account(&self, wrong: &[String]) -> String {
        format!("{}\n--- what happened:\n{}", wrong.join("\n"), self.history.told().join("\n"))
    }
}

/// The name of the nth node.
pub fn node(n: usize) -> Name {
    Name::new(&format!("n{n}")).expect("name")
}

/// Everything, by a selector without conditions.
pub fn everywhere() -> Target {
    Target::Labels(Labels::new())
}

/// How much happens in one seeded run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Most nodes.
    pub nodes: u64,
    /// Phases, each of which ends in calm.
    pub phases: u64,
    /// Happenings of a phase.
    pub happenings: u64,
    /// Longest time between two of them. Every hundredth world waits for days instead, which costs as much as fifty others.
    pub longest: Duration,
}

/// One world from one seed: phases of happenings, each followed by calm in which all must be well.
///
/// # Errors
/// What was not as it must be, and what had happened.
pub fn run(seed: u64, size: Size) -> Result<(), String> {
    errors::listen();
    in_simulated_time(async move {
        let mut random = Random::new(seed);
        let nodes = random.between(1, size.nodes) as usize;
        let longest = if seed.is_multiple_of(100) { DAYS } else { size.longest };
        let mut world = World::new(seed, nodes).await;
        for phase in 0..size.phases {
            world.tell(format!("phase {phase} with {nodes} nodes"));
            for _ in 0..size.happenings {
                world.happen().await;
                world.wait_a_while(longest).await;
            }
            world.tell("calm".into());
            world.be_thrifty().await.map_err(|wrong| world.account(&wrong))?;
            world.settle().await.map_err(|wrong| world.account(&wrong))?;
        }
        Ok(())
    })
}

/// Runs `story` in a runtime of its own, with simulated time. One blocking thread, so that what was asked first is done
/// first.
pub fn in_simulated_time<T>(story: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).max_blocking_threads(1).build().expect("runtime");
    runtime.block_on(Box::pin(story))
}

/// Prints a line for people.
#[allow(clippy::print_stderr, reason = "the output of a test lane")]
pub fn say(line: &str) {
    eprintln!("{line}");
}
