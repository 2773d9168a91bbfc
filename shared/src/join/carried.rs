//! A node's request to join and the hub's answer, in files for a person to carry where no link reaches.
//!
//! ```text
//! line 1    what it is: "causeway/join-request/v1" or "causeway/join-answer/v1"
//! rest      JSON: the body of POST /api/v1/enroll, or of its answer
//! ```
//!
//! Neither holds a secret: the request shows a [`proof`](super::proof), and the answer is a certificate for a key that
//! never left the node. Nobody on the way can change the answer: it has a [`seal`](fn@super::seal).

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fault::{Fault, Faulty, trust};

/// Most bytes of either file: two certificates and 64 keys have about 10 KiB.
pub const CARRIED_MAX: u64 = 64 << 10;

/// Which of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// What the node asks.
    Request,
    /// What the hub answers.
    Answer,
}

/// Why bytes are not the file that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CarriedError {
    /// Something else was brought.
    #[error("it does not begin with {:?}", .0.format())]
    Other(Carried),
    /// Its body cannot be read.
    #[error("damaged: {0}")]
    Damaged(String),
}

impl Faulty for CarriedError {
    fn fault(&self) -> Fault {
        match self {
            Self::Other(Carried::Request) => Fault::new(&trust::NOT_A_JOIN_REQUEST),
            Self::Other(Carried::Answer) => Fault::new(&trust::NOT_A_JOIN_ANSWER),
            Self::Damaged(cause) => Fault::new(&trust::JOIN_FILE_DAMAGED).with("cause", cause),
        }
    }
}

impl Carried {
    const fn format(self) -> &'static str {
        match self {
            Self::Request => "causeway/join-request/v1\n",
            Self::Answer => "causeway/join-answer/v1\n",
        }
    }

    /// The file.
    ///
    /// # Errors
    /// `body` is nothing that JSON can hold.
    pub fn to_bytes(self, body: &impl Serialize) -> Result<Vec<u8>, CarriedError> {
        let json = serde_json::to_vec_pretty(body).map_err(|error| CarriedError::Damaged(error.to_string()))?;
        Ok([self.format().as_bytes(), &json, b"\n"].concat())
    }

    /// The body of a file that [`to_bytes`](Self::to_bytes) wrote. Says nothing about trust.
    ///
    /// # Errors
    /// It is something else, damaged, or of a newer version.
    pub fn from_bytes<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, CarriedError> {
        let json = bytes.strip_prefix(self.format().as_bytes()).ok_or(CarriedError::Other(self))?;
        serde_json::from_slice(json).map_err(|error| CarriedError::Damaged(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_stable_and_told_from_everything_else() {
        let file = Carried::Request.to_bytes(&["a"]).expect("JSON");
        assert_eq!(file, b"causeway/join-request/v1\n[\n  \"a\"\n]\n");
        assert!(Carried::Answer.to_bytes(&1).expect("JSON").starts_with(b"causeway/join-answer/v1\n"));
        assert_eq!(Carried::Request.from_bytes(&file), Ok([String::from("a")]));
        assert_eq!(Carried::Answer.from_bytes::<[String; 1]>(&file), Err(CarriedError::Other(Carried::Answer)));
        for length in 0..file.len() - 1 {
            let error = Carried::Request.from_bytes::<[String; 1]>(&file[..length]).unwrap_err();
            assert_eq!(error == CarriedError::Other(Carried::Request), length < 25, "{length}: {error}");
        }
    }
}
