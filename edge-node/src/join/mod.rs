//! `edge-node join TOKEN`: from one line of text to an identity.
//!
//! ```text
//! token ─► hub's address, CA fingerprint ─► TLS to exactly that CA ─► CSR + proof ─► certificate ─► checked ─► written
//! ```
//!
//! Nothing is sent before the other side has proven to be the hub that made the token, the private key never leaves the
//! node, and the identity is written whole or not at all. A token works for one key: it is on the disk before the hub is
//! asked, so that an answer that got lost, on its way or on a full disk, is asked for again with the same command. Where no
//! link reaches, request and answer are carried instead ([`ask`], [`answered`]).

mod by_hand;
mod http;
#[cfg(test)]
mod tests;
mod waiting;

use std::path::Path;

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde::{Deserialize, Serialize};
use shared::fault::{Fault, Faulty, trust};
use shared::id::{Digest, Name};
use shared::join::{BadToken, CarriedError, Granted, JoinToken, proof, seal};
use shared::sign::PublicKey;

use crate::identity::{Identity, IdentityError, PUBLISHERS_MAX, certificates_of, refuse_second};
use crate::private_file::PrivateFileError;
use crate::reserve::Reserve;
use crate::tls::Unusable;

pub use by_hand::{answered, ask};

/// Why the node did not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The text is no token.
    #[error(transparent)]
    Token(#[from] BadToken),
    /// The node has an identity, or it could not be written.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] Unusable),
    /// No key could be made.
    #[error("no key could be made: {0}")]
    NoKey(String),
    /// The hub does not answer.
    #[error("{hub} cannot be reached: {cause}")]
    Unreachable {
        /// Its address.
        hub: String,
        /// Why.
        cause: String,
    },
    /// The connection ended before the answer was here. The hub may have got the request.
    #[error("{hub} was lost: {cause}")]
    Lost {
        /// Its address.
        hub: String,
        /// Why.
        cause: String,
    },
    /// It took too long.
    #[error("{hub}: {doing} took more than {seconds} s")]
    Timeout {
        /// Its address.
        hub: String,
        /// What took too long.
        doing: &'static str,
        /// The limit.
        seconds: u64,
    },
    /// Who answers is not the hub of the token.
    #[error("{hub} is somebody else: {cause}")]
    Impostor {
        /// The address.
        hub: String,
        /// What is wrong with its certificate.
        cause: String,
    },
    /// The hub said no.
    #[error("the hub refused with status {status}: {reason}")]
    Refused {
        /// For whom the token was.
        node: Name,
        /// HTTP status.
        status: u16,
        /// What it said.
        reason: Fault,
    },
    /// The hub's answer makes no sense.
    #[error("{hub}: {why}")]
    BadAnswer {
        /// Its address.
        hub: String,
        /// What is wrong.
        why: String,
    },
    /// What waits for an answer cannot be kept.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// What was carried here is no answer.
    #[error(transparent)]
    Carried(#[from] CarriedError),
    /// An answer was carried here, and nothing was asked.
    #[error("nothing was asked")]
    NotAsked,
    /// The answer that was carried here is one to something else.
    #[error("not an answer to what {node} asked last: {why}")]
    OtherAnswer {
        /// Who asked.
        node: Name,
        /// What does not fit.
        why: String,
    },
}

impl Faulty for JoinError {
    fn fault(&self) -> Fault {
        match self {
            Self::Token(error) => error.fault(),
            Self::Identity(error) => error.fault(),
            Self::Tls(error) => error.fault(),
            Self::NoKey(cause) => Fault::new(&trust::JOIN_NO_KEY).with("cause", cause),
            Self::Unreachable { hub, cause } => Fault::new(&trust::JOIN_UNREACHABLE).with("hub", hub).with("cause", cause),
            Self::Timeout { hub, doing, seconds } => {
                Fault::new(&trust::JOIN_TIMEOUT).with("hub", hub).with("doing", doing).with("seconds", seconds)
            }
            Self::Impostor { hub, cause } => Fault::new(&trust::JOIN_IMPOSTOR).with("hub", hub).with("cause", cause),
            Self::Refused { node, status, reason } => {
                let text = if matches!(status, 401 | 403) { &trust::JOIN_REFUSED } else { &trust::JOIN_NOT_NOW };
                Fault::new(text).with("node", node).with("status", status).because(reason)
            }
            Self::Lost { hub, cause } => Fault::new(&trust::JOIN_LOST).with("hub", hub).with("cause", cause),
            Self::BadAnswer { hub, why } => Fault::new(&trust::JOIN_BAD_ANSWER).with("hub", hub).with("why", why),
            Self::File(error) => error.fault(),
            Self::Carried(error) => error.fault(),
            Self::NotAsked => Fault::new(&trust::JOIN_NOT_ASKED),
            Self::OtherAnswer { node, why } => Fault::new(&trust::JOIN_OTHER_ANSWER).with("node", node).with("why", why),
        }
    }
}

/// What the node asks.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    node: &'a Name,
    csr: String,
    proof: Digest,
}

