//! TLS between neighbours: version 1.3, and each shows the one certificate that the hub's signed word names.
//!
//! Neither dates nor issuers are looked at: the desired state is signed and says more than a CA could. So a wrong clock or
//! an expired certificate separates no neighbours, and one that the hub dropped is a stranger at once.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::version::TLS13;
use rustls::{CertificateError, ClientConfig, DistinguishedName, Error, ServerConfig};
use shared::id::Digest;

use crate::identity::Identity;
use crate::tls::{Unusable, checks_signatures, provider};

/// What they speak: another version is another protocol.
const SPOKEN: &[u8] = b"causeway-neighbour/1";

/// Whether the certificate with this sha256 is that of a neighbour.
pub(super) type IsKnown = Arc<dyn Fn(Digest) -> bool + Send + Sync>;

/// For those who come to us.
pub(super) fn for_neighbours(identity: &Identity, is_known: IsKnown) -> Result<ServerConfig, Unusable> {
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
    let mut config = builder
        .with_client_cert_verifier(Arc::new(Pinned::new(is_known)))
        .with_single_cert(identity.chain.clone(), identity.key.clone_key().into())?;
    config.alpn_protocols = vec![SPOKEN.to_vec()];
    Ok(config)
}

/// For the one that must show the certificate with this sha256.
pub(super) fn for_neighbour(identity: &Identity, certificate: Digest) -> Result<ClientConfig, Unusable> {
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned::new(Arc::new(move |shown| shown == certificate))))
        .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key().into())?;
    config.alpn_protocols = vec![SPOKEN.to_vec()];
    config.enable_sni = false; // There is no name, only a certificate.
    Ok(config)
}

struct Pinned {
    is_known: IsKnown,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pinned {
    fn new(is_known: IsKnown) -> Self {
        Self { is_known, algorithms: provider().signature_verification_algorithms }
    }

    fn check(&self, leaf: &CertificateDer<'_>) -> Result<(), Error> {
        let refused = || Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
        (self.is_known)(Digest::of(leaf)).then_some(()).ok_or_else(refused)
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pinned")
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(leaf).map(|()| ServerCertVerified::assertion())
    }

    checks_signatures!();
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(leaf).map(|()| ClientCertVerified::assertion())
    }

    checks_signatures!();
}
