//! Contexts: the hubs an operator knows, each with its pinned CA and an API token.
//!
//! They stand in `$XDG_CONFIG_HOME/causeway/hubctl.toml` (else `~/.config/…`), mode 0600. For one command,
//! `CAUSEWAY_CONTEXT` or `--context` chooses another one, and `CAUSEWAY_SERVER`, `CAUSEWAY_CA_FINGERPRINT` and
//! `CAUSEWAY_TOKEN` replace a part of it, so that a pipeline needs no file at all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use reqwest::Url;
use serde::{Deserialize, Serialize};
use shared::fault::{Fault, Faulty, cli};
use shared::id::Digest;
use shared::people::Exit;

use super::env::Env;
use super::files::{self, FileError, Privacy};

/// Largest file of contexts, in bytes.
const FILE_MAX: u64 = 1 << 20;
/// The one version of the file that this build reads.
const VERSION: u32 = 1;
/// Longest API token, in bytes.
const TOKEN_MAX: usize = 1024;

/// One hub.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Its address: `https://host:port`.
    pub server: String,
    /// sha256 of its CA certificate in DER.
    pub ca: Digest,
    /// The API token.
    pub token: String,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("server", &self.server).field("ca", &self.ca).finish_non_exhaustive()
    }
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    /// Of the file.
    version: u32,
    /// The name of the one that is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// By name.
    #[serde(default)]
    pub contexts: BTreeMap<String, Context>,
}

impl Default for Contexts {
    fn default() -> Self {
        Self { version: VERSION, current: None, contexts: BTreeMap::new() }
    }
}

/// Why the hub is not known well enough.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The file failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not what was written.
    #[error("{path}: {cause}")]
    Damaged {
        /// Which.
        path: String,
        /// What is wrong with it.
        cause: String,
    },
    /// No place for the file.
    #[error("no home")]
    NoHome,
    /// None is chosen.
    #[error("no context")]
    None,
    /// There is none of this name.
    #[error("no context {name}")]
    Unknown {
        /// The name.
        name: String,
        /// Those there are.
        known: String,
    },
    /// Nobody said which CA to trust.
    #[error("no fingerprint for {server}")]
    NoPin {
        /// Whose.
        server: String,
    },
    /// Nobody gave a token.
    #[error("no token for {server}")]
    NoToken {
        /// For whom.
        server: String,
    },
    /// The token cannot be one.
    #[error("empty token")]
    EmptyToken,
    /// No address of a hub.
    #[error("{url:?} is no address of a hub")]
    BadUrl {
        /// What was given.
        url: String,
    },
    /// No fingerprint.
    #[error("{text:?} is no fingerprint")]
    BadFingerprint {
        /// What was given.
        text: String,
    },
}

impl Faulty for ContextError {
    fn fault(&self) -> Fault {
        match self {
            Self::File(error) => error.fault(),
            Self::Damaged { path, cause } => Fault::new(&cli::CONFIG_DAMAGED).with("path", path).with("cause", cause),
            Self::NoHome => Fault::new(&cli::NO_HOME),
            Self::None => Fault::new(&cli::NO_CONTEXT),
            Self::Unknown { name, known } => Fault::new(&cli::CONTEXT_UNKNOWN).with("name", name).with("known", known),
            Self::NoPin { server } => Fault::new(&cli::NO_PIN).with("server", server),
            Self::NoToken { server } => Fault::new(&cli::NO_TOKEN).with("server", server),
            Self::EmptyToken => Fault::new(&cli::EMPTY_TOKEN),
            Self::BadUrl { url } => Fault::new(&cli::BAD_URL).with("url", url),
            Self::BadFingerprint { text } => Fault::new(&cli::BAD_FINGERPRINT).with("text", text),
        }
    }
}

impl ContextError {
    /// What the shell is told.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Unknown { .. } => Exit::NotFound,
            Self::NoToken { .. } | Self::NoPin { .. } => Exit::Denied,
            Self::None | Self::BadUrl { .. } | Self::BadFingerprint { .. } | Self::EmptyToken => Exit::Usage,
            Self::File(_) | Self::Damaged { .. } | Self::NoHome => Exit::Error,
        }
    }
}

/// The directory of `hubctl`'s own files.
pub(super) fn directory(env: &Env) -> Result<PathBuf, ContextError> {
    let absolute = |name: &str, below: &str| {
        let path = PathBuf::from(env.var(name)?);
        path.is_absolute().then(|| path.join(below))
    };
    absolute("XDG_CONFIG_HOME", "causeway").or_else(|| absolute("HOME", ".config/causeway")).ok_or(ContextError::NoHome)
}

