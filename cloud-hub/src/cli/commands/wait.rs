//! `hubctl wait`, and `--wait` of other commands: until an object is as it should be, or cannot become so, or time is up.
//!
//! Whether it is so is decided by [`judge`] on what the hub says; here it is asked for again and again. A hub that is away
//! for a while is waited for too.

use std::time::Duration;

use serde_json::Value;
use shared::fault::{Fault, cli};
use shared::people;
use shared::report::Phase;
use tokio::time::{Instant, sleep};

use super::super::args::Wait;
use super::super::client::{Client, ClientError};
use super::super::error::CliError;
use super::super::kinds::{self, Kind, shown};
use super::super::rows::{self, View};
use super::super::session::{Session, time};
use super::super::words::{self, word};
use super::progress::Progress;
use crate::api::types::{Deployment, DeploymentNode, DeploymentStatus, Node};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// So many looks in a row must be hopeless: right after a deployment, reports still speak of what was before it.
const LOOKS: u32 = 6;

/// What can be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Ready,
    Accepted,
    Deleted,
    Connected,
    Disconnected,
    InSync,
}

impl Condition {
    const DEPLOYMENT: [Self; 3] = [Self::Ready, Self::Accepted, Self::Deleted];
    const NODE: [Self; 4] = [Self::Connected, Self::Disconnected, Self::InSync, Self::Deleted];

    const fn text(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Accepted => "accepted",
            Self::Deleted => "deleted",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::InSync => "in-sync",
        }
    }

    fn parse(kind: Kind, text: &str) -> Result<Self, CliError> {
        let possible = match kind {
            Kind::Deployments => &Self::DEPLOYMENT[..],
            Kind::Nodes => &Self::NODE,
            Kind::Apps | Kind::Releases | Kind::Budgets | Kind::Events | Kind::Publishers | Kind::Tokens | Kind::ApiTokens => &[],
        };
        let plain = text.strip_prefix("condition=").unwrap_or(text).to_ascii_lowercase();
        possible.iter().copied().find(|condition| condition.text() == plain).ok_or_else(|| {
            let conditions: Vec<&str> = possible.iter().map(|condition| condition.text()).collect();
            let conditions = if conditions.is_empty() { "-".to_owned() } else { conditions.join(", ") };
            let fault = Fault::new(&cli::BAD_CONDITION).with("kind", kind.singular()).with("given", shown(text));
            CliError::Usage(fault.with("conditions", conditions))
        })
    }
}

/// What a look says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// It is so.
    Met,
    /// Not yet; how far it is, for people.
    Not(String),
    /// It never will by itself: this node undid the release, and why.
    Hopeless(String, String),
}

pub(super) async fn run(session: &mut Session, args: &Wait) -> Result<(), CliError> {
    let (kind, names) = kinds::kind_and_names(&args.object, &[])?;
    let Some(name) = names.first() else {
        let fault = Fault::new(&cli::BAD_REFERENCE).with("text", shown(&args.object)).with("form", "KIND/NAME");
        return Err(CliError::Usage(fault.with("example", "deployment/counter")));
    };
    let condition = Condition::parse(kind, &args.condition)?;
    let timeout = time(&args.timeout, "--timeout")?;
    kind.single(name)?;
    let client = session.client()?;
    until(session, &client, kind, name, condition, timeout).await
}

/// Waits until it is so.
pub(super) async fn until(
    session: &mut Session,
    client: &Client,
    kind: Kind,
    name: &str,
    condition: Condition,
    timeout: Duration,
) -> Result<(), CliError> {
    let what = format!("{}/{name}", kind.singular());
    let wanted = word(session.lang(), condition.text());
    let mut progress = Progress::new(session);
    let end = Instant::now() + timeout;
    let mut said = String::new();
    let mut hopeless = 0;
    loop {
        let looked = look(client, kind, name, condition, session.view()).await;
        hopeless = if matches!(looked, Ok(Verdict::Hopeless(..))) { hopeless + 1 } else { 0 };
        let state = match looked {
            Ok(Verdict::Met) => {
                progress.finish();
                return Ok(session.out.say(&Fault::new(&cli::CONDITION_MET).with("what", what).with("condition", wanted))?);
            }
            Ok(Verdict::Not(state)) => state,
            Ok(Verdict::Hopeless(node, why)) if hopeless < LOOKS => format!("{node}: {why}"),
            Ok(Verdict::Hopeless(node, why)) => {
                progress.finish();
                let fault = Fault::new(&cli::WAIT_HOPELESS).with("what", what).with("condition", wanted);
                return Err(CliError::Unfit(fault.with("node", node).with("why", why)));
            }
            Err(error) if error.is_passing() && Instant::now() < end => error.text(session.lang()),
            Err(error) => return Err(error.into()),
        };
        if Instant::now() >= end {
            progress.finish();
            let fault = Fault::new(&cli::WAIT_TIMEOUT).with("what", what).with("condition", wanted);
            return Err(CliError::Timeout(fault.with("seconds", timeout.as_secs()).with("state", state)));
        }
        if state != said {
            let line = Fault::new(&cli::WAITING).with("what", &what).with("state", &state).text(session.lang());
            progress.state(session, &line);
            said = state;
        }
        sleep(LOOK).await;
    }
}

