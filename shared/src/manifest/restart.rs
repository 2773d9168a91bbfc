//! Restart policies, written as Compose's `restart` text.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens when a process ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Restart {
    /// Nothing (Compose's default).
    #[default]
    No,
    /// It starts again, whatever its exit code.
    Always,
    /// As `Always`; a stop by the operator is remembered in both cases.
    UnlessStopped,
    /// It starts again when its exit code is not 0.
    OnFailure {
        /// At most so many times in a row; without end when absent.
        attempts: Option<u32>,
    },
}

impl Restart {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl From<Restart> for String {
    fn from(restart: Restart) -> Self {
        match restart {
            Restart::No => "no".into(),
            Restart::Always => "always".into(),
            Restart::UnlessStopped => "unless-stopped".into(),
            Restart::OnFailure { attempts: None } => "on-failure".into(),
            Restart::OnFailure { attempts: Some(n) } => format!("on-failure:{n}"),
        }
    }
}

impl TryFrom<String> for Restart {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once(':') {
            None => match text.as_str() {
                "no" => Ok(Self::No),
                "always" => Ok(Self::Always),
                "unless-stopped" => Ok(Self::UnlessStopped),
                "on-failure" => Ok(Self::OnFailure { attempts: None }),
                _ => Err(format!("{text:?} is not no, always, unless-stopped, on-failure or on-failure:N")),
            },
            Some(("on-failure", n)) => match n.parse() {
                Ok(n) => Ok(Self::OnFailure { attempts: Some(n) }),
                Err(_) => Err(format!("{n:?} in {text:?} is not a number of attempts")),
            },
            Some(_) => Err(format!("{text:?}: only on-failure takes a number of attempts")),
        }
    }
}
