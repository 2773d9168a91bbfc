//! What shows a node that an answer is its hub's: nobody else than the two knows the token's secret.
//!
//! The certificate in an answer proves itself against the CA that the token names. The hub's key, the publishers and the rest
//! do not, and a file passes through many hands; so the hub seals all of it with what it keeps of the token.

use crate::id::Digest;
use crate::sign::PublicKey;

/// What a hub grants a node that joins.
#[derive(Debug, Clone, Copy)]
pub struct Granted<'a> {
    /// The node's certificate chain in PEM, as it travels. It holds the node's key, and so says whose request was granted.
    pub certificate: &'a str,
    /// The hub's CA in PEM, as it travels.
    pub ca: &'a str,
    /// The key that signs desired states.
    pub hub_key: &'a PublicKey,
    /// Keys that may sign releases, in their order.
    pub publishers: &'a [PublicKey],
    /// Where to connect, `host:port`.
    pub mqtt: &'a str,
    /// The hub's life.
    pub epoch: u64,
}

/// The seal of whoever knows the secret of `secret_digest` on `granted`. Compare it with [`Digest::same`].
///
/// Each part goes in with a length of its own that never changes: no two answers have the same bytes below the hash, and
/// nothing can be appended to them.
pub fn seal(secret_digest: Digest, granted: &Granted<'_>) -> Digest {
    let Granted { certificate, ca, hub_key, publishers, mqtt, epoch } = granted;
    let publishers: Vec<u8> = publishers.iter().flat_map(|key| *key.as_bytes()).collect();
    let bytes = [
        &b"causeway/v1\0join-seal\0"[..],
        secret_digest.as_bytes(),
        Digest::of(certificate.as_bytes()).as_bytes(),
        Digest::of(ca.as_bytes()).as_bytes(),
        hub_key.as_bytes(),
        Digest::of(&publishers).as_bytes(),
        Digest::of(mqtt.as_bytes()).as_bytes(),
        &epoch.to_be_bytes(),
    ]
    .concat();
    Digest::of(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::SecretKey;

    #[test]
    fn a_seal_is_stable_and_for_one_secret_and_one_answer() {
        let key = |seed| SecretKey::from_seed(&[seed; 32]).public();
        let (hub_key, publishers) = (key(1), [key(2), key(3)]);
        let right = Granted {
            certificate: "certificate",
            ca: "ca",
            hub_key: &hub_key,
            publishers: &publishers,
            mqtt: "hub.example:8883",
            epoch: 3,
        };
        let sealed = seal(Digest::of(b"secret"), &right);
        assert_eq!(sealed.to_string(), "sha256:4d53edebf68c29b0ab581c9e59141720d6427d7d5b0bb3dc3ce52534d3671027");
        assert_ne!(seal(Digest::of(b"other"), &right), sealed);
        let turned = [key(3), key(2)];
        for other in [
            Granted { certificate: "certificat", ca: "eca", ..right },
            Granted { certificate: "ca", ca: "certificate", ..right },
            Granted { hub_key: &publishers[0], ..right },
            Granted { publishers: &publishers[..1], ..right },
            Granted { publishers: &turned, ..right },
            Granted { publishers: &[], ..right },
            Granted { mqtt: "hub.example:8884", ..right },
            Granted { epoch: 4, ..right },
        ] {
            assert_ne!(seal(Digest::of(b"secret"), &other), sealed, "{other:?}");
        }
    }
}
