//! Whether the holder of a certificate signed something.

use rustls::SignatureScheme;
use rustls::crypto::ring::default_provider;

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not X.509.
    #[error("not a certificate")]
    NotACertificate,
    /// The signature is of another key or of other bytes.
    #[error("the signature is wrong")]
    Wrong,
}

/// Whether `signature` (ECDSA P-256 with SHA-256, in DER) over `message` was made with the key of `certificate` (DER). Says
/// nothing about the certificate itself.
pub fn verify(certificate: &[u8], message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).map_err(|_| SignatureError::NotACertificate)?;
    let key = &*parsed.public_key().subject_public_key.data;
    let provider = default_provider();
    let known = provider.signature_verification_algorithms.mapping.iter();
    let mut algorithms =
        known.filter(|(scheme, _)| *scheme == SignatureScheme::ECDSA_NISTP256_SHA256).flat_map(|(_, algorithms)| *algorithms);
    if algorithms.any(|algorithm| algorithm.verify_signature(key, message, signature).is_ok()) {
        Ok(())
    } else {
        Err(SignatureError::Wrong)
    }
}
