//! MQTT topics: the only place where topic text is written, both ways.
//!
//! A node has exactly one downlink filter and three uplinks, all named by its identity:
//!
//! | topic | direction | QoS | carries |
//! |---|---|---|---|
//! | `causeway/v1/n/<node>/d` | hub → node | 0 | [`crate::wire::v1::Down`] |
//! | `causeway/v1/n/<node>/s` | node → hub | 1 | hello and reports |
//! | `causeway/v1/n/<node>/r` | node → hub | 0 | requests for blobs |
//! | `causeway/v1/n/<node>/e` | node → hub | 1 | journal events, log pieces |
//!
//! ```
//! use shared::topic::{Topic, Channel};
//! let topic = Topic { node: "crane-7".parse()?, channel: Channel::State };
//! assert_eq!(topic.to_string(), "causeway/v1/n/crane-7/s");
//! assert_eq!("causeway/v1/n/crane-7/s".parse(), Ok(topic));
//! # Ok::<(), shared::id::BadName>(())
//! ```

use std::fmt;
use std::str::FromStr;

use crate::id::Name;

const PREFIX: &str = "causeway/v1/n/";

/// The topic the hub speaks to itself on, to see that its broker is alive. No client may publish or subscribe to it.
pub const PROBE: &str = "causeway/v1/probe";

/// What a topic carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Everything from hub to node.
    Down,
    /// Hello and reports.
    State,
    /// Requests for blobs.
    Request,
    /// Journal events and log pieces.
    Event,
}

impl Channel {
    const ALL: [Self; 4] = [Self::Down, Self::State, Self::Request, Self::Event];

    const fn letter(self) -> &'static str {
        match self {
            Self::Down => "d",
            Self::State => "s",
            Self::Request => "r",
            Self::Event => "e",
        }
    }
}

/// A node's topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Topic {
    /// Whose.
    pub node: Name,
    /// Which.
    pub channel: Channel,
}

/// The text is not a topic of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a topic of a node")]
pub struct NotATopic;

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}/{}", self.node, self.channel.letter())
    }
}

impl FromStr for Topic {
    type Err = NotATopic;
    fn from_str(text: &str) -> Result<Self, NotATopic> {
        let (node, letter) = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('/')).ok_or(NotATopic)?;
        let channel = Channel::ALL.into_iter().find(|channel| channel.letter() == letter).ok_or(NotATopic)?;
        Ok(Self { node: Name::new(node).map_err(|_| NotATopic)?, channel })
    }
}

/// May the node `identity` publish to `topic`? Exact comparison; there is nothing to match.
pub fn node_may_publish(identity: &Name, topic: &str) -> Option<Channel> {
    let topic: Topic = topic.parse().ok()?;
    (topic.node == *identity && topic.channel != Channel::Down).then_some(topic.channel)
}

/// May the node `identity` subscribe to `filter`? Only to its own downlink.
pub fn node_may_subscribe(identity: &Name, filter: &str) -> bool {
    filter.parse() == Ok(Topic { node: identity.clone(), channel: Channel::Down })
}

/// May a client of the center subscribe to `filter`? Uplinks of one node or of all, nothing else.
pub fn center_may_subscribe(filter: &str) -> bool {
    let Some((node, letter)) = filter.strip_prefix(PREFIX).and_then(|rest| rest.split_once('/')) else { return false };
    let uplink = [Channel::State, Channel::Event].iter().any(|channel| channel.letter() == letter);
    uplink && (node == "+" || Name::new(node).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_speaks_and_hears_for_itself_only() {
        let me = Name::new("n1").expect("name");
        assert_eq!(node_may_publish(&me, "causeway/v1/n/n1/s"), Some(Channel::State));
        assert!(node_may_subscribe(&me, "causeway/v1/n/n1/d"));
        for topic in [
            "",
            "/",
            "#",
            "+",
            "causeway/v1/n/n1/d",
            "causeway/v1/n/n2/s",
            "causeway/v1/n/n1/s/",
            "causeway/v1/n//s",
            "causeway/v1/n/+/s",
            "causeway/v1/n/n1/+",
            "causeway/v1/n/n1/#",
            "é/x",
            "$share/g/causeway/v1/n/n1/s",
            "causeway/v1/n/n1/s\0",
            "causeway/v2/n/n1/s",
            "CAUSEWAY/v1/n/n1/s",
        ] {
            assert_eq!(node_may_publish(&me, topic), None, "{topic:?}");
            if topic != "causeway/v1/n/n1/d" {
                assert!(!node_may_subscribe(&me, topic), "{topic:?}");
            }
        }
    }

    #[test]
    fn the_center_reads_uplinks_only() {
        for (filter, may) in [
            ("causeway/v1/n/+/s", true),
            ("causeway/v1/n/n1/e", true),
            ("causeway/v1/n/+/d", false),
            ("causeway/v1/n/+/r", false),
            ("causeway/v1/n/#", false),
            ("#", false),
            ("$share/g/causeway/v1/n/+/s", false),
        ] {
            assert_eq!(center_may_subscribe(filter), may, "{filter}");
        }
    }
}
