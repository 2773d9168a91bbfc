//! May this desired state replace that one? Order is (epoch, generation), never time.

use crate::fault::{Fault, Faulty, trust};
use crate::id::{Digest, Name};
use crate::state::{Desired, Stamp};

/// Largest jump of a generation within one epoch: a stamp far ahead would lock out every later one.
pub const STEP_MAX: u64 = 1 << 20;

/// What to do with a desired state that is signed by the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accept {
    /// It is newer: take it.
    Newer,
    /// It is the one the node has.
    Same,
}

/// Why a desired state is refused although the hub signed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is for another node.
    #[error("meant for node {0}")]
    OtherNode(Name),
    /// It is older than what the node has.
    #[error("state {offered} is older than {held}")]
    Rollback {
        /// What the hub sent.
        offered: Stamp,
        /// What the node has.
        held: Stamp,
    },
    /// It has the same stamp as what the node has, and other content.
    #[error("two different states have the stamp {0}")]
    Equivocation(Stamp),
    /// Its generation is too far ahead.
    #[error("state {offered} is too far ahead of {held}")]
    TooFar {
        /// What the hub sent.
        offered: Stamp,
        /// What the node has.
        held: Stamp,
    },
}

impl Faulty for Refusal {
    fn fault(&self) -> Fault {
        match self {
            Self::OtherNode(node) => Fault::new(&trust::OTHER_NODE).with("node", node),
            Self::Rollback { offered, held } => Fault::new(&trust::ROLLBACK).with("offered", offered).with("held", held),
            Self::Equivocation(stamp) => Fault::new(&trust::EQUIVOCATION).with("stamp", stamp),
            Self::TooFar { offered, held } => Fault::new(&trust::TOO_FAR).with("offered", offered).with("held", held),
        }
    }
}

/// Decides about `offered` (whose payload hashes to `hash`) on the node `me` that holds `held`.
pub fn consider(me: &Name, held: Option<(Stamp, Digest)>, offered: &Desired, hash: Digest) -> Result<Accept, Refusal> {
    if offered.node != *me {
        return Err(Refusal::OtherNode(offered.node.clone()));
    }
    let (held, held_hash) = held.unwrap_or((Stamp::default(), Digest::from_bytes([0; 32])));
    let offered = offered.stamp;
    let from = if offered.epoch == held.epoch { held.generation } else { 0 };
    match offered.cmp(&held) {
        std::cmp::Ordering::Less => Err(Refusal::Rollback { offered, held }),
        std::cmp::Ordering::Equal if hash == held_hash => Ok(Accept::Same),
        std::cmp::Ordering::Equal => Err(Refusal::Equivocation(offered)),
        std::cmp::Ordering::Greater if held != Stamp::default() && offered.generation.saturating_sub(from) > STEP_MAX => {
            Err(Refusal::TooFar { offered, held })
        }
        std::cmp::Ordering::Greater => Ok(Accept::Newer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newer_state_is_taken() {
        let me = Name::new("n1").expect("name");
        let [a, b] = [Digest::of(b"a"), Digest::of(b"b")];
        let held = Some((Stamp { epoch: 2, generation: 7 }, a));
        let offer = |epoch, generation, hash| {
            let stamp = Stamp { epoch, generation };
            consider(&me, held, &Desired { stamp, ..Desired::empty(me.clone()) }, hash)
        };
        assert_eq!(offer(2, 8, b), Ok(Accept::Newer));
        assert_eq!(offer(3, 1, b), Ok(Accept::Newer));
        assert_eq!(offer(2, 7, a), Ok(Accept::Same));
        assert!(matches!(offer(2, 7, b), Err(Refusal::Equivocation(_))));
        for (epoch, generation) in [(2, 6), (1, 99), (0, 0)] {
            assert!(matches!(offer(epoch, generation, b), Err(Refusal::Rollback { .. })));
        }
        assert!(matches!(offer(2, 1 << 63, b), Err(Refusal::TooFar { .. })));
        assert!(matches!(offer(3, u64::MAX, b), Err(Refusal::TooFar { .. })));

        let other = Desired::empty(Name::new("n2").expect("name"));
        assert!(matches!(consider(&me, held, &other, b), Err(Refusal::OtherNode(_))));
        let first = Desired { stamp: Stamp { epoch: 9, generation: 1 << 30 }, ..Desired::empty(me.clone()) };
        assert_eq!(consider(&me, None, &first, a), Ok(Accept::Newer), "a node that joins late starts anywhere");
    }
}
