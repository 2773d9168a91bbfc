//! How a command ends.

use shared::fault::{Fault, Faulty};

/// Exit codes other than 0. The table for people is in [`super`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It failed.
    Error = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// There is no such thing.
    NotFound = 3,
    /// Not allowed.
    Denied = 4,
    /// No answer in time.
    Timeout = 6,
    /// The other side cannot be reached.
    Unreachable = 7,
}

/// Why a command did not end with success.
#[derive(Debug)]
pub enum Ended {
    /// Nobody reads the output any more: nothing to say, and no failure.
    Quietly,
    /// It failed.
    Failed {
        /// With this code.
        exit: Exit,
        /// For these reasons.
        faults: Vec<Fault>,
    },
}

impl Ended {
    /// A failure for one reason.
    pub fn failed(exit: Exit, fault: Fault) -> Self {
        Self::Failed { exit, faults: vec![fault] }
    }

    /// A failure with the usual code.
    pub fn error(error: &impl Faulty) -> Self {
        Self::failed(Exit::Error, error.fault())
    }
}
