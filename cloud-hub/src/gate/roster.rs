//! Who is connected: at most one session per identity. A new one ends the older one and waits until it is gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shared::id::Name;

use super::session::Session;
use super::stats::End;
use crate::ca::Identity;

/// The sessions of a gate. Cheap to clone.
#[derive(Clone, Default)]
pub struct Sessions(Arc<Mutex<BTreeMap<Identity, Session>>>);

/// An identity's place; given back when dropped, also by a task that panics.
pub(super) struct Seat {
    sessions: Sessions,
    identity: Identity,
    session: Session,
}

impl Sessions {
    /// Ends the session of a node, if it has one. Returns whether it had.
    pub fn end_node(&self, node: &Name, reason: End) -> bool {
        self.end(&Identity::Node(node.clone()), reason)
    }

    /// Ends the session of another client of the center, if it has one. Returns whether it had.
    pub fn end_center(&self, center: &Name, reason: End) -> bool {
        self.end(&Identity::Center(center.clone()), reason)
    }

    fn end(&self, identity: &Identity, reason: End) -> bool {
        let session = self.table().get(identity).cloned();
        session.inspect(|session| session.end(reason)).is_some()
    }

    pub(super) fn end_all(&self, reason: End) {
        let all: Vec<Session> = self.table().values().cloned().collect();
        all.iter().for_each(|session| session.end(reason));
    }

    /// Takes the place of `identity` for `session`, after every older session is gone. May be dropped while it waits.
    pub(super) async fn take_seat(&self, identity: &Identity, session: &Session) -> Seat {
        loop {
            let older = {
                let mut table = self.table();
                match table.get(identity) {
                    Some(older) => older.clone(),
                    None => {
                        table.insert(identity.clone(), session.clone());
                        return Seat { sessions: self.clone(), identity: identity.clone(), session: session.clone() };
                    }
                }
            };
            older.end(End::TakenOver);
            older.left().await;
        }
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<Identity, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.sessions.table().remove(&self.identity);
        self.session.set_left();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_new_session_waits_for_the_older_one_to_be_gone() {
        let sessions = Sessions::default();
        let me = Identity::Node(Name::new("n1").expect("name"));
        let (old, new) = (Session::new(1, 1), Session::new(2, 1));
        let seat = sessions.take_seat(&me, &old).await;
        let next = tokio::spawn({
            let (sessions, me, new) = (sessions.clone(), me.clone(), new.clone());
            async move { sessions.take_seat(&me, &new).await }
        });
        old.ending().await;
        assert_eq!(old.ended(), Some(End::TakenOver));
        assert!(!next.is_finished());
        drop(seat);
        let seat = next.await.expect("seat");
        assert!(sessions.end_node(me.name(), End::Revoked));
        assert_eq!(new.ended(), Some(End::Revoked));
        drop(seat);
        assert!(!sessions.end_node(me.name(), End::Revoked) && sessions.table().is_empty());
    }
}
