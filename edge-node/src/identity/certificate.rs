//! Certificates as text and as claims: does this chain speak for this node, with this key, in the name of this CA?

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use shared::id::Name;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

/// Most certificates of one file.
const CHAIN_MAX: usize = 4;

/// Why the parts of an identity do not belong together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Not X.509.
    #[error("a certificate cannot be read")]
    Unreadable,
    /// The leaf is about another key.
    #[error("the certificate is about another key")]
    OtherKey,
    /// The CA did not sign the leaf.
    #[error("the certificate was not issued by this CA")]
    OtherIssuer,
    /// The leaf names somebody else.
    #[error("the certificate is not for node {0}")]
    OtherNode(Name),
}

/// Checks that `chain` speaks for `node`, is about `key` and was issued by `ca`. Says nothing about time.
pub fn check(
    node: &Name,
    chain: &[CertificateDer<'static>],
    key: &PrivatePkcs8KeyDer<'static>,
    ca: &CertificateDer<'_>,
) -> Result<(), Mismatch> {
    let leaf = chain.first().ok_or(Mismatch::Unreadable)?;
    let provider = crate::tls::provider();
    let key = provider.key_provider.load_private_key(key.clone_key().into()).map_err(|_| Mismatch::OtherKey)?;
    CertifiedKey::new(chain.to_vec(), key).keys_match().map_err(|_| Mismatch::OtherKey)?;
    let (_, parsed) = parse_x509_certificate(leaf).map_err(|_| Mismatch::Unreadable)?;
    let (_, issuer) = parse_x509_certificate(ca).map_err(|_| Mismatch::Unreadable)?;
    if !issuer.is_ca() || parsed.verify_signature(Some(issuer.public_key())).is_err() {
        return Err(Mismatch::OtherIssuer);
    }
    let names = parsed.subject_alternative_name().map_err(|_| Mismatch::Unreadable)?;
    let uri = format!("urn:causeway:node:{node}");
    match names.map(|names| names.value.general_names.as_slice()) {
        Some([GeneralName::URI(found)]) if *found == uri => Ok(()),
        Some(_) | None => Err(Mismatch::OtherNode(node.clone())),
    }
}

/// The certificates of a PEM text, at least one and at most four.
pub fn certificates_of(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).take(CHAIN_MAX + 1).collect();
    match found {
        Ok(list) if list.is_empty() => Err("no certificate"),
        Ok(list) if list.len() > CHAIN_MAX => Err("too many certificates"),
        Ok(list) if list.iter().any(|certificate| parse_x509_certificate(certificate).is_err()) => Err("not a certificate"),
        Ok(list) => Ok(list),
        Err(_) => Err("not PEM"),
    }
}

/// PEM text of `der` (RFC 7468).
pub fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<&str> = body.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
