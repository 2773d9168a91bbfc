//! Making certificates: one function per kind, each naming everything the certificate says.

use std::net::IpAddr;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PublicKeyData, SanType, SerialNumber, SubjectPublicKeyInfo,
    string::Ia5String,
};
use rustls::pki_types::CertificateDer;
use shared::time::UnixMillis;
use x509_parser::prelude::FromDer;

use super::{CaError, Identity, ROOT_LIFE, SERVER_LIFE};

/// Largest certificate request, in bytes of DER. A P-256 request has about 250.
pub const CSR_MAX: usize = 8 << 10;

/// 16 random bytes: the serial number of one certificate.
pub type Serial = [u8; 16];

/// Certificates are valid from this long before they were made.
const BACKDATED: Duration = Duration::from_secs(24 * 3600);
/// 9999-12-31, the last day X.509 can say (RFC 5280, section 4.1.2.5).
const LAST_SECOND: u64 = 253_402_300_799;

/// A name or address under which the hub is reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// An IP address.
    Address(IpAddr),
    /// A DNS name, in lower case.
    Name(String),
}

impl std::str::FromStr for Host {
    type Err = CaError;
    fn from_str(text: &str) -> Result<Self, CaError> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        match rustls::pki_types::DnsName::try_from(text) {
            Ok(name) => Ok(Self::Name(name.as_ref().to_ascii_lowercase())),
            Err(_) => Err(CaError::Issue { subject: text.chars().take(80).collect(), cause: "not a DNS name or address".into() }),
        }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// A new root and its key.
pub fn root(now: UnixMillis) -> Result<(CertificateDer<'static>, KeyPair), CaError> {
    let key = new_key("the hub's CA")?;
    let mut params = params("Causeway hub CA", now, ROOT_LIFE);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key).map_err(failed("the hub's CA"))?;
    Ok((certificate.der().clone(), key))
}

/// A certificate for an identity, over the key of a certificate request.
pub fn client(
    issuer: &Issuer<'_, KeyPair>,
    identity: &Identity,
    request: &[u8],
    serial: Serial,
    now: UnixMillis,
    life: Duration,
) -> Result<CertificateDer<'static>, CaError> {
    let key = key_of_request(request)?;
    let uri = identity.to_string();
    let mut params = params(identity.name().as_str(), now, life);
    params.serial_number = Some(number(serial));
    params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(uri.as_str()).map_err(failed(&uri))?)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, issuer).map_err(failed(&uri))?;
    Ok(certificate.der().clone())
}

/// A server certificate for `hosts` and its new key.
pub fn server(
    issuer: &Issuer<'_, KeyPair>,
    hosts: &[Host],
    serial: Serial,
    now: UnixMillis,
) -> Result<(CertificateDer<'static>, KeyPair), CaError> {
    let key = new_key("the hub's server")?;
    let mut params = params("Causeway hub", now, SERVER_LIFE);
    params.serial_number = Some(number(serial));
    for host in hosts {
        params.subject_alt_names.push(match host {
            Host::Address(address) => SanType::IpAddress(*address),
            Host::Name(name) => SanType::DnsName(Ia5String::try_from(name.as_str()).map_err(failed(name))?),
        });
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, issuer).map_err(failed("the hub's server"))?;
    Ok((certificate.der().clone(), key))
}

/// PEM text of a certificate.
pub fn certificate_pem(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(certificate);
    let lines: Vec<&str> = body.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// Whether the certificate is about this key.
pub fn belong_together(certificate: &[u8], key: &impl PublicKeyData) -> bool {
    x509_parser::parse_x509_certificate(certificate)
        .is_ok_and(|(_, certificate)| certificate.public_key().raw == key.subject_public_key_info())
}

/// Whether the certificate is over the key of the request, which must be signed by it.
pub fn is_over_key_of(certificate: &[u8], request: &[u8]) -> Result<bool, CaError> {
    Ok(belong_together(certificate, &key_of_request(request)?))
}

/// The public key of a request that its owner signed.
fn key_of_request(request: &[u8]) -> Result<SubjectPublicKeyInfo, CaError> {
    let refused = |why: &str| CaError::Request { why: why.into() };
    if request.len() > CSR_MAX {
        return Err(refused(&format!("longer than {CSR_MAX} bytes")));
    }
    let (rest, parsed) = x509_parser::certification_request::X509CertificationRequest::from_der(request)
        .map_err(|_| refused("not a PKCS#10 request in DER"))?;
    if !rest.is_empty() {
        return Err(refused("bytes follow its end"));
    }
    let key = SubjectPublicKeyInfo::from_der(parsed.certification_request_info.subject_pki.raw)
        .map_err(|_| refused("its kind of key is not known"))?;
    if ![&PKCS_ECDSA_P256_SHA256, &PKCS_ED25519].contains(&key.algorithm()) {
        return Err(refused("its key is neither P-256 nor Ed25519"));
    }
    parsed.verify_signature().map_err(|_| refused("it is not signed by its own key"))?;
    Ok(key)
}

fn new_key(subject: &str) -> Result<KeyPair, CaError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed(subject))
}

fn params(common_name: &str, now: UnixMillis, life: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, common_name);
    params.distinguished_name = subject;
    let seconds = Duration::from_secs(now.0 / 1000);
    let date = |since_1970: Duration| rcgen::date_time_ymd(1970, 1, 1) + since_1970.min(Duration::from_secs(LAST_SECOND));
    params.not_before = date(seconds.saturating_sub(BACKDATED));
    params.not_after = date(seconds.saturating_add(life));
    params
}

/// Serial numbers are positive and of at most 20 octets (RFC 5280, section 4.1.2.2).
fn number(serial: Serial) -> SerialNumber {
    let [first, rest @ ..] = serial;
    let mut bytes = vec![(first & 0x7f) | 0x40];
    bytes.extend(rest);
    SerialNumber::from(bytes)
}

fn failed(subject: &str) -> impl Fn(rcgen::Error) -> CaError {
    let subject = subject.to_owned();
    move |error| CaError::Issue { subject: subject.clone(), cause: error.to_string() }
}
