//! Who this node is, and whom it believes: made by `edge-node join`, read at every start.
//!
//! ```text
//! <state>/identity/   0700   written whole under another name and renamed, so that it is there entirely or not at all
//!   node.json         0600   name, hub addresses, epoch, hub key, publisher keys
//!   node.key          0600   private key, PKCS#8 PEM
//!   node.pem          0600   certificate chain, leaf first
//!   ca.pem            0600   the hub's CA
//! ```

mod certificate;

use std::fmt;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use shared::fault::{Fault, Faulty, trust};
use shared::id::{Digest, Name};
use shared::sign::PublicKey;

use crate::private_file::{self, PrivateFileError};
use crate::reserve::LacksRoom;

pub use certificate::{Mismatch, certificates_of, pem};

/// Most publisher keys a node trusts.
pub const PUBLISHERS_MAX: usize = 64;
/// Largest file of an identity, in bytes.
const FILE_MAX: u64 = 64 << 10;
/// Version of `node.json`.
const VERSION: u32 = 1;

/// Who this node is. `Debug` never shows the private key.
pub struct Identity {
    /// Its name.
    pub node: Name,
    /// The hub's life when it joined.
    pub epoch: u64,
    /// URL of the hub's API.
    pub api: String,
    /// Where the hub's gate is.
    pub mqtt: Address,
    /// The key that signs desired states.
    pub hub_key: PublicKey,
    /// Keys that may sign releases.
    pub publishers: Vec<PublicKey>,
    /// Its certificate chain, leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The hub's CA.
    pub ca: CertificateDer<'static>,
    /// Its private key.
    pub key: PrivatePkcs8KeyDer<'static>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({} of {})", self.node, self.api)
    }
}

/// A host and a port, written `host:port` or `[address]:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// DNS name or IP address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Why a text is not an [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not host:port")]
pub struct BadAddress {
    /// The refused text, cut to 80 characters.
    pub text: String,
}

