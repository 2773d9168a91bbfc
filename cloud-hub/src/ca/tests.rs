//! The CA on a real disk, and what its certificates say.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rcgen::{CertificateParams, CustomExtension, KeyPair, SanType};

use super::*;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const SERIAL: Serial = [9; 16];

fn open(dir: &tempfile::TempDir) -> Result<Ca, CaError> {
    Ca::open(dir.path(), NOW)
}

fn ca() -> (tempfile::TempDir, Ca) {
    let dir = tempfile::tempdir().expect("directory");
    let ca = open(&dir).expect("first start");
    (dir, ca)
}

fn name(text: &str) -> Name {
    Name::new(text).expect("name")
}

fn request(params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
    params.serialize_request(key).expect("request").der().to_vec()
}

fn plain_request() -> Vec<u8> {
    request(&CertificateParams::default(), &KeyPair::generate().expect("key"))
}

fn hosts(texts: &[&str]) -> Vec<Host> {
    texts.iter().map(|text| text.parse().expect("host")).collect()
}

#[test]
fn the_root_is_made_once_and_kept_private() {
    let (dir, ca) = ca();
    assert_eq!(open(&dir).expect("second start").fingerprint(), ca.fingerprint());
    let mode = |path: &str| fs::metadata(dir.path().join(path)).expect("file").permissions().mode() & 0o777;
    assert_eq!((mode("ca"), mode("ca/root.pem")), (0o700, 0o600));
    assert_eq!(fs::read_dir(dir.path().join("ca")).expect("dir").count(), 1, "no temporary file stays");
    assert!(ca.root_pem().starts_with("-----BEGIN CERTIFICATE-----\nMII"));
    let (_, root) = x509_parser::parse_x509_certificate(ca.root()).expect("certificate");
    let years = (root.validity().not_after.timestamp() - i64::try_from(NOW.0 / 1000).expect("time")) / (365 * 24 * 3600);
    assert!(years >= 20 && root.is_ca());
}

#[test]
fn a_root_that_is_exposed_damaged_or_lost_is_named() {
    let (dir, ca) = ca();
    let root = dir.path().join("ca/root.pem");
    let text = fs::read_to_string(&root).expect("root");

    fs::set_permissions(&root, fs::Permissions::from_mode(0o640)).expect("mode");
    assert!(matches!(open(&dir), Err(CaError::Exposed { mode: 0o640, .. })));
    fs::set_permissions(&root, fs::Permissions::from_mode(0o600)).expect("mode");

    for cut in [0, 10, text.len() / 3, text.len() / 2, text.len() - 40] {
        fs::write(&root, &text[..cut]).expect("write");
        assert!(matches!(open(&dir), Err(CaError::Damaged { .. })), "cut at {cut}");
    }
    let (_other_dir, other) = self::ca();
    let other_key = fs::read_to_string(_other_dir.path().join("ca/root.pem")).expect("other root");
    let key_end = other_key.find("-----BEGIN CERTIFICATE").expect("certificate");
    fs::write(&root, format!("{}{}", &other_key[..key_end], ca.root_pem())).expect("write");
    assert!(matches!(open(&dir), Err(CaError::Damaged { .. })), "key of another CA");
    drop(other);

    fs::write(&root, &text).expect("write");
    let ca = open(&dir).expect("restored");
    ca.serving(&hosts(&["hub"]), SERIAL, NOW).expect("server certificate");
    fs::remove_file(&root).expect("remove");
    assert!(matches!(open(&dir), Err(CaError::RootMissing { .. })), "never replaced by a new one");
}

#[test]
fn a_node_gets_its_enrolled_name_whatever_it_asks_for() {
    let (_dir, ca) = ca();
    let key = KeyPair::generate().expect("key");
    let mut asks = CertificateParams::new(vec!["hub.example".into()]).expect("params");
    asks.subject_alt_names.push(SanType::URI("urn:causeway:node:n2".try_into().expect("uri")));
    asks.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    asks.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 1], vec![5, 0])];
    let certificate = ca.issue_node(&name("n1"), &request(&asks, &key), SERIAL, NOW, CLIENT_LIFE).expect("certificate");
    assert_eq!(identity_of(&certificate), Ok(Identity::Node(name("n1"))));

    let (_, parsed) = x509_parser::parse_x509_certificate(&certificate).expect("certificate");
    assert!(!parsed.is_ca());
    assert_eq!(parsed.subject().to_string(), "CN=n1");
    let uses = parsed.extended_key_usage().expect("extension").expect("uses").value;
    assert!(uses.client_auth && !uses.server_auth && !uses.any);
    assert_eq!(parsed.subject_alternative_name().expect("extension").expect("names").value.general_names.len(), 1);
    assert_eq!(parsed.validity().not_after.timestamp(), 1_800_000_000 + 365 * 24 * 3600);
    assert!(parsed.validity().not_before.timestamp() < 1_800_000_000 - 3600);

    let center = ca.issue_center(&name("grafana"), &plain_request(), SERIAL, NOW, CLIENT_LIFE).expect("certificate");
    assert_eq!(identity_of(&center), Ok(Identity::Center(name("grafana"))));
}

