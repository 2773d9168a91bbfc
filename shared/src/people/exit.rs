//! What a command line tells a script.

/// Exit codes of every command line; documented in README and `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It is done.
    Ok = 0,
    /// It failed otherwise.
    Error = 1,
    /// The command line is wrong, or the settings are.
    Usage = 2,
    /// There is no such thing.
    NotFound = 3,
    /// The other side refuses the caller, or the caller the other side.
    Denied = 4,
    /// It contradicts what is there.
    Conflict = 5,
    /// It did not happen in time.
    Timeout = 6,
    /// There is nobody at the other end.
    Unreachable = 7,
}
