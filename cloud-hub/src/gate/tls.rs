//! TLS 1.3 with client certificates of this hub, and nothing else.

use std::sync::Arc;

use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

use super::GateError;
use crate::ca::{Ca, Serving};

/// Settings for the listener. No session tickets: a resumed handshake would save a node one signature per connection and
/// cost the hub memory per node, and nodes stay connected for days.
pub fn config(ca: &Ca, serving: &Serving) -> Result<Arc<ServerConfig>, GateError> {
    let failed = |cause: &dyn std::fmt::Display| GateError::Tls { cause: cause.to_string() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(ca.root().clone()).map_err(|error| failed(&error))?;
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().map_err(|error| failed(&error))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| failed(&error))?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(serving.resolver());
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}
