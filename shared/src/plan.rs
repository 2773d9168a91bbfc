//! The planner: from desired and actual state to the steps that are possible now.

use crate::fault::Fault;
use crate::id::{Digest, Name};
use crate::release::{Image, InstanceSpec};
use crate::state::InstanceId;
use crate::time::Uptime;

/// What [`plan`] answers: the steps possible now, and when to look again although nothing happened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Steps that do not touch each other's subject and may run side by side.
    pub actions: Vec<Action>,
    /// When a timer changes the answer.
    pub wake_at: Option<Uptime>,
}

/// One action of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Bring all bytes of an image to disk.
    Fetch(Image),
    /// Have the runtime do something.
    Do(Step),
    /// Remember something about an app.
    Note(Name, Note),
}

/// One step of the runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Unpack, verify and sync an image whose bytes are on disk.
    Unpack(Image),
    /// Make the container of a service and start its process.
    Create(Box<InstanceSpec>),
    /// Start the process of an existing container again; its network is made anew if it is gone.
    Start(InstanceId, Box<InstanceSpec>),
    /// End the process: signal, grace period, kill.
    Stop(InstanceId),
    /// Remove a container that has no running process, with its snapshot and network.
    Remove(InstanceId),
    /// Remove an image that nothing needs.
    DropImage(Digest),
}

/// Something to remember about an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The release is proving itself from now on.
    Try(Digest, u64),
    /// The release proved itself.
    Keep(Digest),
    /// The release did not; the last good one comes back.
    Undo(Digest, u64, Fault),
    /// A one-shot service ended.
    Finish(Name, Digest, u32),
    /// Nothing is left of the app.
    Forget,
}
