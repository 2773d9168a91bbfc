//! Who may do what at the API: tokens, roles, and one function that decides.
//!
//! A token is `cwa1.<name>.<64 hex digits>`: 256 random bits. The hub keeps only their sha256, so that nobody who
//! reads its disk can call its API.

mod attempts;
mod error;

use std::net::IpAddr;
use std::path::Path;

use shared::fault::{Fault, hub};
use shared::id::{Digest, Name};

pub use attempts::Attempts;
pub use error::{ApiTokenError, AuthError};

use crate::api::types::Role;
use crate::hub::Hub;
use crate::os::random;
use crate::records::{API_TOKENS, ApiToken, Stored, key};
use crate::store::{Change, Expect};

/// Most API tokens of one hub.
pub const API_TOKENS_MAX: usize = 1024;
/// Longest life of an API token that has an end: ten years, in seconds.
pub const TTL_MAX: u64 = 10 * 365 * 24 * 3600;
/// The name of the token that is made at the first start.
const FIRST: &str = "admin";
const PREFIX: &str = "cwa1.";

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// It is looked at.
    Read,
    /// It is made, changed or removed.
    Write,
}

/// To what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// The caller itself.
    Caller,
    /// Keys that may sign releases.
    Publishers,
    /// Content.
    Blobs,
    /// Images in registries, fetched through the hub.
    Images,
    /// Releases and apps.
    Releases,
    /// Deployments.
    Deployments,
    /// Budgets of nodes' links.
    Budgets,
    /// Nodes.
    Nodes,
    /// What apps print: it may hold anything.
    Logs,
    /// Join tokens.
    Tokens,
    /// API tokens.
    ApiTokens,
    /// Events and the watch.
    Events,
    /// Figures of the hub.
    Metrics,
}

/// Whether `role` may do `verb` to `resource`. The only place that knows.
pub const fn is_allowed(role: Role, verb: Verb, resource: Resource) -> bool {
    use Resource::{
        ApiTokens, Blobs, Budgets, Caller, Deployments, Events, Images, Logs, Metrics, Nodes, Publishers, Releases, Tokens,
    };
    let needed = match (verb, resource) {
        (Verb::Read, Caller | Publishers | Blobs | Images | Releases | Deployments | Budgets | Nodes | Events | Metrics) => {
            Role::Viewer
        }
        (Verb::Read, Logs | Tokens) => Role::Operator,
        (Verb::Write, Blobs | Images | Releases | Deployments | Budgets | Nodes | Tokens) => Role::Operator,
        (_, ApiTokens) | (Verb::Write, Caller | Publishers | Logs | Events | Metrics) => Role::Admin,
    };
    role as u8 >= needed as u8
}

/// Who calls, once known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Name of the token.
    pub name: Name,
    /// What it may do.
    pub role: Role,
}

/// A token's text in its parts.
fn parse(text: &str) -> Option<(Name, [u8; 32])> {
    let (name, digits) = text.strip_prefix(PREFIX)?.rsplit_once('.')?;
    let mut secret = [0; 32];
    hex::decode_to_slice(digits, &mut secret).ok()?;
    Some((Name::new(name).ok()?, secret))
}

fn text(name: &str, secret: &[u8; 32]) -> String {
    format!("{PREFIX}{name}.{}", hex::encode(secret))
}

fn hash(secret: &[u8; 32]) -> Digest {
    Digest::of(&[b"causeway/v1\0api\0", &secret[..]].concat())
}

const fn role_number(role: Role) -> u8 {
    match role {
        Role::Viewer => 0,
        Role::Operator => 1,
        Role::Admin => 2,
    }
}

/// The role of a stored number; an unknown one may do least.
pub(crate) const fn role_of(number: u8) -> Role {
    match number {
        2 => Role::Admin,
        1 => Role::Operator,
        _ => Role::Viewer,
    }
}

impl Hub {
    /// Who holds the token `text`. `peer` is counted when it does not.
    pub async fn authenticate(&self, text: Option<&str>, peer: IpAddr) -> Result<Principal, AuthError> {
        let text = text.ok_or(AuthError::Missing)?;
        let now = self.now();
        if let Some(seconds) = lock(&self.logins).blocked(peer, now) {
            return Err(AuthError::TooMany { seconds });
        }
        let found = match parse(text) {
            Some((name, secret)) => self.holder(name, &secret).await?,
            None => None,
        };
        found.ok_or_else(|| {
            lock(&self.logins).failed(peer, now);
            self.metrics.logins_failed.inc();
            tracing::warn!(%peer, "an API token was refused");
            AuthError::Wrong
        })
    }

    async fn holder(&self, name: Name, secret: &[u8; 32]) -> Result<Option<Principal>, AuthError> {
        let Some((token, _)) = self.record::<ApiToken>(&key(API_TOKENS, &name)).await? else { return Ok(None) };
        let good = token.hash.same(hash(secret)) && token.expires.is_none_or(|end| self.now() < end);
        Ok(good.then(|| Principal { name, role: role_of(token.role) }))
    }

    /// Every API token with the revision of its record.
    pub async fn api_tokens(&self) -> Result<Vec<(Name, ApiToken, u64)>, ApiTokenError> {
        Ok(self.all(API_TOKENS).await?)
    }

