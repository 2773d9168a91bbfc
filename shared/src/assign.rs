//! Which release of which app goes to which node.
//!
//! ```text
//! deployments ──▶ those that cover the node ──▶ per app the highest revision wins ──▶ at most APPS_MAX apps
//! prefetches ───▶ those that cover the node ──▶ per app the highest revision wins, unless something was deployed since
//! budgets ──────▶ those that cover the node ──▶ the highest revision wins
//! ```
//!
//! The answer depends on its arguments only, so every hub comes to the same one, and who lost against whom can
//! be shown to people.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::id::{Digest, Name};
use crate::state::{APPS_MAX, Assignment};

/// Labels of a node.
pub type Labels = BTreeMap<String, String>;

/// Which nodes a deployment covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// These, by name.
    Nodes(BTreeSet<Name>),
    /// Every node that has all these labels with these values.
    Labels(Labels),
}

impl Target {
    /// Whether the node `node` with `labels` is meant.
    pub fn covers(&self, node: &Name, labels: &Labels) -> bool {
        match self {
            Self::Nodes(names) => names.contains(node),
            Self::Labels(wanted) => wanted.iter().all(|(key, value)| labels.get(key) == Some(value)),
        }
    }
}

/// A deployment, as far as it decides about nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The app.
    pub app: Name,
    /// What the covered nodes shall do with it.
    pub assignment: Assignment,
    /// Which nodes.
    pub target: Target,
    /// Have the release on disk for later, whatever of the app runs meanwhile.
    pub prefetch: bool,
}

/// What a node shall do with one app, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// What.
    pub assignment: Assignment,
    /// The deployment that says so.
    pub deployment: Name,
    /// Deployments of the same app that lost here, with their revisions, highest first.
    pub overruled: Vec<(Name, u64)>,
}

/// What `node` shall run under `deployments` (by name).
///
/// Of several deployments of one app the one with the highest revision wins, which is the one deployed last; equal
/// revisions, which one hub never gives out, are decided by the smaller name. Beyond [`APPS_MAX`] apps the newest
/// are left out: what runs already stays.
pub fn assign(node: &Name, labels: &Labels, deployments: &BTreeMap<Name, Rule>) -> BTreeMap<Name, Assigned> {
    winners(node, labels, deployments, false)
}

/// The releases that `node` shall have on disk for later, under `deployments`: per app the prefetch with the highest
/// revision, unless something of the app was deployed there since. Then the prefetch did its work, or came to nothing.
pub fn assign_next(node: &Name, labels: &Labels, deployments: &BTreeMap<Name, Rule>) -> BTreeMap<Name, Assigned> {
    let apps = winners(node, labels, deployments, false);
    let mut next = winners(node, labels, deployments, true);
    let since = |app: &Name| apps.get(app).map_or(0, |assigned| assigned.assignment.revision);
    next.retain(|app, assigned| assigned.assignment.revision > since(app));
    next
}

fn winners(node: &Name, labels: &Labels, deployments: &BTreeMap<Name, Rule>, prefetch: bool) -> BTreeMap<Name, Assigned> {
    let mut apps: BTreeMap<Name, Vec<(&Name, &Rule)>> = BTreeMap::new();
    let covers = |rule: &Rule| rule.prefetch == prefetch && rule.target.covers(node, labels);
    for (name, rule) in deployments.iter().filter(|(_, rule)| covers(rule)) {
        apps.entry(rule.app.clone()).or_default().push((name, rule));
    }
    let mut assigned: Vec<(Name, Assigned)> =
        apps.into_iter().filter_map(|(app, candidates)| Some((app, winner(candidates)?))).collect();
    if assigned.len() > APPS_MAX {
        assigned.sort_by_key(|(_, assigned)| assigned.assignment.revision);
        assigned.truncate(APPS_MAX);
    }
    assigned.into_iter().collect()
}

