//! Which nodes a deployment, a prefetch or a budget is for.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use shared::fault::{Fault, cli};

use super::super::args::Nodes;
use super::super::client::Client;
use super::super::error::CliError;
use super::super::kinds::{self, Kind, shown};
use crate::api::types::{Metadata, Selector, Target};

/// As much as is needed of an object that has a target.
#[derive(Deserialize)]
struct Aimed {
    metadata: Metadata,
    spec: Aim,
}

#[derive(Deserialize)]
struct Aim {
    target: Target,
}

/// What the command line says, if it says it.
pub(super) fn asked(nodes: &Nodes) -> Result<Option<Target>, CliError> {
    if nodes.all_nodes {
        return Ok(Some(Target::Selector(Selector::default())));
    }
    if let Some(text) = &nodes.selector {
        return Ok(Some(Target::Selector(Selector { match_labels: equalities(text)? })));
    }
    let names: BTreeSet<_> = nodes.node.iter().map(|node| kinds::name(node)).collect::<Result<_, _>>()?;
    Ok((!names.is_empty()).then_some(Target::Nodes(names)))
}

/// What was asked for, or the target of the object that is there: its revision makes sure that it is the one that was looked
/// at.
pub(super) async fn target(
    client: &Client,
    kind: Kind,
    name: &str,
    asked: Option<Target>,
) -> Result<(Target, Option<u64>), CliError> {
    if let Some(target) = asked {
        return Ok((target, None));
    }
    match client.get::<Aimed>(kind.single(name)?).await {
        Ok(found) => Ok((found.spec.target, Some(found.metadata.revision))),
        Err(error) if error.is_not_found() => Err(CliError::Usage(Fault::new(&cli::NO_TARGET).with("name", name))),
        Err(error) => Err(error.into()),
    }
}

/// `site=north,role==gate`: what labels can select by.
fn equalities(text: &str) -> Result<BTreeMap<String, String>, CliError> {
    let bad = |part: &str| CliError::Usage(Fault::new(&cli::BAD_SELECTOR).with("part", shown(part)));
    let one = |part: &str| {
        let (key, value) = part.split_once("==").or_else(|| part.split_once('=')).ok_or_else(|| bad(part))?;
        let (key, value) = (key.trim(), value.trim());
        let fits = crate::nodes::check_label(key, value).is_ok();
        if fits { Ok((key.to_owned(), value.to_owned())) } else { Err(bad(part)) }
    };
    text.split(',').map(|part| one(part.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_of_deployments_are_equalities() {
        for (text, expected) in [
            ("site=north", Some(&[("site", "north")][..])),
            ("site==north, role=", Some(&[("role", ""), ("site", "north")])),
            ("site!=north", None),
            ("gpu", None),
            ("!old", None),
            ("", None),
            ("a=b,", None),
            ("a b=c", None),
        ] {
            let found = equalities(text).ok();
            let expected: Option<BTreeMap<String, String>> =
                expected.map(|pairs| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