impl<'a> Request<'a> {
    fn new(token: &'a JoinToken, key: &KeyPair) -> Result<Self, JoinError> {
        let csr = csr(key, token.node())?;
        Ok(Self { node: token.node(), proof: proof(token.secret_digest(), &csr), csr })
    }
}

/// What the hub answers. Fields this build does not know are a newer hub's business.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    certificate: String,
    ca: String,
    hub_key: PublicKey,
    publishers: Vec<PublicKey>,
    mqtt: String,
    epoch: u64,
    seal: Digest,
}

impl Answer {
    /// Whether it is, in all its parts, what somebody granted who knows the token's secret.
    fn is_sealed(&self, secret_digest: Digest) -> bool {
        let Self { certificate, ca, hub_key, publishers, mqtt, epoch, seal: shown } = self;
        let granted = Granted { certificate, ca, hub_key, publishers, mqtt, epoch: *epoch };
        seal(secret_digest, &granted).same(*shown)
    }
}

/// Joins the hub of the token `text` and writes the identity to `dir`; an existing one is given up only if `again`. On a full
/// disk, `reserve` lends.
pub async fn join(text: &str, dir: &Path, again: bool, reserve: &Reserve) -> Result<Identity, JoinError> {
    let token: JoinToken = text.parse()?;
    if !again {
        refuse_second(dir)?;
    }
    let key = waiting::key_for(&token, dir, reserve)?;
    let request = Request::new(&token, &key)?;
    let answer = http::post(token.hub(), token.ca(), "/api/v1/enroll", &request, token.node()).await?;
    let identity = identity(&token, &key, answer).map_err(|why| JoinError::BadAnswer { hub: token.hub().into(), why })?;
    store(&identity, dir, again, reserve)?;
    Ok(identity)
}

/// Writes the identity; then nothing waits for an answer any more.
fn store(identity: &Identity, dir: &Path, again: bool, reserve: &Reserve) -> Result<(), JoinError> {
    reserve.lend(|| identity.store(dir, again))?;
    Ok(waiting::forget(dir)?)
}

fn new_key() -> Result<KeyPair, JoinError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(no_key)
}

/// A PKCS#10 request in PEM. The hub uses only the key in it; the name is for people.
fn csr(key: &KeyPair, node: &Name) -> Result<String, JoinError> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, node.as_str());
    params.serialize_request(key).and_then(|request| request.pem()).map_err(no_key)
}

#[expect(clippy::needless_pass_by_value, reason = "the form map_err wants")]
fn no_key(error: rcgen::Error) -> JoinError {
    JoinError::NoKey(error.to_string())
}

/// Makes an identity of the answer, if all of it is from the token's hub and fits together.
fn identity(token: &JoinToken, key: &KeyPair, answer: Answer) -> Result<Identity, String> {
    if !answer.is_sealed(token.secret_digest()) {
        return Err("its seal is not that of this token and these contents".into());
    }
    let [ca] = <[_; 1]>::try_from(certificates_of(answer.ca.as_bytes())?).map_err(|_| "more than one CA")?;
    if Digest::of(&ca) != token.ca() {
        return Err("another CA than the token's".into());
    }
    if answer.publishers.len() > PUBLISHERS_MAX {
        return Err(format!("more than {PUBLISHERS_MAX} publisher keys"));
    }
    let identity = Identity {
        node: token.node().clone(),
        epoch: answer.epoch,
        api: token.hub().into(),
        mqtt: answer.mqtt.parse().map_err(|error| format!("{error}"))?,
        hub_key: answer.hub_key,
        publishers: answer.publishers,
        chain: certificates_of(answer.certificate.as_bytes())?,
        ca,
        key: PrivatePkcs8KeyDer::from(key.serialize_der()),
    };
    identity.check().map_err(|mismatch| mismatch.to_string())?;
    Ok(identity)
}
