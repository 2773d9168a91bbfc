//! Certificates for other MQTT clients of the center: files that mosquitto_sub, Telegraf and their like take.

use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::CertificateDer;
use shared::fault::{Fault, Faulty, hub};
use shared::id::Name;
use shared::time::UnixMillis;

use crate::ca::{CLIENT_LIFE, Ca, CaError};
use crate::os::{NoRandomness, random};
use crate::secret_file::{self, SecretFileError};
use crate::tokens::pem;

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The CA cannot be used.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// A key or request could not be made.
    #[error(transparent)]
    Key(#[from] rcgen::Error),
    /// A file was not written.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

impl Faulty for ClientError {
    fn fault(&self) -> Fault {
        match self {
            Self::Ca(error) => error.fault(),
            Self::Key(error) => Fault::new(&hub::RUNTIME_FAILED).with("doing", "key").with("cause", error),
            Self::File(error) => error.fault(),
            Self::Random(error) => error.fault(),
        }
    }
}

/// Makes `<name>.key`, `<name>.crt` and `ca.crt` in `out` with the CA under `state`; returns their paths. Blocks.
pub fn certificate(state: &Path, name: &Name, out: &Path, now: UnixMillis) -> Result<Vec<String>, ClientError> {
    let ca = Ca::open(state, now)?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let request = CertificateParams::default().serialize_request(&key)?;
    let made: CertificateDer<'static> = ca.issue_center(name, request.der(), random()?, now, CLIENT_LIFE)?;
    let files: [(PathBuf, String); 3] = [
        (out.join(format!("{name}.key")), key.serialize_pem()),
        (out.join(format!("{name}.crt")), pem(&made)),
        (out.join("ca.crt"), ca.root_pem()),
    ];
    for (path, text) in &files {
        secret_file::write(path, text)?;
    }
    Ok(files.iter().map(|(path, _)| path.display().to_string()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::{Identity, identity_of};

    #[test]
    fn a_client_gets_a_certificate_in_its_name() {
        use rustls::pki_types::pem::PemObject;
        let dir = tempfile::tempdir().expect("dir");
        let now = crate::os::system_clock()();
        Ca::open(dir.path(), now).expect("CA");
        let name = Name::new("telegraf").expect("name");
        let files = certificate(dir.path(), &name, dir.path(), now).expect("made");
        assert_eq!(files.len(), 3);
        let read = CertificateDer::from_pem_file(dir.path().join("telegraf.crt")).expect("PEM");
        assert_eq!(identity_of(&read).expect("identity"), Identity::Center(name));
    }
}