impl FromStr for Address {
    type Err = BadAddress;
    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let bad = || BadAddress { text: text.chars().take(80).collect() };
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(bad)?;
        rustls::pki_types::ServerName::try_from(host).map_err(|_| bad())?;
        Ok(Self { host: host.into(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse::<Ipv6Addr>() {
            Ok(address) => write!(f, "[{address}]:{}", self.port),
            Err(_) => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Why there is no usable identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The node has not joined.
    #[error("{} is not there", .0.display())]
    Absent(PathBuf),
    /// There is one already.
    #[error("already {node} of {hub}")]
    Present {
        /// Its name.
        node: String,
        /// Its hub.
        hub: String,
    },
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// A file does not hold what it should.
    #[error("{path}: {why}")]
    Damaged {
        /// Which.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// [`PUBLISHERS_MAX`] keys are there.
    #[error("more than {PUBLISHERS_MAX} publisher keys")]
    TooManyKeys,
}

impl Faulty for IdentityError {
    fn fault(&self) -> Fault {
        match self {
            Self::Absent(path) => Fault::new(&trust::NOT_JOINED).with("path", path.display()),
            Self::Present { node, hub } => Fault::new(&trust::ALREADY_JOINED).with("node", node).with("hub", hub),
            Self::File(error) => error.fault(),
            Self::Damaged { path, why } => Fault::new(&trust::NODE_IDENTITY_DAMAGED).with("path", path).with("why", why),
            Self::TooManyKeys => Fault::new(&trust::KEYS_TOO_MANY).with("max", PUBLISHERS_MAX),
        }
    }
}

impl LacksRoom for IdentityError {
    fn lacks_room(&self) -> bool {
        matches!(self, Self::File(error) if error.lacks_room())
    }
}

/// `node.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    version: u32,
    node: Name,
    epoch: u64,
    api: String,
    mqtt: String,
    hub_key: PublicKey,
    publishers: Vec<PublicKey>,
}

impl Identity {
    /// Reads the identity in `dir` and checks that its parts belong together. A certificate whose time is over is no
    /// error here: the hub decides about it, and apps run without one.
    pub fn load(dir: &Path) -> Result<Self, IdentityError> {
        if !dir.exists() {
            return Err(IdentityError::Absent(dir.into()));
        }
        private_file::check_dir(dir)?;
        let record = record(dir)?;
        let path = dir.join("node.json");
        let key =
            PrivatePkcs8KeyDer::from_pem_slice(&file(dir, "node.key")?).map_err(|_| damaged(&dir.join("node.key"), "no key"))?;
        let chain = certificates_of(&file(dir, "node.pem")?).map_err(|why| damaged(&dir.join("node.pem"), why))?;
        let [ca] = <[_; 1]>::try_from(certificates_of(&file(dir, "ca.pem")?).map_err(|why| damaged(&dir.join("ca.pem"), why))?)
            .map_err(|_| damaged(&dir.join("ca.pem"), "not exactly one certificate"))?;
        let Record { node, epoch, api, mqtt, hub_key, publishers, version: _ } = record;
        let mqtt = mqtt.parse().map_err(|error| damaged(&path, error))?;
        let identity = Self { node, epoch, api, mqtt, hub_key, publishers, chain, ca, key };
        identity.check().map_err(|why| damaged(&dir.join("node.pem"), why))?;
        Ok(identity)
    }

    /// Writes the identity to `dir`, all of it or nothing. An existing one is replaced only if `again`.
    pub fn store(&self, dir: &Path, again: bool) -> Result<(), IdentityError> {
        if !again {
            refuse_second(dir)?;
        }
        let fresh = dir.with_added_extension("new");
        let failed = |doing, cause| PrivateFileError::Io { doing, path: dir.display().to_string(), cause };
        private_file::remove_dir(&fresh)?;
        private_file::make_dir(&fresh)?;
        private_file::write(&fresh.join("node.key"), pem("PRIVATE KEY", self.key.secret_pkcs8_der()).as_bytes())?;
        let chain: String = self.chain.iter().map(|certificate| pem("CERTIFICATE", certificate)).collect();
        private_file::write(&fresh.join("node.pem"), chain.as_bytes())?;
        private_file::write(&fresh.join("ca.pem"), pem("CERTIFICATE", &self.ca).as_bytes())?;
        write_record(&fresh, &self.record())?;
        let flags = if dir.exists() { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
        renameat_with(CWD, &fresh, CWD, dir, flags).map_err(|error| failed("writing", error.into()))?;
        private_file::sync_parent(dir).map_err(|cause| failed("writing", cause))?;
        Ok(private_file::remove_dir(&fresh)?)
    }

    /// Whether key, certificate, CA and name belong together.
    pub fn check(&self) -> Result<(), Mismatch> {
        certificate::check(&self.node, &self.chain, &self.key, &self.ca)
    }

    /// Fingerprint of the hub's CA, as in the join token.
    pub fn ca_digest(&self) -> Digest {
        Digest::of(&self.ca)
    }

    fn record(&self) -> Record {
        Record {
            version: VERSION,
            node: self.node.clone(),
            epoch: self.epoch,
            api: self.api.clone(),
            mqtt: self.mqtt.to_string(),
            hub_key: self.hub_key,
            publishers: self.publishers.clone(),
        }
    }
}

/// Says so when `dir` already holds an identity, be it a damaged one.
pub fn refuse_second(dir: &Path) -> Result<(), IdentityError> {
    if !dir.exists() {
        return Ok(());
    }
    let (node, hub) = record(dir).map_or(("?".into(), "?".into()), |record| (record.node.to_string(), record.api));
    Err(IdentityError::Present { node, hub })
}

/// Trusts one more publisher key from now on; all that are trusted then.
pub fn add_publisher(dir: &Path, key: PublicKey) -> Result<Vec<PublicKey>, IdentityError> {
    let mut record = record(dir)?;
    if !record.publishers.contains(&key) {
        if record.publishers.len() >= PUBLISHERS_MAX {
            return Err(IdentityError::TooManyKeys);
        }
        record.publishers.push(key);
        write_record(dir, &record)?;
    }
    Ok(record.publishers)
}

fn record(dir: &Path) -> Result<Record, IdentityError> {
    /// Read first: another version may have other fields.
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let (path, bytes) = (dir.join("node.json"), file(dir, "node.json")?);
    let parsed = |error: serde_json::Error| damaged(&path, error);
    let Version { version } = serde_json::from_slice(&bytes).map_err(parsed)?;
    if version != VERSION {
        return Err(damaged(&path, format!("version {version} is not known to this build")));
    }
    let record: Record = serde_json::from_slice(&bytes).map_err(parsed)?;
    if record.publishers.len() > PUBLISHERS_MAX {
        return Err(IdentityError::TooManyKeys);
    }
    Ok(record)
}

fn write_record(dir: &Path, record: &Record) -> Result<(), IdentityError> {
    let path = dir.join("node.json");
    let mut text = serde_json::to_vec_pretty(record).map_err(|error| damaged(&path, error))?;
    text.push(b'\n');
    Ok(private_file::write(&path, &text)?)
}

fn file(dir: &Path, name: &str) -> Result<Vec<u8>, IdentityError> {
    let path = dir.join(name);
    private_file::read(&path, FILE_MAX)?.ok_or_else(|| damaged(&path, "missing"))
}

fn damaged(path: &Path, why: impl ToString) -> IdentityError {
    IdentityError::Damaged { path: path.display().to_string(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Authority;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn made(dir: &Path) -> Identity {
        let identity = Authority::new().identity("crane-7", "hub.example:8883");
        identity.store(dir, false).expect("stored");
        identity
    }

    #[test]
    fn an_identity_is_written_once_and_read_whole() {
        let state = tempfile::tempdir().expect("dir");
        let dir = state.path().join("identity");
        assert!(matches!(Identity::load(&dir), Err(IdentityError::Absent(_))));
        let made = made(&dir);
        let read = Identity::load(&dir).expect("read");
        assert_eq!((&read.node, &read.mqtt, &read.publishers), (&made.node, &made.mqtt, &made.publishers));
        assert_eq!(read.ca_digest(), made.ca_digest());
        for name in ["node.json", "node.key", "node.pem", "ca.pem"] {
            assert_eq!(fs::metadata(dir.join(name)).expect(name).permissions().mode() & 0o777, 0o600, "{name}");
        }
        assert!(matches!(made.store(&dir, false), Err(IdentityError::Present { .. })));

        let other = Authority::new().identity("crane-8", "hub.example:8883");
        other.store(&dir, true).expect("replaced");
        assert_eq!(Identity::load(&dir).expect("read").node, other.node);
        assert!(!dir.with_added_extension("new").exists());
        assert!(!format!("{other:?}").contains("key"));
    }

    #[test]
    fn damage_is_named_file_by_file() {
        for (name, bytes) in [
            ("node.json", &b"{}"[..]),
            ("node.json", br#"{"version":2}"#),
            ("node.key", b"nothing"),
            ("node.pem", b""),
            ("ca.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ] {
            let state = tempfile::tempdir().expect("dir");
            let dir = state.path().join("identity");
            made(&dir);
            private_file::write(&dir.join(name), bytes).expect("damaged");
            assert!(matches!(Identity::load(&dir), Err(IdentityError::Damaged { .. })), "{name}");
        }
        let state = tempfile::tempdir().expect("dir");
        let dir = state.path().join("identity");
        made(&dir);
        fs::set_permissions(dir.join("node.key"), fs::Permissions::from_mode(0o644)).expect("chmod");
        assert!(matches!(Identity::load(&dir), Err(IdentityError::File(PrivateFileError::Exposed { .. }))));
    }

    #[test]
    fn parts_of_two_identities_do_not_mix() {
        let state = tempfile::tempdir().expect("dir");
        let (one, two) = (state.path().join("one"), state.path().join("two"));
        made(&one);
        made(&two);
        for name in ["node.key", "node.pem", "ca.pem"] {
            let (a, b) = (one.join(name), two.join(name));
            let kept = fs::read(&a).expect("read");
            fs::copy(&b, &a).expect("mixed");
            assert!(matches!(Identity::load(&one), Err(IdentityError::Damaged { .. })), "{name}");
            fs::write(&a, kept).expect("restored");
        }
        assert!(Identity::load(&one).is_ok());
    }

    #[test]
    fn publisher_keys_are_added_once_and_bounded() {
        let state = tempfile::tempdir().expect("dir");
        let dir = state.path().join("identity");
        made(&dir);
        let key = |n: u8| shared::sign::SecretKey::from_seed(&[n; 32]).public();
        assert_eq!(add_publisher(&dir, key(9)).expect("added").len(), 2);
        assert_eq!(add_publisher(&dir, key(9)).expect("known").len(), 2);
        assert_eq!(Identity::load(&dir).expect("read").publishers.len(), 2);
        let added: Vec<_> = (10..200).map(|n| add_publisher(&dir, key(n)).is_ok()).collect();
        assert_eq!(added.iter().filter(|ok| **ok).count(), PUBLISHERS_MAX - 2);
    }

    #[test]
    fn addresses_are_host_and_port() {
        for text in ["hub:8883", "hub.example:1", "10.0.0.1:8883", "[::1]:8883"] {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), text);
        }
        for text in ["", "hub", "hub:", "hub:0", "hub:99999", ":1", "a b:1", "hub/x:1", "[::1:8"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
