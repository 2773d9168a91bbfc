//! The CA on disk: a key and its certificate together in one PEM file, so that one rename makes or changes both.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use rcgen::KeyPair;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::{CaError, issue};
use crate::fresh_file;

const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Larger files are not ours.
const FILE_MAX: u64 = 64 << 10;

/// A private key and its certificate.
pub struct Pair {
    pub certificate: CertificateDer<'static>,
    pub key: KeyPair,
}

/// Makes `dir` if it is not there, and checks that nobody else can look into it.
pub fn make_dir(dir: &Path) -> Result<(), CaError> {
    DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir).map_err(failed("making", dir))?;
    private(dir, DIR_MODE)
}

/// The key and certificate in `path`; `None` when there is no such file.
pub fn read_pair(path: &Path) -> Result<Option<Pair>, CaError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("reading", path)(error)),
    };
    private(path, FILE_MODE)?;
    let mut text = String::new();
    file.take(FILE_MAX).read_to_string(&mut text).map_err(failed("reading", path))?;
    let damaged = |why: &dyn std::fmt::Display| CaError::Damaged { path: path.display().to_string(), why: why.to_string() };
    let key = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).map_err(|_| damaged(&"no private key in it"))?;
    let key = KeyPair::try_from(key.secret_pkcs8_der()).map_err(|_| damaged(&"the private key is not one"))?;
    let certificate = CertificateDer::from_pem_slice(text.as_bytes()).map_err(|_| damaged(&"no certificate in it"))?.into_owned();
    if !issue::belong_together(&certificate, &key) {
        return Err(damaged(&"key and certificate do not belong together"));
    }
    Ok(Some(Pair { certificate, key }))
}

/// Writes key and certificate: to a temporary file, to the disk, and only then under its name.
pub fn write_pair(path: &Path, certificate: &CertificateDer<'_>, key: &KeyPair) -> Result<(), CaError> {
    let temporary = path.with_extension("pem.new");
    let text = format!("{}{}", key.serialize_pem(), issue::certificate_pem(certificate));
    write_synced(&temporary, text.as_bytes()).map_err(failed("writing", &temporary))?;
    fs::rename(&temporary, path).map_err(failed("renaming", &temporary))?;
    let dir = path.parent().unwrap_or(path);
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("syncing", dir))
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fresh_file::create(path, FILE_MODE)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A key that others could read may be known to others; that is for a person to judge, not to repair silently.
fn private(path: &Path, want: u32) -> Result<(), CaError> {
    let mode = fs::metadata(path).map_err(failed("reading", path))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(CaError::Exposed { path: path.display().to_string(), mode, want });
    }
    Ok(())
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CaError {
    let path = path.display().to_string();
    move |cause| CaError::File { doing, path, cause }
}
