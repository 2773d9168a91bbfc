//! The hub's own certificate authority: one root, and the certificates it signs.
//!
//! ```text
//! root (P-256, 25 years)  ──signs──►  server certificate   names and addresses of the hub, 1 year, reissued by itself
//!                         ──signs──►  node certificates    urn:causeway:node:<name>, from the node's request
//!                         ──signs──►  center certificates  urn:causeway:center:<name>, for other MQTT clients
//! ```
//!
//! The root is made at the first start and never changes: nodes pin its fingerprint when they join, and may come back
//! after years. P-256, because browsers and older TLS libraries know no Ed25519 certificates. An identity is only ever
//! read from the SAN URI, which only this module writes; what a request asks for is ignored.
//!
//! Keys come from the system's random generator; serial numbers and time are arguments. All certificates are valid
//! from a day before `now`, because the clocks of edge machines are wrong.

mod files;
mod identity;
mod issue;
mod serving;
mod signature;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{Issuer, KeyPair};
use rustls::pki_types::CertificateDer;
use shared::fault::{Fault, Faulty, trust};
use shared::id::{Digest, Name};
use shared::time::UnixMillis;

pub use identity::{Identity, IdentityError, identity_of};
pub(crate) use issue::is_over_key_of;
pub use issue::{CSR_MAX, Host, Serial};
pub use serving::Serving;
pub use signature::{SignatureError, verify};

/// How long a node's or a client's certificate lives unless the caller says otherwise.
pub const CLIENT_LIFE: Duration = days(365);
/// How long a server certificate lives; it is reissued at half of that.
pub const SERVER_LIFE: Duration = days(365);
/// How long the root lives.
pub const ROOT_LIFE: Duration = days(25 * 365);

const fn days(n: u64) -> Duration {
    Duration::from_secs(n * 24 * 3600)
}

/// The certificate authority, open for signing.
pub struct Ca {
    root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    dir: PathBuf,
}

/// Why the CA cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A file could not be read or written.
    #[error("{doing} {path}: {cause}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: String,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// A file with a private key is open to others.
    #[error("{path} holds a private key and has mode {mode:o}")]
    Exposed {
        /// Which.
        path: String,
        /// Its permission bits.
        mode: u32,
        /// What they should be.
        want: u32,
    },
    /// A file is not what was written.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// Which.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The root is gone, but what it signed is there.
    #[error("{path} is missing")]
    RootMissing {
        /// Where it should be.
        path: String,
    },
    /// A certificate could not be made.
    #[error("making a certificate for {subject}: {cause}")]
    Issue {
        /// For whom.
        subject: String,
        /// The cause.
        cause: String,
    },
    /// A certificate request is not accepted.
    #[error("certificate request: {why}")]
    Request {
        /// What is wrong with it.
        why: String,
    },
}

impl Faulty for CaError {
    fn fault(&self) -> Fault {
        match self {
            Self::File { doing, path, cause } => {
                Fault::new(&trust::CA_FILE_FAILED).with("doing", doing).with("path", path).with("cause", cause)
            }
            Self::Exposed { path, mode, want } => Fault::new(&trust::CA_FILE_EXPOSED)
                .with("path", path)
                .with("mode", format!("{mode:o}"))
                .with("want", format!("{want:o}")),
            Self::Damaged { path, why } => Fault::new(&trust::CA_FILE_DAMAGED).with("path", path).with("why", why),
            Self::RootMissing { path } => Fault::new(&trust::CA_ROOT_MISSING).with("path", path),
            Self::Issue { subject, cause } => {
                Fault::new(&trust::CERTIFICATE_FAILED).with("subject", subject).with("cause", cause)
            }
            Self::Request { why } => Fault::new(&trust::CSR_REFUSED).with("why", why),
        }
    }
}

impl Ca {
    /// Opens the CA under `state`, making it at the first start. The directory has mode 0700, its files 0600; a key
    /// that others may read is refused, and a root that is missing beside certificates it signed is never replaced.
    pub fn open(state: &Path, now: UnixMillis) -> Result<Self, CaError> {
        let dir = state.join("ca");
        files::make_dir(&dir)?;
        let path = dir.join("root.pem");
        let Some(pair) = files::read_pair(&path)? else {
            if dir.join("server.pem").exists() {
                return Err(CaError::RootMissing { path: path.display().to_string() });
            }
            let (root, key) = issue::root(now)?;
            files::write_pair(&path, &root, &key)?;
            return Self::with(dir, root, key);
        };
        Self::with(dir, pair.certificate, pair.key)
    }

    fn with(dir: PathBuf, root: CertificateDer<'static>, key: KeyPair) -> Result<Self, CaError> {
        let damaged =
            |error: rcgen::Error| CaError::Damaged { path: dir.join("root.pem").display().to_string(), why: error.to_string() };
        let issuer = Issuer::from_ca_cert_der(&root, key).map_err(damaged)?;
        Ok(Self { root, issuer, dir })
    }

    /// The root certificate, in DER.
    pub const fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// The root certificate, for people and for other MQTT clients.
    pub fn root_pem(&self) -> String {
        issue::certificate_pem(&self.root)
    }

    /// sha256 of the DER of the root: what a join token carries and a node pins.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&self.root)
    }

    /// A certificate for the node `name` over the key of `request` (PKCS#10, DER, at most [`CSR_MAX`] bytes). The
    /// request must be signed by its own key; the names and uses it asks for are ignored.
    pub fn issue_node(
        &self,
        name: &Name,
        request: &[u8],
        serial: Serial,
        now: UnixMillis,
        life: Duration,
    ) -> Result<CertificateDer<'static>, CaError> {
        issue::client(&self.issuer, &Identity::Node(name.clone()), request, serial, now, life)
    }

    /// A certificate for another MQTT client of the center, which may read what nodes report. As [`Self::issue_node`].
    pub fn issue_center(
        &self,
        name: &Name,
        request: &[u8],
        serial: Serial,
        now: UnixMillis,
        life: Duration,
    ) -> Result<CertificateDer<'static>, CaError> {
        issue::client(&self.issuer, &Identity::Center(name.clone()), request, serial, now, life)
    }

    /// The hub's server certificate for `hosts`, from disk or made now; see [`Serving`].
    pub fn serving(&self, hosts: &[Host], serial: Serial, now: UnixMillis) -> Result<Serving, CaError> {
        Serving::open(self, hosts, serial, now)
    }
}

#[cfg(test)]
mod tests;
