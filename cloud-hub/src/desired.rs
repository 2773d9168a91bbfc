//! From deployments to signed desired states, level-triggered: somebody says *look at these nodes again*, and one
//! task compares what each shall run with what is signed for it.
//!
//! ```text
//! ask(Scope) ──▶ deployments, budgets × labels ──▶ shared::assign ─┐
//!                fleet ──▶ shared::neighbour ──────────────────────┴─▶ differs? generation + 1, sign, commit ──▶ link
//! ```
//!
//! Equal state keeps its generation and its bytes. The task starts by looking at every node, so that a crash between
//! a deployment's commit and its nodes' loses nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shared::assign::{Assigned, AssignedBudget, BudgetRule, Labels, Rule, assign, assign_budget, assign_next};
use shared::budget::Budget;
use shared::id::{Digest, Name};
use shared::sign::{Envelope, Purpose, SecretKey};
use shared::state::{Assignment, Desired, Neighbour, Stamp};
use shared::time::{UnixMillis, backoff};
use shared::wire::v1;
use tokio::sync::{Notify, watch};

use crate::fleet::Wanted;
use crate::hub::Hub;
use crate::records::{self, DESIRED, NODES, Stored, key, name_of};
use crate::stop::{Stop, stopped};
use crate::store::{Change, Expect, StoreError};

/// Most nodes of one commit, and of one page that is read.
const BATCH: usize = 256;
/// Beyond so many named nodes, all are looked at.
const NAMED_MAX: usize = 1024;

/// Which nodes to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// These.
    Nodes(BTreeSet<Name>),
    /// All.
    All,
}

/// What was asked and not done yet.
#[derive(Debug, Default)]
struct Pending {
    asked: u64,
    nodes: BTreeSet<Name>,
    all: bool,
}

impl Pending {
    fn add(&mut self, scope: Scope) {
        match scope {
            Scope::Nodes(names) => self.nodes.extend(names),
            Scope::All => self.all = true,
        }
        if self.nodes.len() > NAMED_MAX {
            self.all = true;
        }
        if self.all {
            self.nodes.clear();
        }
    }
}

/// The door to the task that signs.
#[derive(Debug)]
pub struct Assigner {
    pending: Mutex<Pending>,
    wake: Notify,
    done: watch::Sender<u64>,
}

impl Default for Assigner {
    fn default() -> Self {
        Self { pending: Mutex::default(), wake: Notify::new(), done: watch::Sender::new(0) }
    }
}

impl Assigner {
    /// Asks to look at `scope`; the answer is a number for [`settled`](Self::settled).
    pub fn ask(&self, scope: Scope) -> u64 {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.add(scope);
        pending.asked += 1;
        self.wake.notify_one();
        pending.asked
    }

    /// Waits until what was asked is committed; `false` when that takes longer than `limit`, for example because the
    /// disk is full. It will be done later in any case.
    pub async fn settled(&self, asked: u64, limit: Duration) -> bool {
        let mut done = self.done.subscribe();
        matches!(tokio::time::timeout(limit, done.wait_for(|done| *done >= asked)).await, Ok(Ok(_)))
    }

    fn take(&self) -> Pending {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = pending.asked;
        let taken = std::mem::take(&mut *pending);
        pending.asked = asked;
        taken
    }

    fn give_back(&self, taken: Pending) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all {
            pending.add(Scope::All);
        }
        pending.add(Scope::Nodes(taken.nodes));
    }
}

/// What deployments and budgets say.
struct Rules {
    apps: BTreeMap<Name, Rule>,
    budgets: BTreeMap<Name, BudgetRule>,
}

/// What a node shall hold, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Share {
    apps: BTreeMap<Name, Assigned>,
    next: BTreeMap<Name, Assigned>,
    budget: Option<AssignedBudget>,
    neighbours: BTreeMap<Name, Neighbour>,
}

impl Share {
    fn is_held(&self, held: &Wanted) -> bool {
        let Self { apps, next, budget, neighbours } = self;
        (apps, next, budget, neighbours) == (&held.apps, &held.next, &held.budget, &held.neighbours)
    }
}

/// A desired state to be written.
#[derive(Debug)]
struct Fresh {
    node: Name,
    record: records::Desired,
    expect: Expect,
    /// The node must be told.
    changed: bool,
}

