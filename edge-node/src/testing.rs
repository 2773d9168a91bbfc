//! What several tests of this crate need: a certificate authority of their own, a disk that can be filled, and bytes.

use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData,
    SanType,
};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use shared::id::{Digest, Name};
use shared::sign::SecretKey;

use crate::identity::Identity;

/// A hub's CA.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("key");
        let mut params = named("test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).expect("root").der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    pub fn der(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    pub fn digest(&self) -> Digest {
        Digest::of(&self.certificate)
    }

    /// A server certificate and its key.
    pub fn server(&self, host: &str) -> (CertificateDer<'static>, PrivatePkcs8KeyDer<'static>) {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("key");
        let mut params = CertificateParams::new(vec![host.to_owned()]).expect("host");
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2199, 1, 1);
        (self.sign(&params, &key), PrivatePkcs8KeyDer::from(key.serialize_der()))
    }

    /// A node's certificate over `key`.
    pub fn client(&self, node: &str, key: &impl PublicKeyData) -> CertificateDer<'static> {
        let mut params = named(node);
        params.subject_alt_names = vec![SanType::URI(format!("urn:causeway:node:{node}").try_into().expect("uri"))];
        self.sign(&params, key)
    }

    fn sign(&self, params: &CertificateParams, key: &impl PublicKeyData) -> CertificateDer<'static> {
        params.signed_by(key, &self.issuer).expect("signed").der().clone()
    }

    pub fn identity(&self, node: &str, mqtt: &str) -> Identity {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("key");
        Identity {
            node: Name::new(node).expect("name"),
            epoch: 1,
            api: "https://hub.example:8443".into(),
            mqtt: mqtt.parse().expect("address"),
            hub_key: SecretKey::from_seed(&[1; 32]).public(),
            publishers: vec![SecretKey::from_seed(&[2; 32]).public()],
            chain: vec![self.client(node, &key)],
            ca: self.der(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()),
        }
    }
}

/// A small file system, which is gone when this is.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Of so many megabytes.
    pub fn mount(megabytes: u32) -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let size = CString::new(format!("size={megabytes}m")).expect("text");
        mount(c"none", dir.path(), c"tmpfs", MountFlags::empty(), Some(size.as_c_str())).expect("root mounts");
        Self(dir)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills it to the last block; the file that did.
    pub fn fill(&self) -> PathBuf {
        let ballast = self.path().join("ballast");
        let mut file = File::options().create(true).append(true).open(&ballast).expect("ballast");
        while file.write_all(&[1; 4096]).is_ok() {}
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _gone = unmount(self.path(), UnmountFlags::DETACH);
    }
}

/// Bytes that do not compress.
pub fn noise(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(size).collect()
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
