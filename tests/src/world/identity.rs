//! Who each node is: a key and a certificate of its own. Neighbours know each other by them; the gate's part is simulated.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use edge_node::identity::Identity;
use rcgen::generate_simple_self_signed;
use rustls::pki_types::PrivatePkcs8KeyDer;
use shared::id::{Digest, Name};

use super::catalog::publisher;
use super::center::Center;

/// The identity of the node of this name, the same in every world of this process.
pub fn identity(node: &Name) -> Arc<Identity> {
    static MADE: Mutex<BTreeMap<Name, Arc<Identity>>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    made.entry(node.clone()).or_insert_with(|| Arc::new(make(node))).clone()
}

/// The digest of its certificate.
pub fn certificate(node: &Name) -> Digest {
    Digest::of(&identity(node).chain[0])
}

/// Who issued the certificate, nobody here looks at.
fn make(node: &Name) -> Identity {
    let own = generate_simple_self_signed([node.to_string()]).expect("certificate");
    let certificate = own.cert.der().clone();
    Identity {
        node: node.clone(),
        epoch: 1,
        api: "https://hub".into(),
        mqtt: "hub:8883".parse().expect("address"),
        hub_key: Center::key(),
        publishers: vec![publisher().public()],
        chain: vec![certificate.clone()],
        ca: certificate,
        key: PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()),
    }
}