impl Hub {
    /// Looks at every node, and then whenever it is asked to.
    pub async fn assign_forever(&self, mut stop: Stop) {
        let mut failures = 0;
        self.assigner.ask(Scope::All);
        loop {
            tokio::select! {
                () = self.assigner.wake.notified() => {}
                () = stopped(&mut stop) => return,
            }
            let taken = self.assigner.take();
            match self.assign_pass(&taken).await {
                Ok(()) => {
                    failures = 0;
                    self.assigner.done.send_replace(taken.asked);
                }
                Err(error) => {
                    failures += 1;
                    tracing::error!(%error, failures, "desired states were not written; trying again");
                    self.assigner.give_back(taken);
                    tokio::select! {
                        () = tokio::time::sleep(backoff(failures)) => self.assigner.wake.notify_one(),
                        () = stopped(&mut stop) => return,
                    }
                }
            }
        }
    }

    async fn assign_pass(&self, taken: &Pending) -> Result<(), StoreError> {
        let rules = self.rules().await?;
        if taken.all {
            return self.assign_all(&rules).await;
        }
        let named: Vec<Name> = taken.nodes.iter().cloned().collect();
        for names in named.chunks(BATCH) {
            let mut nodes = Vec::with_capacity(names.len());
            for name in names {
                if let Some((node, _)) = self.record::<records::Node>(&key(NODES, name)).await? {
                    nodes.push((name.clone(), node.labels));
                }
            }
            self.assign_batch(&rules, nodes).await?;
        }
        Ok(())
    }

    async fn assign_all(&self, rules: &Rules) -> Result<(), StoreError> {
        let mut after: Option<String> = None;
        loop {
            let page = self.store.list(NODES, after.as_deref(), BATCH).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            let mut nodes = Vec::with_capacity(page.len());
            for (key, record) in page {
                nodes.push((name_of(NODES, &key)?, records::Node::decode(&key, &record.value)?.labels));
            }
            self.assign_batch(rules, nodes).await?;
        }
    }

    async fn rules(&self) -> Result<Rules, StoreError> {
        let (deployments, budgets) = (self.all_deployments().await?, self.all_budgets().await?);
        Ok(Rules {
            apps: deployments.into_iter().map(|(name, deployment, _)| (name, rule(deployment))).collect(),
            budgets: budgets.into_iter().map(|(name, budget, _)| (name, budget_rule(budget))).collect(),
        })
    }

    async fn assign_batch(&self, rules: &Rules, nodes: Vec<(Name, Labels)>) -> Result<(), StoreError> {
        let mut fresh = Vec::new();
        for (node, labels) in nodes {
            let apps = assign(&node, &labels, &rules.apps);
            let next = assign_next(&node, &labels, &rules.apps);
            let budget = assign_budget(&node, &labels, &rules.budgets);
            let (held, neighbours) = {
                let fleet = self.fleet();
                (fleet.nodes.get(&node).and_then(|life| life.wanted.clone()), fleet.sites.around(&node))
            };
            let share = Share { apps, next, budget, neighbours };
            if held.is_some_and(|held| held.stamp.epoch == self.epoch && share.is_held(&held)) {
                continue;
            }
            fresh.extend(self.fresh(node, share).await?);
        }
        let change =
            |fresh: &Fresh| Change { key: key(DESIRED, &fresh.node), expect: fresh.expect, value: Some(fresh.record.encode()) };
        self.store.commit(fresh.iter().map(change).collect(), Vec::new()).await?;
        for Fresh { node, record, changed, .. } in fresh {
            if let Some(life) = self.fleet().nodes.get_mut(&node) {
                life.wanted = Some(Arc::new(Wanted::from(&record)));
            }
            if changed {
                tracing::info!(%node, stamp = %Stamp { epoch: record.epoch, generation: record.generation }, "desired state signed");
                self.send_desired(&node, &record);
            }
        }
        Ok(())
    }