fn winner(mut candidates: Vec<(&Name, &Rule)>) -> Option<Assigned> {
    candidates.sort_by(|(a, x), (b, y)| y.assignment.revision.cmp(&x.assignment.revision).then_with(|| a.cmp(b)));
    let (first, rest) = candidates.split_first()?;
    let overruled = rest.iter().map(|(name, rule)| ((*name).clone(), rule.assignment.revision)).collect();
    Some(Assigned { assignment: first.1.assignment.clone(), deployment: first.0.clone(), overruled })
}

/// A budget, as far as it decides about nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetRule {
    /// What.
    pub budget: Budget,
    /// Grows with each change of any budget.
    pub revision: u64,
    /// Which nodes.
    pub target: Target,
}

/// The budget of a node, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignedBudget {
    /// What.
    pub budget: Budget,
    /// Its name.
    pub name: Name,
    /// Budgets that lost here, with their revisions, highest first.
    pub overruled: Vec<(Name, u64)>,
}

/// The budget of `node`: as with deployments, the one with the highest revision wins, which is the one set last.
pub fn assign_budget(node: &Name, labels: &Labels, budgets: &BTreeMap<Name, BudgetRule>) -> Option<AssignedBudget> {
    let mut candidates: Vec<(&Name, &BudgetRule)> = budgets.iter().filter(|(_, rule)| rule.target.covers(node, labels)).collect();
    candidates.sort_by(|(a, x), (b, y)| y.revision.cmp(&x.revision).then_with(|| a.cmp(b)));
    let ((name, rule), rest) = candidates.split_first()?;
    let overruled = rest.iter().map(|(name, rule)| ((*name).clone(), rule.revision)).collect();
    Some(AssignedBudget { budget: rule.budget.clone(), name: (*name).clone(), overruled })
}

