//! Join tokens: the one line of text that lets a new node find its hub, trust it and be recognised.
//!
//! `cwj1.` and then base64url of [`wire::v1::Join`]: where the hub's API is, which node may join, a secret that works
//! once, and the fingerprint of the hub's CA, so that the first contact already knows whom to trust and an impostor
//! in between is refused before anything is sent to it.
//!
//! The secret never travels again: the hub keeps its digest, and a node shows a [`proof`] that it knows the secret, good for
//! one certificate request only. Whoever sees the request, on a wire or on a stick, can join as nobody with it. The hub shows
//! that it knows the digest by a [`seal`](fn@seal) on its answer: whoever carries that can change nothing in it.

mod carried;
mod seal;

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::fault::{Fault, Faulty, trust};
use crate::id::{Digest, Name};
use crate::wire;

pub use carried::{CARRIED_MAX, Carried, CarriedError};
pub use seal::{Granted, seal};

/// Longest token text, in bytes: a bound for what is read from a terminal or a request.
pub const TOKEN_MAX: usize = 1024;
/// Longest URL of a hub, in bytes.
pub const HUB_MAX: usize = 255;

const PREFIX: &str = "cwj1.";

/// What a new node needs to join. `Debug` never shows the secret; the text form is the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    hub: String,
    node: Name,
    secret: [u8; 16],
    ca: Digest,
}

/// Why a text is not a join token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// Something else was pasted.
    #[error("not a join token: it does not begin with {PREFIX}")]
    NotOne,
    /// It was, but a part is missing or changed.
    #[error("damaged join token: {0}")]
    Damaged(String),
}

impl Faulty for BadToken {
    fn fault(&self) -> Fault {
        match self {
            Self::NotOne => Fault::new(&trust::TOKEN_NOT_ONE),
            Self::Damaged(why) => Fault::new(&trust::TOKEN_DAMAGED).with("why", why),
        }
    }
}

impl JoinToken {
    /// A token for `node` at `hub` (an `https://` URL of at most [`HUB_MAX`] printable ASCII characters) whose CA has
    /// the fingerprint `ca`; `secret` comes from the system's random generator.
    pub fn new(hub: &str, node: Name, secret: [u8; 16], ca: Digest) -> Result<Self, BadToken> {
        let printable = hub.bytes().all(|b| b.is_ascii_graphic());
        match hub.strip_prefix("https://") {
            Some(rest) if !rest.is_empty() && printable && hub.len() <= HUB_MAX => Ok(Self { hub: hub.into(), node, secret, ca }),
            _ => Err(BadToken::Damaged(format!("the hub's address must be https:// and at most {HUB_MAX} characters"))),
        }
    }

    /// Where the hub's API is.
    pub fn hub(&self) -> &str {
        &self.hub
    }

    /// Who may join with it.
    pub const fn node(&self) -> &Name {
        &self.node
    }

    /// sha256 of the DER of the hub's CA certificate.
    pub const fn ca(&self) -> Digest {
        self.ca
    }

    /// What the hub keeps in place of the secret.
    pub fn secret_digest(&self) -> Digest {
        Digest::of(&[b"causeway/v1\0join\0", &self.secret[..]].concat())
    }
}

/// What shows that whoever asks for a certificate by the request `csr` knows the secret of `secret_digest`.
pub fn proof(secret_digest: Digest, csr: &str) -> Digest {
    Digest::of(&[b"causeway/v1\0join-proof\0", &secret_digest.as_bytes()[..], Digest::of(csr.as_bytes()).as_bytes()].concat())
}

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hub, node, secret, ca } = self.clone();
        let bytes = wire::v1::Join { hub, node: node.to_string(), secret, ca: *ca.as_bytes() }.encode();
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for JoinToken {
    type Err = BadToken;
    fn from_str(text: &str) -> Result<Self, BadToken> {
        let body = text.trim().strip_prefix(PREFIX).ok_or(BadToken::NotOne)?;
        if text.len() > TOKEN_MAX {
            return Err(BadToken::Damaged(format!("longer than {TOKEN_MAX} characters")));
        }
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| BadToken::Damaged("characters are missing or changed".into()))?;
        let join = wire::v1::Join::decode(&bytes).map_err(|error| BadToken::Damaged(error.to_string()))?;
        let node = Name::new(&join.node).map_err(|error| BadToken::Damaged(error.to_string()))?;
        Self::new(&join.hub, node, join.secret, Digest::from_bytes(join.ca))
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinToken {{ hub: {:?}, node: {}, ca: {:?} }}", self.hub, self.node, self.ca)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> JoinToken {
        let node = Name::new("crane-7").expect("name");
        JoinToken::new("https://hub.example:8443", node, [7; 16], Digest::of(b"ca")).expect("token")
    }

    /// Printed tokens must be readable by every later version.
    const GOLDEN: &str =
        "cwj1.ARhodHRwczovL2h1Yi5leGFtcGxlOjg0NDMHY3JhbmUtNwcHBwcHBwcHBwcHBwcHBwdpWQlwAdEFAax9VMC9uNthQg9ljykizCbkbVNhGaMRJg";

    #[test]
    fn the_text_is_stable_and_round_trips() {
        assert_eq!(token().to_string(), GOLDEN);
        assert_eq!(format!(" {GOLDEN}\n").parse(), Ok(token()));
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        let damaged = |text: &str| matches!(text.parse::<JoinToken>(), Err(BadToken::Damaged(_)));
        for text in ["", "cwj2.AAAA", "hunter2", "CWJ1.AAAA"] {
            assert_eq!(text.parse::<JoinToken>(), Err(BadToken::NotOne), "{text:?}");
        }
        for cut in PREFIX.len()..GOLDEN.len() {
            assert!(damaged(&GOLDEN[..cut]), "cut at {cut}");
        }
        for text in [&format!("{GOLDEN}AAAA"), &format!("{PREFIX}{}", "A".repeat(TOKEN_MAX)), "cwj1.ä", "cwj1.AgAA"] {
            assert!(damaged(text), "{text:?}");
        }
        for hub in ["http://hub", "https://", "https://a b", "https://é", &format!("https://{}", "a".repeat(HUB_MAX))] {
            let token = JoinToken::new(hub, Name::new("a").expect("name"), [0; 16], Digest::of(b""));
            assert!(token.is_err(), "{hub}");
        }
    }

    #[test]
    fn a_proof_is_stable_and_for_one_secret_and_one_request() {
        let proof = |secret, csr| proof(JoinToken { secret: [secret; 16], ..token() }.secret_digest(), csr);
        assert_eq!(proof(7, "csr").to_string(), "sha256:49f33c3460af008332e198f6d67e884b2d2aad120f49576fad1e78b9b811676b");
        assert_ne!(proof(7, "csr"), proof(8, "csr"));
        assert_ne!(proof(7, "csr"), proof(7, "other"));
    }

    #[test]
    fn debug_output_holds_no_secret() {
        let shown = format!("{:?}", token());
        assert!(!shown.contains("7, 7") && !shown.contains("0707") && shown.contains("crane-7"), "{shown}");
    }
}
