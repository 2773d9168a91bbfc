//! Why a layer was not unpacked.

use std::io;

use rustix::io::Errno;
use shared::fault::{Fault, Faulty, Text, image};
use shared::id::Digest;
use shared::release::Blob;

use crate::images::stop::Stop;

/// Why `layer` was not unpacked.
#[derive(Debug, thiserror::Error)]
#[error("layer {layer}")]
pub struct ExtractError {
    /// The layer, by the digest of its tar.
    pub layer: Digest,
    /// Why.
    #[source]
    pub why: Why,
}

/// Why a layer was not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// An entry breaks a rule.
    #[error("{entry}: {rule:?}")]
    Refused {
        /// The entry's path, readable.
        entry: String,
        /// The rule.
        rule: Rule,
    },
    /// Not a tar.
    #[error("malformed at byte {at}: {why}")]
    Malformed {
        /// Byte of the uncompressed tar.
        at: u64,
        /// What is wrong there.
        why: &'static str,
    },
    /// The pack is damaged.
    #[error("broken data")]
    Broken(#[source] io::Error),
    /// The tar goes on after its signed end.
    #[error("longer than the signed {} bytes", .0.size)]
    Longer(Blob),
    /// The tar is not the signed one.
    #[error("{got:?} instead of {signed:?}")]
    Differs {
        /// What it is.
        got: Blob,
        /// What was signed.
        signed: Blob,
    },
    /// Somebody asked it to end.
    #[error("stopped")]
    Stopped,
    /// No room for an entry.
    #[error("disk full at {0}")]
    Full(String),
    /// A file operation failed.
    #[error("{doing} {entry}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which entry.
        entry: String,
        /// The cause.
        #[source]
        cause: io::Error,
    },
}

/// What an entry of a layer may not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// `..` or NUL in its path.
    Escapes,
    /// Path or name too long.
    TooLong,
    /// Too many directories deep, also by way of symlinks.
    TooDeep,
    /// One entry too many.
    TooMany,
    /// A sparse file in GNU's format.
    Sparse,
    /// A block device.
    BlockDevice,
    /// Of no known kind.
    Unknown,
    /// User or group above 2^31-1.
    Owner,
    /// Carries `trusted.*`.
    Trusted,
    /// Links to nothing.
    Link,
    /// Lies below something that is not a directory.
    NotDirectory,
    /// A whiteout of no name.
    Whiteout,
}

impl Rule {
    const fn text(self) -> &'static Text {
        match self {
            Self::Escapes => &image::ENTRY_ESCAPES,
            Self::TooLong => &image::ENTRY_TOO_LONG,
            Self::TooDeep => &image::ENTRY_TOO_DEEP,
            Self::TooMany => &image::ENTRY_TOO_MANY,
            Self::Sparse => &image::ENTRY_SPARSE,
            Self::BlockDevice => &image::ENTRY_BLOCK_DEVICE,
            Self::Unknown => &image::ENTRY_UNKNOWN,
            Self::Owner => &image::ENTRY_OWNER,
            Self::Trusted => &image::ENTRY_TRUSTED,
            Self::Link => &image::ENTRY_LINK,
            Self::NotDirectory => &image::ENTRY_NOT_DIRECTORY,
            Self::Whiteout => &image::ENTRY_WHITEOUT,
        }
    }

    /// The refusal of the entry at `path`.
    pub(super) fn refuses(self, path: &[u8]) -> Why {
        Why::Refused { entry: readable(path), rule: self }
    }
}

impl Why {
    /// What was unpacked could not be read back or synced.
    pub(crate) fn unsettled(cause: io::Error, stop: &Stop) -> Self {
        if stop.is_asked() { Self::Stopped } else { Self::Io { doing: "syncing", entry: "/".into(), cause } }
    }

    /// Whether the same bytes could be unpacked another time: the fault lies with this machine.
    pub const fn is_local(&self) -> bool {
        matches!(self, Self::Stopped | Self::Full(_) | Self::Io { .. })
    }
}

impl Faulty for ExtractError {
    fn fault(&self) -> Fault {
        let fault = |text| Fault::new(text).with("layer", self.layer.short());
        match &self.why {
            Why::Refused { entry, rule } => fault(rule.text()).with("entry", entry),
            Why::Malformed { at, why } => fault(&image::TAR_MALFORMED).with("at", at).with("why", why),
            Why::Broken(cause) => fault(&image::LAYER_BROKEN).with("cause", cause),
            Why::Longer(signed) => fault(&image::LAYER_LONGER).with("signed", signed.size),
            Why::Differs { got, signed } => {
                let say = |blob: &Blob| format!("{}, {} B", blob.digest.short(), blob.size);
                fault(&image::LAYER_DIFFERS).with("got", say(got)).with("signed", say(signed))
            }
            Why::Stopped => fault(&image::LAYER_STOPPED),
            Why::Full(entry) => fault(&image::LAYER_FULL).with("entry", entry),
            Why::Io { doing, entry, cause } => {
                fault(&image::LAYER_WRITE).with("doing", doing).with("entry", entry).with("cause", cause)
            }
        }
    }
}

/// Names the operation that failed. Names that a file system does not take are the image's fault, not the disk's.
pub(super) fn failed(doing: &'static str, path: &[u8]) -> impl FnOnce(Errno) -> Why {
    move |errno| match errno {
        Errno::NAMETOOLONG => Rule::TooLong.refuses(path),
        Errno::NOTDIR => Rule::NotDirectory.refuses(path),
        Errno::LOOP => Rule::TooDeep.refuses(path),
        Errno::NOSPC | Errno::DQUOT => Why::Full(readable(path)),
        _ => Why::Io { doing, entry: readable(path), cause: errno.into() },
    }
}

/// A path for people: at most 200 characters, control characters escaped.
fn readable(path: &[u8]) -> String {
    String::from_utf8_lossy(path).chars().take(200).flat_map(char::escape_debug).collect()
}
