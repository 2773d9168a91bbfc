//! TLS to the hub: version 1.3, ring, and no root but the hub's own CA.
//!
//! Two things differ from a browser. When a node joins it knows only the fingerprint of the CA, so the chain must carry
//! that CA ([`for_enrolment`]). And the clocks of edge machines are wrong: a certificate that is *not yet* valid says
//! that our clock is behind, because nobody but the CA could have made it, so it is accepted; one that has *expired*
//! is not.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{CertificateError, ClientConfig, Error, RootCertStore};
use shared::fault::{Fault, Faulty, trust};
use shared::id::Digest;

use crate::identity::Identity;

/// Our certificate and key cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
#[error("certificate and key cannot be used")]
pub struct Unusable(#[from] Error);

impl Faulty for Unusable {
    fn fault(&self) -> Fault {
        Fault::new(&trust::TLS_UNUSABLE).with("cause", &self.0)
    }
}

/// The cryptography of every connection.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// For the link: we show our certificate, the hub must show one of our CA.
pub fn for_link(identity: &Identity) -> Result<ClientConfig, Unusable> {
    let verifier = HubVerifier::new(Anchor::Ca(identity.ca.clone()));
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key().into())?)
}

/// For joining: the hub must show a chain that ends in the CA with this fingerprint.
pub fn for_enrolment(ca: Digest) -> Result<ClientConfig, Unusable> {
    let verifier = HubVerifier::new(Anchor::Fingerprint(ca));
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

/// What is known about the hub's CA.
#[derive(Debug)]
enum Anchor {
    /// The certificate itself.
    Ca(CertificateDer<'static>),
    /// sha256 of its DER.
    Fingerprint(Digest),
}

#[derive(Debug)]
struct HubVerifier {
    anchor: Anchor,
    provider: Arc<CryptoProvider>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl HubVerifier {
    fn new(anchor: Anchor) -> Self {
        let provider = provider();
        let algorithms = provider.signature_verification_algorithms;
        Self { anchor, provider, algorithms }
    }

    fn roots(&self, shown: &[CertificateDer<'_>]) -> Result<RootCertStore, Error> {
        let ca = match &self.anchor {
            Anchor::Ca(ca) => Some(ca.clone()),
            Anchor::Fingerprint(digest) => {
                shown.iter().find(|certificate| Digest::of(certificate) == *digest).map(|ca| ca.clone().into_owned())
            }
        };
        let mut roots = RootCertStore::empty();
        roots.add(ca.ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?)?;
        Ok(roots)
    }
}

/// The part of a certificate verifier that is the same for all: who shows a certificate must have its key. The type has the
/// field `algorithms`.
macro_rules! checks_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &rustls::pki_types::CertificateDer<'_>,
            signature: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &rustls::pki_types::CertificateDer<'_>,
            signature: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            self.algorithms.supported_schemes()
        }
    };
}
pub(crate) use checks_signatures;

impl ServerCertVerifier for HubVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(self.roots(intermediates)?), self.provider.clone())
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        let verify = |now| verifier.verify_server_cert(leaf, intermediates, name, ocsp, now);
        match verify(now) {
            Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => verify(not_before),
            result => result,
        }
    }

    checks_signatures!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Authority;
    use std::time::Duration;

    #[test]
    fn only_our_ca_vouches_and_only_a_clock_that_is_behind_is_forgiven() {
        let (ours, other) = (Authority::new(), Authority::new());
        let name = ServerName::try_from("localhost").expect("name");
        let day = |n: u64| UnixTime::since_unix_epoch(Duration::from_secs(n * 24 * 3600));
        let verify = |anchor, shown: &Authority, host: &ServerName<'_>, now| {
            let chain = [shown.server("localhost").0, shown.der()];
            HubVerifier::new(anchor).verify_server_cert(&chain[0], &chain[1..], host, &[], now)
        };
        let now = UnixTime::now();
        let pin = || Anchor::Fingerprint(ours.digest());
        assert!(verify(pin(), &ours, &name, now).is_ok());
        assert!(verify(Anchor::Ca(ours.der()), &ours, &name, now).is_ok());
        assert!(verify(pin(), &ours, &name, day(1)).is_ok(), "a machine without a battery begins in 1970");
        assert!(verify(pin(), &ours, &name, day(365 * 400)).is_err());
        assert!(verify(pin(), &ours, &ServerName::try_from("other").expect("name"), now).is_err());
        assert!(verify(pin(), &other, &name, now).is_err());
        assert!(verify(Anchor::Ca(ours.der()), &other, &name, now).is_err());
    }
}