    /// The state after the one that is stored; `None` when that one says the same.
    async fn fresh(&self, node: Name, share: Share) -> Result<Option<Fresh>, StoreError> {
        let key = key(DESIRED, &node);
        let stored = match self.store.get(&key).await? {
            Some(record) => Some(records::Desired::read(&key, record)?),
            None => None,
        };
        let expect = stored.as_ref().map_or(Expect::Absent, |(_, revision)| Expect::Revision(*revision));
        let stored = stored.map(|(desired, _)| desired);
        let next = next(&self.key, self.epoch, &node, stored.as_ref(), share, self.now());
        let (record, changed) = match next {
            Next::Same => (stored, false),
            Next::OtherReasons(record) => (Some(record), false),
            Next::Changed(record) => (Some(record), true),
        };
        Ok(record.map(|record| Fresh { node, record, expect, changed }))
    }
}

fn rule(deployment: records::Deployment) -> Rule {
    let records::Deployment { app, release, revision, run, target, prefetch, .. } = deployment;
    Rule { app, assignment: Assignment { release, revision, run }, target, prefetch }
}

fn budget_rule(budget: records::Budget) -> BudgetRule {
    let records::Budget { budget, revision, target, .. } = budget;
    BudgetRule { budget, revision, target }
}

/// What follows on a stored state.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// It says the same.
    Same,
    /// It says the same for other reasons: same bytes, same generation.
    OtherReasons(records::Desired),
    /// It says something else, or another life of the hub says it.
    Changed(records::Desired),
}

fn next(key: &SecretKey, epoch: u64, node: &Name, stored: Option<&records::Desired>, share: Share, now: UnixMillis) -> Next {
    if let Some(stored) = stored.filter(|stored| stored.epoch == epoch && says_the_same(stored, &share)) {
        let Share { apps, next, budget, neighbours: _ } = share;
        let is_same = (&stored.apps, &stored.next, &stored.budget) == (&apps, &next, &budget);
        return if is_same { Next::Same } else { Next::OtherReasons(records::Desired { apps, next, budget, ..stored.clone() }) };
    }
    let Share { apps, next, budget, neighbours } = share;
    let generation = stored.map_or(0, |stored| stored.generation).saturating_add(1);
    let assignments = apps.iter().map(|(app, assigned)| (app.clone(), assigned.assignment.clone())).collect();
    let on_disk = next.iter().map(|(app, assigned)| (app.clone(), assigned.assignment.release)).collect();
    let allowed = budget.as_ref().map(|assigned| assigned.budget.clone());
    let stamp = Stamp { epoch, generation };
    let desired = Desired {
        node: node.clone(),
        stamp,
        as_of: now,
        apps: assignments,
        next: on_disk,
        budget: allowed,
        neighbours: neighbours.clone(),
    };
    let payload = v1::Desired::from(&desired).encode();
    let hash = Digest::of(&payload);
    let envelope = Envelope::sign(Purpose::Desired, payload, &[key]).to_bytes();
    Next::Changed(records::Desired { epoch, generation, hash, envelope, apps, next, budget, neighbours })
}

fn says_the_same(stored: &records::Desired, share: &Share) -> bool {
    fn assignments(apps: &BTreeMap<Name, Assigned>) -> impl Iterator<Item = (&Name, &Assignment)> {
        apps.iter().map(|(app, assigned)| (app, &assigned.assignment))
    }
    fn allowed(budget: Option<&AssignedBudget>) -> Option<&Budget> {
        budget.map(|assigned| &assigned.budget)
    }
    let same_budget = allowed(stored.budget.as_ref()) == allowed(share.budget.as_ref());
    let same_next = assignments(&stored.next).map(|(app, a)| (app, a.release));
    same_budget
        && stored.neighbours == share.neighbours
        && assignments(&stored.apps).eq(assignments(&share.apps))
        && same_next.eq(assignments(&share.next).map(|(app, a)| (app, a.release)))
}