fn file(env: &Env) -> Result<PathBuf, ContextError> {
    Ok(directory(env)?.join("hubctl.toml"))
}

impl Contexts {
    /// Reads the file; none is an empty one.
    pub(super) fn load(env: &Env) -> Result<Self, ContextError> {
        let path = file(env)?;
        match files::read(&path, FILE_MAX, Privacy::Secret) {
            Ok(text) => parse(&path, &text),
            Err(error) if error.is_missing() => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the file.
    pub(super) fn save(&self, env: &Env) -> Result<(), ContextError> {
        let path = file(env)?;
        let damaged =
            |error: toml::ser::Error| ContextError::Damaged { path: path.display().to_string(), cause: error.to_string() };
        let text = toml::to_string(self).map_err(damaged)?;
        Ok(files::write_secret(&path, &text)?)
    }

    /// The context of that name.
    pub(super) fn named(&self, name: &str) -> Result<&Context, ContextError> {
        let known = || self.contexts.keys().cloned().collect::<Vec<_>>().join(", ");
        self.contexts.get(name).ok_or_else(|| ContextError::Unknown { name: name.to_owned(), known: known() })
    }

    /// The pin of a server that some context knows.
    pub(super) fn pin_of(&self, server: &str) -> Option<Digest> {
        self.contexts.values().find(|context| context.server == server).map(|context| context.ca)
    }
}

fn parse(path: &Path, text: &str) -> Result<Contexts, ContextError> {
    let damaged = |cause: String| ContextError::Damaged { path: path.display().to_string(), cause };
    // The whole error of the parser shows the line, which may hold a token.
    let contexts: Contexts = toml::from_str(text).map_err(|error| damaged(error.message().to_owned()))?;
    if contexts.version != VERSION {
        return Err(damaged(format!("version {} is not known here", contexts.version)));
    }
    Ok(contexts)
}

/// The hub of one command, from flags, environment and file, in this order.
pub(super) fn choose(env: &Env, flag_context: Option<&str>, flag_server: Option<&str>) -> Result<Context, ContextError> {
    let server = flag_server.or_else(|| env.var("CAUSEWAY_SERVER")).map(server).transpose()?;
    let pin = env.var("CAUSEWAY_CA_FINGERPRINT").map(fingerprint).transpose()?;
    let token = env.var("CAUSEWAY_TOKEN").map(token).transpose()?;
    if let (Some(server), Some(ca), Some(token)) = (&server, pin, &token) {
        return Ok(Context { server: server.clone(), ca, token: token.clone() });
    }
    let contexts = Contexts::load(env)?;
    let name = flag_context.or_else(|| env.var("CAUSEWAY_CONTEXT")).or(contexts.current.as_deref());
    let stored = name.map(|name| contexts.named(name)).transpose()?;
    let Some(server) = server.or_else(|| stored.map(|stored| stored.server.clone())) else { return Err(ContextError::None) };
    // A token and a pin belong to one server; they are never shown to another one.
    let stored = stored.filter(|stored| stored.server == server);
    let Some(ca) = pin.or(stored.map(|stored| stored.ca)) else { return Err(ContextError::NoPin { server }) };
    let Some(token) = token.or_else(|| stored.map(|stored| stored.token.clone())) else {
        return Err(ContextError::NoToken { server });
    };
    Ok(Context { server, ca, token })
}

/// The address of a hub in its normal form: `https://host:port`, no path.
pub(super) fn server(text: &str) -> Result<String, ContextError> {
    let bad = || ContextError::BadUrl { url: text.chars().take(120).collect() };
    let full = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = Url::parse(&full).map_err(|_| bad())?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let nobody = url.username().is_empty() && url.password().is_none();
    if url.scheme() != "https" || url.host().is_none() || !bare || !nobody {
        return Err(bad());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// A fingerprint; upper case and colons, as other tools print them, are accepted.
pub(super) fn fingerprint(text: &str) -> Result<Digest, ContextError> {
    // OpenSSL writes `sha256 Fingerprint=AB:CD:…`.
    let text = text.rsplit('=').next().unwrap_or(text);
    let plain: String = text.trim().to_ascii_lowercase();
    let digits = plain.strip_prefix("sha256:").unwrap_or(&plain).replace(':', "");
    let bad = |_| ContextError::BadFingerprint { text: text.chars().take(120).collect() };
    format!("sha256:{digits}").parse().map_err(bad)
}

/// An API token as somebody pasted it.
pub(super) fn token(text: &str) -> Result<String, ContextError> {
    let token = text.trim();
    let good = (1..=TOKEN_MAX).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic());
    if good { Ok(token.to_owned()) } else { Err(ContextError::EmptyToken) }
}

#[cfg(test)]
mod tests;
