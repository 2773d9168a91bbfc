//! How a machine becomes a node: a one-time token, made by a person for one name, and a certificate for whoever knows it.
//!
//! ```text
//! person ──▶ make_join_token(node) ──▶ cwj1.… ──▶ the machine ──▶ enroll(request, proof) ──▶ certificate
//! ```
//!
//! The hub keeps the hash of a token's secret, and never sees the secret again. Using it, and writing the node with its new
//! certificate, are one commit: of two machines with the same token one gets a certificate. A node that is enrolled again gets
//! a new certificate, and its old one is refused from then on.
//!
//! A used token stays with that certificate until it expires: answers get lost, and whoever asks again for the same key gets
//! the same certificate, and changes nothing by it. The key counts and not the request's bytes, because who signs the same
//! request again gets other bytes.

mod error;

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;
use shared::assign::Labels;
use shared::fault::{Fault, hub};
use shared::id::{Digest, Name};
use shared::join::{Granted, JoinToken, proof, seal};
use shared::time::UnixMillis;

pub use error::{EnrollError, JoinTokenError};

use crate::access::lock;
use crate::api::types::{EnrollRequest, Enrolled};
use crate::ca::{CLIENT_LIFE, CSR_MAX, is_over_key_of};
use crate::desired::Scope;
use crate::fleet::Life;
use crate::hub::Hub;
use crate::nodes::check_labels;
use crate::os::random;
use crate::records::{JOURNALS, NODES, Node, Stored, TOKENS, Token, key};
use crate::store::{Change, Expect, StoreError};

/// How long a token is good for unless somebody says otherwise, in seconds.
pub const TTL_DEFAULT: u64 = 3600;
/// How long it may be good for at most, in seconds: a request that is carried may be on its way for weeks.
pub const TTL_MAX: u64 = 90 * 24 * 3600;
/// Most tokens that wait to be used.
pub const TOKENS_MAX: usize = 10_000;
/// Most enrolled nodes of one hub.
pub const NODES_MAX: usize = 100_000;

impl Hub {
    /// Makes a token with which `node` can enrol once; an earlier one for the same node is worth nothing any more.
    pub async fn make_join_token(
        &self,
        node: &Name,
        ttl: Option<u64>,
        labels: Labels,
        by: &str,
    ) -> Result<(JoinToken, UnixMillis), JoinTokenError> {
        let ttl = ttl.unwrap_or(TTL_DEFAULT);
        if !(1..=TTL_MAX).contains(&ttl) {
            return Err(JoinTokenError::BadTtl);
        }
        check_labels(&labels)?;
        let _changing = self.changing.lock().await;
        if self.join_tokens().await?.len() >= TOKENS_MAX {
            return Err(JoinTokenError::TooMany);
        }
        let token = JoinToken::new(&self.settings.api, node.clone(), random()?, self.ca.fingerprint())?;
        let expires = UnixMillis(self.now().0.saturating_add(ttl * 1000));
        let record = Token { hash: token.secret_digest(), expires, labels, by: by.to_owned(), given: None };
        let what = Fault::new(&hub::JOIN_TOKEN_MADE).with("node", node).with("by", by);
        let change = Change::put(key(TOKENS, node), record.encode());
        self.store.commit(vec![change], vec![self.event(Some(node), None, by, what)]).await?;
        Ok((token, expires))
    }

    /// Tokens that were not used.
    pub async fn join_tokens(&self) -> Result<Vec<(Name, Token, u64)>, StoreError> {
        let mut tokens = self.all::<Token>(TOKENS).await?;
        tokens.retain(|(_, token, _)| token.given.is_none());
        Ok(tokens)
    }

    /// Makes a token worthless.
    pub async fn remove_join_token(&self, node: &Name, by: &str) -> Result<(), JoinTokenError> {
        let _changing = self.changing.lock().await;
        let key = key(TOKENS, node);
        let Some((Token { given: None, .. }, revision)) = self.record(&key).await? else {
            return Err(JoinTokenError::NotFound { node: node.clone() });
        };
        let what = Fault::new(&hub::JOIN_TOKEN_REMOVED).with("node", node).with("by", by);
        let change = Change::delete(key, Expect::Revision(revision));
        self.store.commit(vec![change], vec![self.event(Some(node), None, by, what)]).await?;
        Ok(())
    }

