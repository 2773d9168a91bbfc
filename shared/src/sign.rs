//! Signatures: envelopes with key ids and thresholds, over canonical bytes, bound to one purpose.
//!
//! Two keys decide (Uptane's split): a **publisher key** says which releases may exist, the **hub key**
//! says what runs where. The signed message is `causeway/v1`, NUL, the purpose, NUL, the payload, so that
//! a signature for one purpose can never be shown for another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer, Verifier};
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, Faulty, trust};
use crate::id::Digest;
use crate::wire;

/// Most signatures of one envelope.
pub const SIGNATURES_MAX: usize = 16;

/// What a signature speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A publisher: this release may exist.
    Release,
    /// The hub: this node runs this.
    Desired,
    /// A node: so am I. Signed with the key of its certificate.
    Receipt,
}

impl Purpose {
    /// The bytes that are signed.
    pub fn message(self, payload: &[u8]) -> Vec<u8> {
        let purpose: &[u8] = match self {
            Self::Release => b"release",
            Self::Desired => b"desired",
            Self::Receipt => b"receipt",
        };
        [b"causeway/v1\0", purpose, b"\0", payload].concat()
    }
}

/// An ed25519 public key, written `ed25519:<64 hex digits>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

/// sha256 of a public key.
pub type KeyId = Digest;

/// Why a text is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an ed25519 key: expected ed25519: and 64 hexadecimal digits")]
pub struct BadKey;

impl PublicKey {
    /// The key's id.
    pub fn id(&self) -> KeyId {
        Digest::of(&self.0)
    }

    /// The raw key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn accepts(&self, message: &[u8], signature: &[u8]) -> bool {
        let (Ok(key), Ok(signature)) =
            (ed25519_dalek::VerifyingKey::from_bytes(&self.0), ed25519_dalek::Signature::from_slice(signature))
        else {
            return false;
        };
        key.verify(message, &signature).is_ok() && !key.is_weak()
    }
}

impl FromStr for PublicKey {
    type Err = BadKey;
    fn from_str(text: &str) -> Result<Self, BadKey> {
        let mut bytes = [0; 32];
        let digits = text.trim().strip_prefix("ed25519:").ok_or(BadKey)?;
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| BadKey)?;
        ed25519_dalek::VerifyingKey::from_bytes(&bytes).map_err(|_| BadKey)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ed25519:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An ed25519 private key. Its text form is `ed25519-secret:<64 hex digits>`; `Debug` never shows it.
pub struct SecretKey(ed25519_dalek::SigningKey);

impl SecretKey {
    /// A key from 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The text for a key file.
    pub fn to_text(&self) -> String {
        format!("ed25519-secret:{}", hex::encode(self.0.as_bytes()))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    fn sign(&self, purpose: Purpose, payload: &[u8]) -> Signature {
        let bytes = self.0.sign(&purpose.message(payload)).to_bytes().to_vec();
        Signature { key: self.public().id(), bytes }
    }
}

impl FromStr for SecretKey {
    type Err = BadKey;
    fn from_str(text: &str) -> Result<Self, BadKey> {
        let mut seed = [0; 32];
        let digits = text.trim().strip_prefix("ed25519-secret:").ok_or(BadKey)?;
        hex::decode_to_slice(digits, &mut seed).map_err(|_| BadKey)?;
        Ok(Self::from_seed(&seed))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public())
    }
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Which key made it.
    pub key: KeyId,
    /// 64 bytes.
    pub bytes: Vec<u8>,
}

/// Signed bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Canonical bytes of what is signed.
    pub payload: Vec<u8>,
    /// One signature per key.
    pub signatures: Vec<Signature>,
}

/// Keys that may speak for a purpose, and how many of them must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyring {
    keys: BTreeMap<KeyId, PublicKey>,
    threshold: usize,
}

impl Keyring {
    /// `threshold` of `keys` must sign; a threshold of 0 counts as 1.
    pub fn new(keys: impl IntoIterator<Item = PublicKey>, threshold: usize) -> Self {
        Self { keys: keys.into_iter().map(|key| (key.id(), key)).collect(), threshold: threshold.max(1) }
    }
}

/// Why an envelope is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// No known key signed it.
    #[error("signed by no trusted key (signatures by {keys})")]
    UnknownKey {
        /// Short ids of the keys that did sign.
        keys: String,
    },
    /// A known key's signature does not fit the bytes.
    #[error("the signature of key {key} is wrong")]
    WrongSignature {
        /// Short id of the key.
        key: String,
    },
    /// Too few keys signed.
    #[error("{got} of the needed {need} keys signed")]
    TooFew {
        /// Keys that signed.
        got: usize,
        /// Keys that must.
        need: usize,
    },
}

