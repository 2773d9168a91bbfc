//! `hubctl node`: labels, and the end of a node.

use std::collections::BTreeMap;

use reqwest::Method;
use shared::fault::{Fault, cli};

use super::super::args::NodeCommand;
use super::super::client::Target;
use super::super::error::CliError;
use super::super::kinds::{Kind, name, pair};
use super::super::rows;
use super::super::session::Session;
use crate::api::types::{Node, NodePatch};

pub(super) async fn run(session: &mut Session, command: &NodeCommand) -> Result<(), CliError> {
    match command {
        NodeCommand::Label { node, labels } => {
            let patch = patch(labels)?;
            let target = Kind::Nodes.single(node)?;
            let (node, _): (Node, _) = session.client()?.change(Method::PATCH, target, None, &patch).await?;
            let labels = rows::labels(&node.metadata.labels);
            let labels = if labels.is_empty() { "-".to_owned() } else { labels };
            Ok(session.out.say(&Fault::new(&cli::NODE_LABELLED).with("name", node.metadata.name).with("labels", labels))?)
        }
        NodeCommand::Revoke { node } => {
            name(node)?;
            let _: Node = session.client()?.poke(Target::new(&["nodes", node, "revoke"])).await?;
            Ok(session.out.say(&Fault::new(&cli::NODE_REVOKED).with("name", node))?)
        }
        NodeCommand::Delete { node } => {
            session.client()?.delete(Kind::Nodes.single(node)?).await?;
            let word = Kind::Nodes.word(session.lang());
            Ok(session.out.say(&Fault::new(&cli::REMOVED).with("kind", word).with("name", node))?)
        }
    }
}

/// `key=value` sets, `key-` removes.
fn patch(labels: &[String]) -> Result<NodePatch, CliError> {
    let one = |text: &String| match text.strip_suffix('-').filter(|key| !key.is_empty() && !key.contains('=')) {
        Some(key) => Ok((key.to_owned(), None)),
        None => pair(text, "KEY=VALUE / KEY-").map(|(key, value)| (key.to_owned(), Some(value.to_owned()))),
    };
    let labels: BTreeMap<String, Option<String>> = labels.iter().map(one).collect::<Result<_, _>>()?;
    Ok(NodePatch { labels })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_set_and_removed() {
        let words: Vec<String> = ["site=north-", "old-", "empty="].map(str::to_owned).into();
        let patch = patch(&words).unwrap().labels;
        let get = |key: &str| patch[key].as_deref();
        assert_eq!((get("site"), get("old"), get("empty")), (Some("north-"), None, Some("")));
        for bad in ["site", "-", "=x"] {
            assert!(super::patch(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
