//! How a command ends.

use shared::fault::Fault;
pub use shared::people::Exit;

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
}