#[cfg(test)]
mod tests {
    use shared::sign::Keyring;

    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).expect("name")
    }

    fn apps(revision: u64, overruled: &[&str]) -> Share {
        let assignment = Assignment { release: Digest::of(b"r"), revision, run: true };
        let overruled = overruled.iter().map(|n| (name(n), 1)).collect();
        Share {
            apps: [(name("web"), Assigned { assignment, deployment: name("d"), overruled })].into(),
            next: BTreeMap::new(),
            budget: None,
            neighbours: BTreeMap::new(),
        }
    }

    fn limited(share: Share, rate: u64, by: &str) -> Share {
        let budget = Budget { rate: Some(rate), ..Budget::default() };
        Share { budget: Some(AssignedBudget { budget, name: name(by), overruled: Vec::new() }), ..share }
    }

    fn beside(share: Share, port: u16) -> Share {
        let neighbour = Neighbour { address: ([10, 0, 0, 1], port).into(), certificate: Digest::of(b"c") };
        Share { neighbours: [(name("n2"), neighbour)].into(), ..share }
    }

    #[test]
    fn a_generation_is_a_real_change_and_nothing_else() {
        let key = SecretKey::from_seed(&[1; 32]);
        let step = |epoch, stored: Option<&records::Desired>, apps| next(&key, epoch, &name("n1"), stored, apps, UnixMillis(9));
        let Next::Changed(first) = step(1, None, apps(5, &[])) else { panic!("the first is a change") };
        assert_eq!((first.epoch, first.generation), (1, 1));
        assert_eq!(step(1, Some(&first), apps(5, &[])), Next::Same);

        let Next::OtherReasons(reasons) = step(1, Some(&first), apps(5, &["old"])) else { panic!("only the reasons differ") };
        assert_eq!((reasons.generation, &reasons.envelope), (1, &first.envelope));

        let none = Share { apps: BTreeMap::new(), ..apps(5, &[]) };
        let budget = limited(apps(5, &[]), 2048, "north");
        let beside = beside(apps(5, &[]), 7448);
        for (epoch, apps, stamp) in
            [(1, apps(6, &[]), (1, 2)), (1, none, (1, 2)), (2, apps(5, &[]), (2, 2)), (1, budget, (1, 2)), (1, beside, (1, 2))]
        {
            let Next::Changed(second) = step(epoch, Some(&first), apps) else { panic!("a change") };
            assert_eq!((second.epoch, second.generation), stamp);
        }
    }

    #[test]
    fn a_budget_of_another_name_is_another_reason() {
        let key = SecretKey::from_seed(&[1; 32]);
        let step = |stored: Option<&records::Desired>, by: &str, rate| {
            next(&key, 1, &name("n1"), stored, limited(apps(5, &[]), rate, by), UnixMillis(9))
        };
        let Next::Changed(first) = step(None, "north", 2048) else { panic!("the first is a change") };
        assert_eq!(step(Some(&first), "north", 2048), Next::Same);
        assert!(matches!(step(Some(&first), "south", 2048), Next::OtherReasons(_)));
        assert!(matches!(step(Some(&first), "north", 4096), Next::Changed(_)));
    }

    #[test]
    fn neighbours_are_told_when_they_are_others() {
        let key = SecretKey::from_seed(&[1; 32]);
        let step = |stored: Option<&records::Desired>, share| next(&key, 1, &name("n1"), stored, share, UnixMillis(9));
        let Next::Changed(first) = step(None, beside(apps(5, &[]), 1)) else { panic!("the first is a change") };
        assert_eq!(step(Some(&first), beside(apps(5, &[]), 1)), Next::Same);
        assert!(matches!(step(Some(&first), beside(apps(5, &["old"]), 1)), Next::OtherReasons(_)));
        for other in [beside(apps(5, &[]), 2), apps(5, &[])] {
            assert!(matches!(step(Some(&first), other), Next::Changed(second) if second.generation == 2));
        }
    }

    #[test]
    fn what_is_signed_is_what_is_stored() {
        let key = SecretKey::from_seed(&[1; 32]);
        let Next::Changed(record) = next(&key, 1, &name("n1"), None, apps(5, &[]), UnixMillis(9)) else { panic!("a change") };
        let envelope = Envelope::from_bytes(&record.envelope).expect("envelope");
        let payload = envelope.verify(Purpose::Desired, &Keyring::new([key.public()], 1)).expect("signed by the hub");
        assert_eq!(Digest::of(payload), record.hash);
        let desired: Desired = v1::Desired::decode(payload).expect("desired").try_into().expect("desired");
        assert_eq!(desired.apps[&name("web")].revision, 5);
        assert_eq!((desired.node, desired.as_of), (name("n1"), UnixMillis(9)));
    }

    #[test]
    fn many_named_nodes_become_all() {
        let mut pending = Pending::default();
        for n in 0..=NAMED_MAX {
            pending.add(Scope::Nodes([name(&format!("n{n}"))].into()));
        }
        assert!(pending.all && pending.nodes.is_empty());
    }
}
