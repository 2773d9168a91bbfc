//! Whom to trust: exactly the CA whose certificate has the pinned sha256, and nobody else in the world.
//!
//! A hub shows its root beside its own certificate. The root is taken for one only if its fingerprint is the pinned one;
//! then name, purpose and dates of the hub's certificate are checked as usual, with that root alone. System roots play no
//! part, so that no public CA and no proxy in between can speak for a hub.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use shared::id::Digest;

/// Most certificates of a chain that are looked at.
const CHAIN_MAX: usize = 8;
/// How long the first contact may take.
pub(super) const CONTACT: Duration = Duration::from_secs(10);

/// Why a certificate was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Distrust {
    /// No certificate of the chain has the pinned fingerprint; this is the last one's.
    OtherCa(Digest),
    /// The right CA, but the certificate does not hold.
    Certificate(String),
}

/// What a verifier saw last, for whoever has to explain a failed connection: the error that comes out of the layers
/// above says only that there was one.
#[derive(Debug, Clone, Default)]
pub(super) struct Verdict(Arc<Mutex<Option<Distrust>>>);

impl Verdict {
    fn set(&self, distrust: Option<Distrust>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = distrust;
    }

    /// The reason, once.
    pub(super) fn take(&self) -> Option<Distrust> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Accepts the pinned CA.
#[derive(Debug)]
struct Pinned {
    ca: Option<Digest>,
    provider: Arc<CryptoProvider>,
    verdict: Verdict,
}

/// A client's TLS 1.3 that trusts the CA with the fingerprint `ca`.
pub(super) fn config(ca: Digest, verdict: &Verdict) -> Result<ClientConfig, Error> {
    configure(Some(ca), verdict)
}

fn configure(ca: Option<Digest>, verdict: &Verdict) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Pinned { ca, provider: provider.clone(), verdict: verdict.clone() };
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

/// A client's TLS that trusts nobody: its handshake fails before a byte is sent, and `verdict` then holds the fingerprint
/// of the CA that was shown.
pub(super) fn stranger(verdict: &Verdict) -> Result<ClientConfig, Error> {
    configure(None, verdict)
}

/// The fingerprint of the first certificate of a PEM text.
pub(super) fn fingerprint_of_pem(text: &str) -> Option<Digest> {
    CertificateDer::from_pem_slice(text.as_bytes()).ok().map(|certificate| Digest::of(&certificate))
}

impl Pinned {
    /// The pinned root, if the chain shows it.
    fn root<'a, 'b>(&self, chain: impl Iterator<Item = &'a CertificateDer<'b>>) -> Result<CertificateDer<'b>, Distrust>
    where
        'b: 'a,
    {
        let mut last = Digest::of(b"");
        for certificate in chain.take(CHAIN_MAX) {
            last = Digest::of(certificate);
            if Some(last) == self.ca {
                return Ok(certificate.clone());
            }
        }
        Err(Distrust::OtherCa(last))
    }

    fn check(
        &self,
        end: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, Distrust> {
        let root = self.root(std::iter::once(end).chain(intermediates))?;
        let unfit = |error: Error| Distrust::Certificate(error.to_string());
        let mut roots = RootCertStore::empty();
        roots.add(root.into_owned()).map_err(unfit)?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map_err(|error| Distrust::Certificate(error.to_string()))?;
        verifier.verify_server_cert(end, intermediates, name, &[], now).map_err(unfit)
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let checked = self.check(end, intermediates, name, now);
        self.verdict.set(checked.as_ref().err().cloned());
        checked.map_err(|_| Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    use super::*;

    /// A CA and a certificate of it for `host`.
    fn chain(host: &str) -> [CertificateDer<'static>; 2] {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let leaf = CertificateParams::new([host.to_owned()]).unwrap().signed_by(&KeyPair::generate().unwrap(), &ca).unwrap();
        [leaf.der().clone(), ca.der().clone()]
    }

    fn check(pin: Option<Digest>, shown: &[CertificateDer<'static>], host: &str) -> Result<(), Distrust> {
        let pinned = Pinned { ca: pin, provider: Arc::new(ring::default_provider()), verdict: Verdict::default() };
        let (end, rest) = shown.split_first().unwrap();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_795_162_504));
        let result = pinned.verify_server_cert(end, rest, &name, &[], now);
        match pinned.verdict.take() {
            None => result.map(drop).map_err(|error| Distrust::Certificate(error.to_string())),
            Some(distrust) => {
                assert!(result.is_err());
                Err(distrust)
            }
        }
    }

    #[test]
    fn only_the_pinned_ca_speaks_for_the_hub() {
        let [leaf, ca] = chain("hub.example");
        let [other_leaf, other_ca] = chain("hub.example");
        let pin = Some(Digest::of(&ca));
        assert_eq!(check(pin, &[leaf.clone(), ca.clone()], "hub.example"), Ok(()));
        assert_eq!(check(None, &[leaf.clone(), ca.clone()], "hub.example"), Err(Distrust::OtherCa(Digest::of(&ca))));
        let foreign = check(pin, &[other_leaf.clone(), other_ca.clone()], "hub.example");
        assert_eq!(foreign, Err(Distrust::OtherCa(Digest::of(&other_ca))));
        // An impostor may show the pinned CA, but has no certificate of it.
        assert!(matches!(check(pin, &[other_leaf, other_ca, ca.clone()], "hub.example"), Err(Distrust::Certificate(_))));
        assert!(matches!(check(pin, &[leaf.clone(), ca.clone()], "other.example"), Err(Distrust::Certificate(_))));
        // Without the root in the chain there is nothing to compare.
        assert_eq!(check(pin, std::slice::from_ref(&leaf), "hub.example"), Err(Distrust::OtherCa(Digest::of(&leaf))));
    }

    #[test]
    fn a_ca_file_has_a_fingerprint() {
        let [_, ca] = chain("hub");
        let pem = rcgen_pem(&ca);
        assert_eq!(fingerprint_of_pem(&pem), Some(Digest::of(&ca)));
        assert_eq!(fingerprint_of_pem("no certificate"), None);
    }

    fn rcgen_pem(der: &CertificateDer<'_>) -> String {
        use base64::Engine as _;
        let body = base64::engine::general_purpose::STANDARD.encode(der);
        let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }
}