    /// Forgets tokens whose time is over.
    pub(crate) async fn drop_expired_tokens(&self) -> Result<(), StoreError> {
        let now = self.now();
        let expired = self.all::<Token>(TOKENS).await?.into_iter().filter(|(_, token, _)| token.expires <= now);
        let changes =
            expired.take(1000).map(|(node, _, revision)| Change::delete(key(TOKENS, &node), Expect::Revision(revision)));
        match self.store.commit(changes.collect(), Vec::new()).await {
            Err(error) if !error.is_conflict() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Gives whoever knows the token a certificate in the node's name.
    pub async fn enroll(&self, request: &EnrollRequest, peer: IpAddr) -> Result<Enrolled, EnrollError> {
        if let Some(seconds) = lock(&self.joins).blocked(peer, self.now()) {
            return Err(EnrollError::TooMany { seconds });
        }
        let answer = self.try_enroll(request).await;
        if let Err(error) = &answer
            && error.is_a_guess()
        {
            lock(&self.joins).failed(peer, self.now());
            self.metrics.joins_failed.inc();
            tracing::warn!(node = %request.node, %peer, %error, "an enrolment was refused");
        }
        answer
    }

    async fn try_enroll(&self, request: &EnrollRequest) -> Result<Enrolled, EnrollError> {
        let csr = read_csr(&request.csr)?;
        let changing = self.changing.lock().await;
        let (node, now) = (&request.node, self.now());
        let Some((token, token_revision)) = self.record::<Token>(&key(TOKENS, node)).await? else {
            return Err(EnrollError::Refused);
        };
        if !proof(token.hash, &request.csr).same(request.proof) {
            return Err(EnrollError::Refused);
        }
        if token.expires <= now {
            return Err(EnrollError::Expired { node: node.clone() });
        }
        if let Some(certificate) = &token.given {
            if !is_over_key_of(certificate, &csr)? {
                return Err(EnrollError::Refused);
            }
            drop(changing);
            tracing::info!(%node, "a node asked again for the certificate it was given");
            return self.granted(token.hash, certificate).await;
        }
        let certificate = self.ca.issue_node(node, &csr, random()?, now, CLIENT_LIFE)?;
        let known = self.record::<Node>(&key(NODES, node)).await?;
        if known.is_none() && self.fleet().nodes.len() >= NODES_MAX {
            return Err(EnrollError::TooManyNodes);
        }
        let (record, expect) = enrolled(known, token.labels.clone(), Digest::of(&certificate), now);
        check_labels(&record.labels)?;
        let used = Token { given: Some(certificate.to_vec()), ..token.clone() };
        let changes = vec![
            Change { key: key(TOKENS, node), expect: Expect::Revision(token_revision), value: Some(used.encode()) },
            Change { key: key(NODES, node), expect, value: Some(record.encode()) },
            // A machine that enrols may have lost its disk, and counts its journal from the start.
            Change::delete(key(JOURNALS, node), Expect::Anything),
        ];
        let what = Fault::new(&hub::NODE_ENROLLED).with("node", node).with("by", &token.by);
        self.store.commit(changes, vec![self.event(Some(node), None, &token.by, what)]).await?;
        let mut touched = {
            let mut fleet = self.fleet();
            fleet.nodes.entry(node.clone()).or_insert_with(|| Life { saved: now, ..Life::default() });
            fleet.sites.recorded(node, &record)
        };
        drop(changing);
        touched.insert(node.clone());
        self.link.end(node, &Fault::new(&hub::NODE_OTHER_CERTIFICATE).with("node", node));
        self.assign_now(Scope::Nodes(touched)).await;
        self.metrics.joins.inc();
        tracing::info!(%node, "node enrolled");
        self.granted(token.hash, &certificate).await
    }

    /// The answer with `certificate`, sealed for whoever knows the secret of `secret_digest`.
    async fn granted(&self, secret_digest: Digest, certificate: &[u8]) -> Result<Enrolled, EnrollError> {
        let (certificate, ca, mqtt, epoch) = (pem(certificate), self.ca.root_pem(), self.gate_address(), self.epoch);
        let (hub_key, publishers) = (self.public_key(), self.publisher_keys().await?);
        let granted =
            Granted { certificate: &certificate, ca: &ca, hub_key: &hub_key, publishers: &publishers, mqtt: &mqtt, epoch };
        let seal = seal(secret_digest, &granted);
        Ok(Enrolled { certificate, ca, hub_key, publishers, mqtt, epoch, seal })
    }
}

/// The node's record after it enrolled: labels of the token come on top of those it had.
fn enrolled(known: Option<(Node, u64)>, labels: Labels, certificate: Digest, now: UnixMillis) -> (Node, Expect) {
    let certificate = Some(certificate);
    match known {
        Some((node, revision)) => {
            let labels = node.labels.into_iter().chain(labels).collect();
            (Node { labels, certificate, revoked: false, created: node.created, updated: now }, Expect::Revision(revision))
        }
        None => (Node { labels, certificate, revoked: false, created: now, updated: now }, Expect::Absent),
    }
}

fn read_csr(pem: &str) -> Result<CertificateSigningRequestDer<'static>, EnrollError> {
    // Base64 makes four characters of three bytes; the rest is room for the lines around it.
    if pem.len() > CSR_MAX * 4 / 3 + 512 {
        return Err(EnrollError::BadRequest { why: format!("longer than {CSR_MAX} bytes") });
    }
    CertificateSigningRequestDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| EnrollError::BadRequest { why: error.to_string() })
}

/// A certificate as RFC 7468 writes it.
pub(crate) fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enrolling_again_keeps_labels_and_clears_revocation() {
        let labels = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Labels>();
        let (first, expect) = enrolled(None, labels(&[("a", "1"), ("b", "1")]), Digest::of(b"1"), UnixMillis(5));
        assert_eq!((first.created, expect), (UnixMillis(5), Expect::Absent));
        let revoked = Node { revoked: true, ..first };
        let (again, expect) = enrolled(Some((revoked, 9)), labels(&[("b", "2")]), Digest::of(b"2"), UnixMillis(7));
        assert_eq!(again.labels, labels(&[("a", "1"), ("b", "2")]));
        assert_eq!((again.revoked, again.certificate), (false, Some(Digest::of(b"2"))));
        assert_eq!((again.created, again.updated, expect), (UnixMillis(5), UnixMillis(7), Expect::Revision(9)));
    }

    #[test]
    fn certificates_are_written_in_lines_of_64() {
        let text = pem(&[7; 200]);
        assert!(text.lines().all(|line| line.len() <= 64));
        let read = rustls::pki_types::CertificateDer::from_pem_slice(text.as_bytes()).expect("pem");
        assert_eq!(&*read, &[7; 200]);
    }
}