impl Faulty for SignError {
    fn fault(&self) -> Fault {
        match self {
            Self::UnknownKey { keys } => Fault::new(&trust::UNKNOWN_KEY).with("keys", keys),
            Self::WrongSignature { key } => Fault::new(&trust::WRONG_SIGNATURE).with("key", key),
            Self::TooFew { got, need } => Fault::new(&trust::TOO_FEW_SIGNATURES).with("got", got).with("need", need),
        }
    }
}

impl Envelope {
    /// Signs `payload`.
    pub fn sign(purpose: Purpose, payload: Vec<u8>, keys: &[&SecretKey]) -> Self {
        let signatures = keys.iter().map(|key| key.sign(purpose, &payload)).collect();
        Self { payload, signatures }
    }

    /// The payload, if enough keys of `ring` signed it for `purpose`.
    pub fn verify(&self, purpose: Purpose, ring: &Keyring) -> Result<&[u8], SignError> {
        let message = purpose.message(&self.payload);
        let mut signed = BTreeSet::new();
        for signature in self.signatures.iter().take(SIGNATURES_MAX) {
            if let Some(key) = ring.keys.get(&signature.key) {
                if !key.accepts(&message, &signature.bytes) {
                    return Err(SignError::WrongSignature { key: signature.key.short() });
                }
                signed.insert(signature.key);
            }
        }
        match signed.len() {
            0 => Err(SignError::UnknownKey { keys: self.signers() }),
            got if got < ring.threshold => Err(SignError::TooFew { got, need: ring.threshold }),
            _ => Ok(&self.payload),
        }
    }

    fn signers(&self) -> String {
        let ids: Vec<String> = self.signatures.iter().take(SIGNATURES_MAX).map(|s| s.key.short()).collect();
        if ids.is_empty() { "nobody".into() } else { ids.join(", ") }
    }

    /// The digest of the payload: the id of a release, the hash of a desired state.
    pub fn payload_digest(&self) -> Digest {
        Digest::of(&self.payload)
    }

    /// As stored and sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        wire::v1::Envelope::from(self).encode()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; says nothing about trust.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, wire::WireError> {
        wire::v1::Envelope::decode(bytes).map(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> SecretKey {
        SecretKey::from_seed(&[n; 32])
    }

    #[test]
    fn a_trusted_signature_opens_the_envelope() {
        let envelope = Envelope::sign(Purpose::Release, b"x".to_vec(), &[&key(1)]);
        let ring = Keyring::new([key(1).public()], 1);
        assert_eq!(envelope.verify(Purpose::Release, &ring), Ok(&b"x"[..]));
        let again = Envelope::from_bytes(&envelope.to_bytes()).expect("own bytes");
        assert_eq!(again, envelope);
    }

    #[test]
    fn every_other_envelope_stays_closed() {
        let ring = Keyring::new([key(1).public(), key(2).public()], 2);
        let sign = |keys: &[&SecretKey]| Envelope::sign(Purpose::Release, b"x".to_vec(), keys);
        let verify = |envelope: &Envelope| envelope.verify(Purpose::Release, &ring).map(<[u8]>::to_vec);

        assert!(matches!(verify(&sign(&[])), Err(SignError::UnknownKey { .. })));
        assert!(matches!(verify(&sign(&[&key(3)])), Err(SignError::UnknownKey { .. })));
        assert_eq!(verify(&sign(&[&key(1)])), Err(SignError::TooFew { got: 1, need: 2 }));
        assert_eq!(verify(&sign(&[&key(1), &key(1)])), Err(SignError::TooFew { got: 1, need: 2 }), "one key twice is one key");
        assert!(verify(&sign(&[&key(1), &key(2)])).is_ok());

        let mut changed = sign(&[&key(1), &key(2)]);
        changed.payload.push(0);
        assert!(matches!(verify(&changed), Err(SignError::WrongSignature { .. })));
        let other_purpose = Envelope::sign(Purpose::Desired, b"x".to_vec(), &[&key(1), &key(2)]);
        assert!(matches!(verify(&other_purpose), Err(SignError::WrongSignature { .. })));
    }

    #[test]
    fn keys_round_trip_as_text_and_secrets_stay_secret() {
        let secret = key(7);
        assert_eq!(secret.to_text().parse::<SecretKey>().expect("own text").public(), secret.public());
        assert_eq!(secret.public().to_string().parse(), Ok(secret.public()));
        assert!(!format!("{secret:?}").contains(&hex::encode([7; 32])));
        assert!("ed25519:00".parse::<PublicKey>().is_err());
    }
}
