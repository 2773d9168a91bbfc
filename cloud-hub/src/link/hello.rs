//! What a node holds, compared with what it shall hold.

use shared::fault::{Fault, hub};
use shared::id::{Digest, Name};
use shared::report::Report;
use shared::state::Stamp;
use shared::time::UnixMillis;
use shared::wire::v1::{self, Down, Hello};

use crate::desired::Scope;
use crate::hub::Hub;
use crate::records::{DESIRED, Desired, JOURNALS, Journal, key};

/// How soon the same desired state is sent again to a node that has not accepted it, in milliseconds.
const AGAIN_MS: u64 = 10_000;

/// What a comparison says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compared {
    /// The hub has not signed anything for it yet; it will be sent when it is.
    Nothing,
    /// Both hold the same.
    Agreed,
    /// The node holds an older state: send.
    Behind,
    /// The node holds a newer state than this hub ever signed: never send, it would be refused.
    Ahead,
    /// The same stamp with other content: two hubs signed with one key.
    Differs,
}

fn compare(wanted: Option<(Stamp, Digest)>, held: Stamp, hash: Option<Digest>) -> Compared {
    match wanted {
        None => Compared::Nothing,
        Some((stamp, _)) if held < stamp => Compared::Behind,
        Some((stamp, _)) if held > stamp => Compared::Ahead,
        Some((_, content)) if hash.is_none_or(|hash| hash == content) => Compared::Agreed,
        Some(_) => Compared::Differs,
    }
}

impl Hub {
    pub(super) async fn hello(&self, node: &Name, hello: &Hello) {
        let held = Stamp::from(hello.accepted);
        self.life(node, |life| life.accepted(held));
        self.place(node);
        let compared = self.judge(node, held, Some(Digest::from_bytes(hello.hash))).await;
        match compared {
            Compared::Agreed => {
                self.link.tell(node, &Down::Agreed { stamp: hello.accepted, wall_ms: self.now().0 });
            }
            Compared::Behind => self.send_wanted(node).await,
            Compared::Nothing | Compared::Ahead | Compared::Differs => {}
        }
        self.confirm_journal(node, hello.journal).await;
    }

    /// Folds a report. A node that is behind, and was not told for a while, is told again: the message may be lost.
    pub(super) async fn report(&self, node: &Name, report: Report) {
        self.take_report(node, report, self.now()).await;
    }

    /// As [`report`](Self::report), for one that was said at `at`; whether it was newer than the last.
    pub(crate) async fn take_report(&self, node: &Name, report: Report, at: UnixMillis) -> bool {
        let (now, held) = (self.now(), report.accepted);
        if self.life(node, |life| life.reported(report, at)) != Some(true) {
            return false;
        }
        self.metrics.reports.inc();
        self.place(node);
        let wanted = self.life(node, |life| life.wanted.as_ref().map(|wanted| wanted.hash)).flatten();
        let told = self.link.sent(node).is_some_and(|(hash, at)| Some(hash) == wanted && now.0.saturating_sub(at.0) < AGAIN_MS);
        if self.judge(node, held, None).await == Compared::Behind && !told {
            self.send_wanted(node).await;
        }
        true
    }

    /// Has the neighbours of a node told where it is reached now.
    fn place(&self, node: &Name) {
        let touched = self.fleet().placed(node, self.now());
        if !touched.is_empty() {
            self.assigner.ask(Scope::Nodes(touched));
        }
    }

    /// Compares, and says aloud once when something is wrong.
    async fn judge(&self, node: &Name, held: Stamp, hash: Option<Digest>) -> Compared {
        let wanted = self.life(node, |life| life.wanted.as_ref().map(|wanted| (wanted.stamp, wanted.hash))).flatten();
        let compared = compare(wanted, held, hash);
        let stamp = wanted.map(|(stamp, _)| stamp).unwrap_or_default();
        let text = match compared {
            Compared::Nothing | Compared::Agreed | Compared::Behind => None,
            Compared::Ahead => Some(&hub::NODE_AHEAD),
            Compared::Differs => Some(&hub::NODE_DIFFERS),
        };
        let fault = text.map(|text| Fault::new(text).with("node", node).with("held", held).with("wanted", stamp));
        // A report carries no hash: it cannot take back that the content differs.
        let is_final = hash.is_some() || compared != Compared::Agreed;
        let now = self.now();
        if is_final
            && self.life(node, |life| life.troubled(fault.clone(), now)) == Some(true)
            && let Some(fault) = fault
        {
            tracing::warn!(%node, %held, wanted = %stamp, code = %fault.code, "the node's state is not one of ours");
            self.tell(Some(node), fault).await;
        }
        compared
    }

    /// Sends what the store holds for the node.
    async fn send_wanted(&self, node: &Name) {
        match self.record::<Desired>(&key(DESIRED, node)).await {
            Ok(Some((desired, _))) => self.send_desired(node, &desired),
            Ok(None) => {}
            Err(error) => tracing::warn!(%node, %error, "the desired state was not read; the node will ask again"),
        }
    }

    /// Sends a signed state to the node, if it is connected. What is lost is sent again when the node says what it holds.
    pub(crate) fn send_desired(&self, node: &Name, desired: &Desired) {
        match v1::Envelope::decode(&desired.envelope) {
            Ok(envelope) => {
                if self.link.tell(node, &Down::Desired(envelope)) {
                    self.metrics.desired.inc();
                    self.link.remember_sent(node, desired.hash, self.now());
                }
            }
            Err(error) => tracing::error!(%node, %error, "a stored desired state is damaged"),
        }
    }

    /// The node asks to have entries confirmed that are stored already: the confirmation was lost.
    async fn confirm_journal(&self, node: &Name, oldest: u64) {
        match self.record::<Journal>(&key(JOURNALS, node)).await {
            Ok(Some((journal, _))) if journal.next > oldest => {
                self.link.tell(node, &Down::EventsStored(journal.next));
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%node, %error, "the journal's position was not read"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_older_state_is_replaced() {
        let stamp = |epoch, generation| Stamp { epoch, generation };
        let (ours, theirs) = (Digest::of(b"ours"), Digest::of(b"theirs"));
        let wanted = Some((stamp(2, 5), ours));
        for (wanted, held, hash, said) in [
            (None, stamp(0, 0), None, Compared::Nothing),
            (wanted, stamp(0, 0), Some(Digest::from_bytes([0; 32])), Compared::Behind),
            (wanted, stamp(2, 4), Some(ours), Compared::Behind),
            (wanted, stamp(1, 99), Some(theirs), Compared::Behind),
            (wanted, stamp(2, 5), Some(ours), Compared::Agreed),
            (wanted, stamp(2, 5), None, Compared::Agreed),
            (wanted, stamp(2, 5), Some(theirs), Compared::Differs),
            (wanted, stamp(2, 6), Some(ours), Compared::Ahead),
            (wanted, stamp(3, 1), None, Compared::Ahead),
        ] {
            assert_eq!(compare(wanted, held, hash), said, "{held} {hash:?}");
        }
    }
}
