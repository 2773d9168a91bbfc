//! Why a session ended, in words for people.

use std::error::Error;
use std::io;

use rumqttc::ConnectionError;
use shared::fault::{Fault, Faulty, link};

use super::{MqttConfig, STALL};

/// Why a session ended.
#[derive(Debug)]
pub enum Lost {
    /// It never began.
    Unreachable(String),
    /// The hub does not want us.
    Refused(String),
    /// Who answered is not the hub.
    Untrusted(String),
    /// It broke.
    Broken(String),
    /// No packet came for 2.5 keep-alives.
    Silent,
    /// The node did not take a message.
    Stalled,
}

impl Lost {
    /// Reads the client's error; `was_online` tells a broken session from one that never began.
    pub fn from_error(error: &ConnectionError, was_online: bool) -> Self {
        let text = chain(error);
        match (tls_error(error), error) {
            (Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented), _) => Self::Untrusted(text),
            (Some(rustls::Error::AlertReceived(_)), _) | (_, ConnectionError::ConnectionRefused(_)) => Self::Refused(text),
            _ if was_online => Self::Broken(text),
            _ => Self::Unreachable(text),
        }
    }

    /// The error with the place it is about.
    pub const fn at(self, config: &MqttConfig) -> LostAt<'_> {
        LostAt { why: self, config }
    }
}

/// A lost session of this configuration.
#[derive(Debug, thiserror::Error)]
#[error("the session with {} ended", config.address)]
pub struct LostAt<'a> {
    why: Lost,
    config: &'a MqttConfig,
}

impl Faulty for LostAt<'_> {
    fn fault(&self) -> Fault {
        let fault = match &self.why {
            Lost::Unreachable(cause) => Fault::new(&link::UNREACHABLE).with("cause", cause),
            Lost::Refused(cause) => Fault::new(&link::REFUSED).with("cause", cause),
            Lost::Untrusted(cause) => Fault::new(&link::UNTRUSTED).with("cause", cause),
            Lost::Broken(cause) => Fault::new(&link::LOST).with("cause", cause),
            Lost::Silent => Fault::new(&link::SILENT).with("seconds", self.config.silence().as_secs()),
            Lost::Stalled => Fault::new(&link::STALLED).with("seconds", STALL.as_secs()),
        };
        fault.with("hub", &self.config.address)
    }
}

/// The TLS error among the causes.
fn tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    std::iter::successors(Some(error), |&error| cause_of(error)).find_map(|error| error.downcast_ref())
}

/// The next cause; `io::Error` hides its own behind `get_ref`.
fn cause_of<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(hidden) => Some(hidden),
        None => error.source(),
    }
}

/// An error with its causes, outermost first, each said once.
fn chain(error: &(dyn Error + 'static)) -> String {
    std::iter::successors(error.source(), |&cause| cause.source()).fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.contains(&cause) { text } else { format!("{text}: {cause}") }
    })
}
