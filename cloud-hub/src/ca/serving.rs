//! The hub's server certificate: kept on disk, reissued when its names change or at half its life, and swapped under
//! running listeners without a restart.

use std::path::PathBuf;
use std::sync::{Arc, RwLock};

use rcgen::KeyPair;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use shared::time::UnixMillis;
use x509_parser::extensions::GeneralName;

use super::{Ca, CaError, Host, SERVER_LIFE, Serial, files, issue};

/// The server certificate in use. Cheap to clone; all clones change together.
#[derive(Clone)]
pub struct Serving {
    path: PathBuf,
    hosts: Arc<[Host]>,
    current: Arc<Current>,
}

/// What a TLS handshake reads.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl Serving {
    pub(super) fn open(ca: &Ca, hosts: &[Host], serial: Serial, now: UnixMillis) -> Result<Self, CaError> {
        let path = ca.dir.join("server.pem");
        let mut hosts = hosts.to_vec();
        hosts.sort();
        hosts.dedup();
        let (certificate, key) = match files::read_pair(&path)? {
            Some(pair) if !is_due(&pair.certificate, ca.root(), &hosts, now) => (pair.certificate, pair.key),
            Some(_) | None => make(ca, &path, &hosts, serial, now)?,
        };
        let current = Arc::new(Current(RwLock::new(Arc::new(certified(ca, certificate, &key)?))));
        Ok(Self { path, hosts: hosts.into(), current })
    }

    /// Reissues the certificate if half its life is over; call it once a day. Returns whether it did.
    pub fn refresh(&self, ca: &Ca, serial: Serial, now: UnixMillis) -> Result<bool, CaError> {
        if !self.certificate().is_some_and(|certificate| is_due(&certificate, ca.root(), &self.hosts, now)) {
            return Ok(false);
        }
        let (certificate, key) = make(ca, &self.path, &self.hosts, serial, now)?;
        let fresh = Arc::new(certified(ca, certificate, &key)?);
        *self.current.0.write().unwrap_or_else(std::sync::PoisonError::into_inner) = fresh;
        Ok(true)
    }

    /// For a `rustls::ServerConfig`: always the certificate in use.
    pub fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        self.current.clone()
    }

    /// The certificate in use, in DER.
    pub fn certificate(&self) -> Option<CertificateDer<'static>> {
        self.current.now().cert.first().cloned()
    }
}

impl Current {
    fn now(&self) -> Arc<CertifiedKey> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }
}

fn make(
    ca: &Ca,
    path: &std::path::Path,
    hosts: &[Host],
    serial: Serial,
    now: UnixMillis,
) -> Result<(CertificateDer<'static>, KeyPair), CaError> {
    let (certificate, key) = issue::server(&ca.issuer, hosts, serial, now)?;
    files::write_pair(path, &certificate, &key)?;
    Ok((certificate, key))
}

/// The chain carries the root too, so that a joining node can compare it with its token.
fn certified(ca: &Ca, certificate: CertificateDer<'static>, key: &KeyPair) -> Result<CertifiedKey, CaError> {
    let failed = |error: rustls::Error| CaError::Issue { subject: "the hub's server".into(), cause: error.to_string() };
    let der = PrivatePkcs8KeyDer::from(key.serialize_der());
    let key = rustls::crypto::ring::sign::any_supported_type(&der.into()).map_err(failed)?;
    Ok(CertifiedKey::new(vec![certificate, ca.root().clone()], key))
}

/// Whether a new certificate is needed: other names, another root, half its life over, or made by a clock that was
/// ahead of today's.
fn is_due(certificate: &CertificateDer<'_>, root: &CertificateDer<'_>, hosts: &[Host], now: UnixMillis) -> bool {
    let (Ok((_, leaf)), Ok((_, root))) =
        (x509_parser::parse_x509_certificate(certificate), x509_parser::parse_x509_certificate(root))
    else {
        return true;
    };
    let now = i64::try_from(now.0 / 1000).unwrap_or(i64::MAX);
    let half = i64::try_from((SERVER_LIFE / 2).as_secs()).unwrap_or(i64::MAX);
    let (from, until) = (leaf.validity().not_before.timestamp(), leaf.validity().not_after.timestamp());
    let fresh = from <= now && until.saturating_sub(now) > half;
    let names = leaf.subject_alternative_name().ok().flatten().map_or(Vec::new(), |names| hosts_of(&names.value.general_names));
    !fresh || names != hosts || leaf.verify_signature(Some(root.public_key())).is_err()
}

fn hosts_of(names: &[GeneralName<'_>]) -> Vec<Host> {
    let mut hosts: Vec<Host> = names.iter().filter_map(host_of).collect();
    hosts.sort();
    hosts
}

fn host_of(name: &GeneralName<'_>) -> Option<Host> {
    if let GeneralName::DNSName(name) = name {
        return Some(Host::Name((*name).to_owned()));
    }
    let GeneralName::IPAddress(bytes) = name else { return None };
    let v4 = <[u8; 4]>::try_from(*bytes).map(|bytes| Host::Address(bytes.into()));
    v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(|bytes| Host::Address(bytes.into()))).ok()
}