async fn look(client: &Client, kind: Kind, name: &str, condition: Condition, view: View) -> Result<Verdict, ClientError> {
    let found: Result<Value, ClientError> = client.get(crate::cli::client::Target::new(&[kind.plural(), name])).await;
    let object = match found {
        Ok(object) => object,
        Err(error) if error.is_not_found() && condition == Condition::Deleted => return Ok(Verdict::Met),
        Err(error) => return Err(error),
    };
    let bad = |error: serde_json::Error| client.bad_answer(error);
    match kind {
        Kind::Nodes => Ok(judge_node(&serde_json::from_value(object).map_err(bad)?, condition, view)),
        // The command line lets nothing else be waited for.
        Kind::Deployments
        | Kind::Apps
        | Kind::Releases
        | Kind::Budgets
        | Kind::Events
        | Kind::Publishers
        | Kind::Tokens
        | Kind::ApiTokens => Ok(judge(&serde_json::from_value(object).map_err(bad)?, condition, view)),
    }
}

/// Whether a deployment is as it should be.
fn judge(deployment: &Deployment, condition: Condition, view: View) -> Verdict {
    let status = &deployment.status;
    let all = status.nodes + status.absent.len() as u64;
    let reached = match condition {
        Condition::Ready => status.ready,
        Condition::Accepted => status.accepted,
        Condition::Deleted | Condition::Connected | Condition::Disconnected | Condition::InSync => 0,
    };
    if all > 0 && reached == all && condition != Condition::Deleted {
        return Verdict::Met;
    }
    let undone = status.detail.iter().find(|node| node.phase == Some(Phase::Undone) && node.connected);
    match undone.filter(|_| condition == Condition::Ready) {
        Some(node) => {
            let why = node.fault.as_ref().map(|fault| rows::problem(fault, view.lang)).unwrap_or_default();
            Verdict::Hopeless(node.node.to_string(), why)
        }
        None => Verdict::Not(state(status, all, view)),
    }
}

/// How far a deployment is, in few words.
fn state(status: &DeploymentStatus, all: u64, view: View) -> String {
    let mut phases: Vec<String> = Vec::new();
    for (phase, nodes) in &status.phases {
        phases.push(format!("{nodes} {}{}", words::phase(view.lang, phase), transfers(status, phase, view)));
    }
    phases.extend(status.absent.iter().map(|node| format!("{node}: {}", word(view.lang, "never"))));
    let held = |node: &&DeploymentNode| node.fault.as_ref().is_some_and(|fault| fault.code.starts_with("budget-"));
    if let Some(node) = status.detail.iter().find(held) {
        let why = node.fault.as_ref().map(|fault| fault.text(view.lang)).unwrap_or_default();
        phases.push(format!("{}: {why}", node.node));
    }
    let phases = if phases.is_empty() { String::new() } else { format!(" ({})", phases.join(", ")) };
    Fault::new(&cli::READY_STATE).with("ready", status.ready).with("nodes", all).with("phases", phases).text(view.lang)
}

/// How much has come of what is on its way to the nodes of a phase, and the longest time that is left, once each node said
/// it.
fn transfers(status: &DeploymentStatus, phase: &str, view: View) -> String {
    let fetching = |node: &&DeploymentNode| phase == "fetching" && node.phase == Some(Phase::Fetching);
    let moving: Vec<_> =
        status.detail.iter().filter(fetching).filter_map(|node| Some((node.transfer?, node.seconds_left))).collect();
    let sum = |of: fn(&(u64, u64)) -> u64| moving.iter().map(|(bytes, _)| of(bytes)).fold(0, u64::saturating_add);
    let Some(percent) = sum(|(done, _)| *done).saturating_mul(100).checked_div(sum(|(_, total)| *total)) else {
        return String::new();
    };
    let left = moving.iter().map(|(_, left)| *left).collect::<Option<Vec<u64>>>().and_then(|left| left.into_iter().max());
    let left = left.map(|seconds| format!(", {}", people::time_left(Some(seconds), view.lang))).unwrap_or_default();
    format!(" {percent}%{left}")
}