    /// Makes an API token; its text is known only now.
    pub async fn make_api_token(&self, name: &Name, role: Role, ttl: Option<u64>, by: &str) -> Result<String, ApiTokenError> {
        let _changing = self.changing.lock().await;
        if ttl.is_some_and(|ttl| !(1..=TTL_MAX).contains(&ttl)) {
            return Err(ApiTokenError::BadTtl);
        }
        let known = self.api_tokens().await?;
        if known.iter().any(|(other, ..)| other == name) {
            return Err(ApiTokenError::NameTaken { name: name.clone() });
        }
        if known.len() >= API_TOKENS_MAX {
            return Err(ApiTokenError::TooMany);
        }
        let (secret, now) = (random::<32>()?, self.now());
        let expires = ttl.map(|ttl| shared::time::UnixMillis(now.0.saturating_add(ttl.saturating_mul(1000))));
        let token = ApiToken { hash: hash(&secret), role: role_number(role), expires, created: now, by: by.to_owned() };
        let what = Fault::new(&hub::API_TOKEN_MADE).with("name", name).with("by", by);
        let change = Change::create(key(API_TOKENS, name), token.encode());
        self.store.commit(vec![change], vec![self.event(None, None, by, what)]).await?;
        Ok(text(name.as_str(), &secret))
    }

    /// Removes an API token; it is refused from now on. The last one of an admin stays.
    pub async fn remove_api_token(&self, name: &Name, by: &str) -> Result<(), ApiTokenError> {
        let _changing = self.changing.lock().await;
        let known = self.api_tokens().await?;
        let Some((_, token, revision)) = known.iter().find(|(other, ..)| other == name) else {
            return Err(ApiTokenError::NotFound { name: name.clone() });
        };
        let endless_admin = |token: &ApiToken| role_of(token.role) == Role::Admin && token.expires.is_none();
        let others = known.iter().any(|(other, token, _)| other != name && endless_admin(token));
        if endless_admin(token) && !others {
            return Err(ApiTokenError::LastAdmin);
        }
        let what = Fault::new(&hub::API_TOKEN_REMOVED).with("name", name).with("by", by);
        let change = Change::delete(key(API_TOKENS, name), Expect::Revision(*revision));
        self.store.commit(vec![change], vec![self.event(None, None, by, what)]).await?;
        Ok(())
    }

    /// At the first start, makes the first admin token and writes it to `file` with mode 0600; `None` when there are
    /// tokens already. The file comes first: a token that nobody can read would lock everybody out.
    pub async fn make_first_token(&self, file: &Path) -> Result<Option<String>, ApiTokenError> {
        if !self.api_tokens().await?.is_empty() {
            return Ok(None);
        }
        let secret = random::<32>()?;
        let text = text(FIRST, &secret);
        crate::secret_file::write(file, &format!("{text}\n"))?;
        let token = ApiToken { hash: hash(&secret), role: 2, expires: None, created: self.now(), by: String::new() };
        self.store.commit(vec![Change::create(format!("{API_TOKENS}{FIRST}"), token.encode())], Vec::new()).await?;
        Ok(Some(text))
    }
}

/// A lock nobody can poison for others.
pub(crate) fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_steps() {
        use Resource::{
            ApiTokens, Blobs, Budgets, Caller, Deployments, Events, Images, Logs, Metrics, Nodes, Publishers, Releases, Tokens,
        };
        let all =
            [Caller, Publishers, Blobs, Images, Releases, Deployments, Budgets, Nodes, Logs, Tokens, ApiTokens, Events, Metrics];
        let may = |role, verb| all.into_iter().filter(|resource| is_allowed(role, verb, *resource)).collect::<Vec<_>>();
        assert_eq!(
            may(Role::Viewer, Verb::Read),
            [Caller, Publishers, Blobs, Images, Releases, Deployments, Budgets, Nodes, Events, Metrics]
        );
        assert_eq!(may(Role::Viewer, Verb::Write), []);
        assert_eq!(may(Role::Operator, Verb::Read).len(), all.len() - 1, "all but API tokens");
        assert_eq!(may(Role::Operator, Verb::Write), [Blobs, Images, Releases, Deployments, Budgets, Nodes, Tokens]);
        assert_eq!((may(Role::Admin, Verb::Read).len(), may(Role::Admin, Verb::Write).len()), (all.len(), all.len()));
    }

    #[test]
    fn token_texts_round_trip_and_everything_else_is_none() {
        let name = Name::new("ci-1").expect("name");
        let text = text(name.as_str(), &[7; 32]);
        assert_eq!(parse(&text), Some((name, [7; 32])));
        let no_prefix = text.strip_prefix(PREFIX).expect("prefix");
        for bad in ["", "cwa1.", "cwa1.x", "cwa1.x.00", no_prefix, &format!("{text}0"), &text.replace("ci-1", "CI"), "é"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn role_numbers_round_trip() {
        for role in [Role::Viewer, Role::Operator, Role::Admin] {
            assert_eq!(role_of(role_number(role)), role);
        }
        assert_eq!(role_of(200), Role::Viewer);
    }
}