#[test]
fn bad_requests_are_refused_by_name() {
    let (_dir, ca) = ca();
    let issue = |request: &[u8]| ca.issue_node(&name("n1"), request, SERIAL, NOW, CLIENT_LIFE);
    let owner = KeyPair::generate().expect("key");
    let good = request(&CertificateParams::default(), &owner);
    assert!(issue(&good).is_ok());
    let p384 = request(&CertificateParams::default(), &KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("key"));
    let trailing = [&good[..], &[0]].concat();
    for bad in [&[][..], b"hello", &good[..good.len() - 1], &trailing, &vec![0; CSR_MAX + 1], &p384] {
        assert!(matches!(issue(bad), Err(CaError::Request { .. })), "{} bytes", bad.len());
    }
    for flip in 0..good.len() {
        let mut changed = good.clone();
        changed[flip] ^= 1;
        // A few bits of the outer encoding mean nothing; whatever is accepted must be about the owner's key.
        let accepted = issue(&changed);
        assert!(accepted.is_err() || accepted.is_ok_and(|made| issue::belong_together(&made, &owner)), "byte {flip}");
    }
    let ed25519 = request(&CertificateParams::default(), &KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("key"));
    assert!(issue(&ed25519).is_ok());
}

#[test]
fn only_one_uri_of_our_forms_is_an_identity() {
    let key = KeyPair::generate().expect("key");
    let check = |names: &[&str], want: Result<Identity, IdentityError>| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "n1");
        let san = |name: &&str| match name.contains(':') {
            true => SanType::URI((*name).try_into().expect("uri")),
            false => SanType::DnsName((*name).try_into().expect("name")),
        };
        params.subject_alt_names = names.iter().map(san).collect();
        let certificate = params.self_signed(&key).expect("certificate");
        assert_eq!(identity_of(certificate.der()), want, "{names:?}");
    };
    check(&["urn:causeway:node:n1"], Ok(Identity::Node(name("n1"))));
    check(&["urn:causeway:center:n1"], Ok(Identity::Center(name("n1"))));
    check(&[], Err(IdentityError::NotOneName));
    check(&["n1"], Err(IdentityError::OtherForm));
    check(&["urn:causeway:node:n1", "urn:causeway:node:n2"], Err(IdentityError::NotOneName));
    check(&["urn:causeway:node:n1", "n1"], Err(IdentityError::NotOneName));
    for uri in
        ["urn:causeway:node:", "urn:causeway:node:N1", "urn:causeway:node:n1/x", "urn:causeway:root:n1", "x:urn:causeway:node:n1"]
    {
        check(&[uri], Err(IdentityError::OtherForm));
    }
    assert_eq!(identity_of(b"no"), Err(IdentityError::NotACertificate));
}

#[test]
fn the_server_certificate_follows_its_names_and_its_age() {
    let (_dir, ca) = ca();
    let at = |days: u64| UnixMillis(NOW.0 + days * 24 * 3600 * 1000);
    let serve = |hosts_: &[&str], days| ca.serving(&hosts(hosts_), [7; 16], at(days)).expect("serving");
    let first = serve(&["127.0.0.1", "hub.example"], 0);
    let der = |serving: &Serving| serving.certificate().expect("certificate");
    assert_eq!(der(&first), der(&serve(&["Hub.example", "127.0.0.1"], 10)), "same names in another order");
    assert_eq!(der(&first), der(&serve(&["127.0.0.1", "hub.example"], 180)));
    let later = serve(&["127.0.0.1", "hub.example"], 190);
    assert_ne!(der(&first), der(&later), "half its life is over");
    assert_ne!(der(&later), der(&serve(&["::1", "hub.example"], 190)), "other names");

    assert!(!later.refresh(&ca, SERIAL, at(200)).expect("refresh"));
    let old = der(&later);
    assert!(later.refresh(&ca, SERIAL, at(400)).expect("refresh"));
    assert_ne!(old, der(&later.clone()), "clones change together");
    assert!(later.refresh(&ca, SERIAL, at(0)).expect("refresh"), "a clock that was ahead");
}

#[test]
fn certificates_of_any_clock_can_be_made() {
    let dir = tempfile::tempdir().expect("directory");
    for now in [0, 1, u64::MAX] {
        let ca = Ca::open(&dir.path().join(now.to_string()), UnixMillis(now)).expect("root");
        assert!(ca.issue_node(&name("n1"), &plain_request(), SERIAL, UnixMillis(now), Duration::MAX).is_ok());
        assert!(ca.serving(&hosts(&["hub"]), SERIAL, UnixMillis(now)).is_ok());
    }
    for bad in ["", "a b", "-", "*", "é", "a/b"] {
        assert!(bad.parse::<Host>().is_err(), "{bad:?}");
    }
}