/// The releases of `apps`, without repetition.
pub fn releases(apps: &BTreeMap<Name, Assigned>) -> BTreeSet<Digest> {
    apps.values().map(|assigned| assigned.assignment.release).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).expect("name")
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn nodes(names: &[&str]) -> Target {
        Target::Nodes(names.iter().map(|n| name(n)).collect())
    }

    fn rule(app: &str, revision: u64, target: Target) -> Rule {
        let release = Digest::of(format!("{app}{revision}").as_bytes());
        Rule { app: name(app), assignment: Assignment { release, revision, run: true }, target, prefetch: false }
    }

    fn deployments(rules: &[(&str, Rule)]) -> BTreeMap<Name, Rule> {
        rules.iter().map(|(n, rule)| (name(n), rule.clone())).collect()
    }

    #[test]
    fn targets_cover_by_name_or_by_all_labels() {
        let n1 = labels(&[("site", "north"), ("role", "crane")]);
        for (target, covered) in [
            (nodes(&["n1"]), true),
            (nodes(&["n2", "n1"]), true),
            (nodes(&["n2"]), false),
            (nodes(&[]), false),
            (Target::Labels(labels(&[])), true),
            (Target::Labels(labels(&[("site", "north")])), true),
            (Target::Labels(labels(&[("site", "north"), ("role", "crane")])), true),
            (Target::Labels(labels(&[("site", "north"), ("role", "gate")])), false),
            (Target::Labels(labels(&[("site", "")])), false),
            (Target::Labels(labels(&[("zone", "1")])), false),
        ] {
            assert_eq!(target.covers(&name("n1"), &n1), covered, "{target:?}");
        }
    }

    #[test]
    fn the_last_deployment_of_an_app_wins_and_the_others_are_named() {
        let all = deployments(&[
            ("fleet", rule("web", 3, Target::Labels(labels(&[])))),
            ("canary", rule("web", 7, nodes(&["n1"]))),
            ("older", rule("web", 5, nodes(&["n1"]))),
            ("db", rule("db", 1, nodes(&["n1"]))),
        ]);
        let on = |node: &str| assign(&name(node), &labels(&[]), &all);
        let n1 = on("n1");
        assert_eq!(n1.keys().cloned().collect::<Vec<_>>(), [name("db"), name("web")]);
        assert_eq!(n1[&name("web")].deployment, name("canary"));
        assert_eq!(n1[&name("web")].overruled, [(name("older"), 5), (name("fleet"), 3)]);
        assert_eq!(on("n2")[&name("web")].deployment, name("fleet"));
        assert!(on("n2")[&name("web")].overruled.is_empty());
    }

    #[test]
    fn a_prefetch_is_beside_what_runs_until_something_is_deployed_later() {
        let prefetch = |revision| Rule { prefetch: true, ..rule("web", revision, nodes(&["n1"])) };
        let of = |rules: &[(&str, Rule)]| {
            let all = deployments(rules);
            let names = |assigned: BTreeMap<Name, Assigned>| assigned.into_values().map(|a| a.deployment).collect::<Vec<_>>();
            let (node, none) = (name("n1"), labels(&[]));
            (names(assign(&node, &none, &all)), names(assign_next(&node, &none, &all)))
        };
        let runs = || ("web", rule("web", 3, nodes(&["n1"])));
        assert_eq!(of(&[runs(), ("next", prefetch(5))]), (vec![name("web")], vec![name("next")]));
        assert_eq!(of(&[("next", prefetch(5))]), (vec![], vec![name("next")]), "nothing needs to run before");
        assert_eq!(of(&[runs(), ("next", prefetch(5)), ("later", prefetch(6))]).1, [name("later")]);
        let deployed = ("deployed", rule("web", 7, nodes(&["n1"])));
        assert_eq!(of(&[runs(), ("next", prefetch(5)), deployed]), (vec![name("deployed")], vec![]));
    }

    #[test]
    fn equal_revisions_are_decided_by_name() {
        let all = deployments(&[("b", rule("web", 3, nodes(&["n1"]))), ("a", rule("web", 3, nodes(&["n1"])))]);
        assert_eq!(assign(&name("n1"), &labels(&[]), &all)[&name("web")].deployment, name("a"));
    }

    #[test]
    fn beyond_the_bound_the_newest_apps_are_left_out() {
        let all: BTreeMap<Name, Rule> = (0..APPS_MAX as u64 + 10)
            .map(|n| (name(&format!("d{n}")), rule(&format!("a{n}"), 1000 - n, nodes(&["n1"]))))
            .collect();
        let apps = assign(&name("n1"), &labels(&[]), &all);
        assert_eq!(apps.len(), APPS_MAX);
        assert!(!apps.contains_key(&name("a0")), "the highest revision is the newest");
        assert!(apps.contains_key(&name(&format!("a{}", APPS_MAX + 9))));
    }

    #[test]
    fn the_budget_that_was_set_last_is_in_force() {
        let rule = |revision, target| BudgetRule {
            budget: Budget { rate: Some(1024 * revision), ..Budget::default() },
            revision,
            target,
        };
        let all: BTreeMap<Name, BudgetRule> = [
            (name("fleet"), rule(4, Target::Labels(labels(&[])))),
            (name("north"), rule(6, Target::Labels(labels(&[("site", "north")])))),
            (name("old"), rule(2, nodes(&["n1"]))),
        ]
        .into();
        let n1 = assign_budget(&name("n1"), &labels(&[("site", "north")]), &all).expect("covered");
        assert_eq!((n1.name, n1.budget.rate), (name("north"), Some(6 * 1024)));
        assert_eq!(n1.overruled, [(name("fleet"), 4), (name("old"), 2)]);
        assert_eq!(assign_budget(&name("n2"), &labels(&[]), &all).map(|budget| budget.name), Some(name("fleet")));
        assert_eq!(assign_budget(&name("n2"), &labels(&[]), &BTreeMap::new()), None);
    }

    #[test]
    fn each_release_is_listed_once() {
        let mut second = rule("b", 1, nodes(&["n1"]));
        second.assignment.release = rule("a", 1, nodes(&[])).assignment.release;
        let all = deployments(&[("a", rule("a", 1, nodes(&["n1"]))), ("b", second)]);
        assert_eq!(releases(&assign(&name("n1"), &labels(&[]), &all)).len(), 1);
    }
}