/// Whether a node is as it should be.
fn judge_node(node: &Node, condition: Condition, view: View) -> Verdict {
    let met = match condition {
        Condition::Connected => node.status.connected,
        Condition::Disconnected => !node.status.connected,
        Condition::InSync => node.status.in_sync,
        Condition::Ready | Condition::Accepted | Condition::Deleted => false,
    };
    if met {
        return Verdict::Met;
    }
    let sync = if node.status.in_sync { "in-sync" } else { "behind" };
    Verdict::Not(format!("{}, {}", word(view.lang, rows::node::status(node)), word(view.lang, sync)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::fault::Lang;
    use shared::time::UnixMillis;

    use super::*;

    const VIEW: View = View { lang: Lang::En, now: UnixMillis(0) };

    fn deployment(status: Value) -> Deployment {
        let id = shared::id::Digest::of(b"r");
        serde_json::from_value(json!({
            "metadata": {"name": "web", "revision": 1},
            "spec": {"app": "web", "release": id, "version": "1", "target": {"nodes": ["a"]}, "run": true, "revision": 1},
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn a_deployment_is_ready_when_every_node_is() {
        let not = |text: &str| Verdict::Not(text.into());
        for (status, condition, verdict) in [
            (json!({"nodes": 2, "ready": 2, "accepted": 2, "phases": {"running": 2}}), Condition::Ready, Verdict::Met),
            (
                json!({"nodes": 2, "ready": 1, "accepted": 2, "phases": {"fetching": 1, "running": 1}, "detail": [
                    {"node": "b", "ready": false, "phase": "fetching", "connected": true, "transfer": [30, 40]}]}),
                Condition::Ready,
                not("1 of 2 nodes ready (1 fetching 75%, 1 running)"),
            ),
            (
                json!({"nodes": 2, "ready": 0, "accepted": 2, "phases": {"fetching": 2}, "detail": [
                    {"node": "a", "ready": false, "phase": "fetching", "connected": true, "transfer": [10, 40], "secondsLeft": 75},
                    {"node": "b", "ready": false, "phase": "fetching", "connected": true, "transfer": [30, 40], "secondsLeft": 9}]}),
                Condition::Ready,
                not("0 of 2 nodes ready (2 fetching 50%, 1m15s left)"),
            ),
            (json!({"nodes": 2, "ready": 0, "accepted": 2, "phases": {"unknown": 2}}), Condition::Accepted, Verdict::Met),
            (json!({"nodes": 0, "ready": 0, "accepted": 0, "phases": {}}), Condition::Ready, not("0 of 0 nodes ready")),
            (
                json!({"nodes": 1, "ready": 1, "accepted": 1, "phases": {"running": 1}, "absent": ["b"]}),
                Condition::Ready,
                not("1 of 2 nodes ready (1 running, b: never seen)"),
            ),
            (
                json!({"nodes": 1, "ready": 0, "accepted": 1, "phases": {"undone": 1}, "detail": [
                    {"node": "a", "ready": false, "phase": "undone", "connected": true,
                     "fault": {"code": "node-x", "message_en": "It fell over."}}]}),
                Condition::Ready,
                Verdict::Hopeless("a".into(), "It fell over. [node-x]".into()),
            ),
            (
                json!({"nodes": 1, "ready": 1, "accepted": 1, "phases": {"running": 1}}),
                Condition::Deleted,
                not("1 of 1 nodes ready (1 running)"),
            ),
        ] {
            assert_eq!(judge(&deployment(status.clone()), condition, VIEW), verdict, "{status}");
        }
    }

    #[test]
    fn conditions_belong_to_kinds() {
        assert_eq!(Condition::parse(Kind::Nodes, "condition=Connected").unwrap(), Condition::Connected);
        assert!(Condition::parse(Kind::Nodes, "ready").is_err());
        assert!(Condition::parse(Kind::Apps, "ready").is_err());
    }
}
