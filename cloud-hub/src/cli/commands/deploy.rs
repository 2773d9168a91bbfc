//! `hubctl deploy`, `prefetch`, `rollback`, `undeploy`.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::Value;
use shared::fault::{Fault, cli};
use shared::id::Name;

use super::super::args::{Deploy, Format, Output, Patience, Prefetch, Rollback, Undeploy};
use super::super::client::{Client, Target as Path};
use super::super::error::CliError;
use super::super::kinds::{self, Kind, ReleaseName, shown};
use super::super::session::{Session, time};
use super::super::show::Shape;
use super::wait::{self, Condition};
use crate::api::types::{self, Deployment, NewDeployment, Release, Selector, Target};

pub(super) async fn deploy(session: &mut Session, args: &Deploy) -> Result<(), CliError> {
    let patience = time(&args.patience.timeout, "--timeout")?;
    let asked = target(&args.node, args.selector.as_deref(), args.all_nodes)?;
    let release = kinds::release(&args.release)?;
    let client = session.client()?;
    let (app, release) = named(&client, release).await?;
    let name = args.name.clone().unwrap_or_else(|| app.to_string());
    let path = Kind::Deployments.single(&name)?;
    let (target, seen) = match asked {
        Some(target) => (target, None),
        None => same_target(&client, &name).await?,
    };
    let body = NewDeployment { app, release, target, run: !args.stopped, prefetch: false, redeploy: args.redeploy };
    let (object, _): (Value, _) = client.change(Method::PUT, path, seen, &body).await?;
    finish(session, &client, &object, &args.patience, patience, args.output).await
}

pub(super) async fn prefetch(session: &mut Session, args: &Prefetch) -> Result<(), CliError> {
    let patience = time(&args.patience.timeout, "--timeout")?;
    let asked = target(&args.node, args.selector.as_deref(), args.all_nodes)?;
    let release = kinds::release(&args.release)?;
    let client = session.client()?;
    let (app, release) = named(&client, release).await?;
    let name = args.name.clone().unwrap_or_else(|| format!("{app}-prefetch"));
    let path = Kind::Deployments.single(&name)?;
    let (target, seen) = match asked {
        Some(target) => (target, None),
        None => same_target(&client, &name).await?,
    };
    let body = NewDeployment { app, release, target, run: false, prefetch: true, redeploy: false };
    let (object, _): (Value, _) = client.change(Method::PUT, path, seen, &body).await?;
    finish(session, &client, &object, &args.patience, patience, args.output).await
}

/// The app of a release, and how the hub finds it there.
async fn named(client: &Client, release: ReleaseName) -> Result<(Name, String), CliError> {
    match release {
        ReleaseName::Version(app, version) => Ok((app, version)),
        ReleaseName::Id(id) => {
            let found: Release = client.get(Kind::Releases.single(&id.to_string())?).await?;
            Ok((found.spec.app, id.to_string()))
        }
    }
}

/// Where it shall go, if the command line says so.
pub(super) fn target(nodes: &[String], selector: Option<&str>, all_nodes: bool) -> Result<Option<Target>, CliError> {
    if all_nodes {
        return Ok(Some(Target::Selector(Selector::default())));
    }
    if let Some(text) = selector {
        return Ok(Some(Target::Selector(Selector { match_labels: equalities(text)? })));
    }
    let nodes: BTreeSet<_> = nodes.iter().map(|node| kinds::name(node)).collect::<Result<_, _>>()?;
    Ok((!nodes.is_empty()).then_some(Target::Nodes(nodes)))
}

/// `site=north,role==gate`: what a deployment can select by.
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

/// A deployment that is there keeps its target; the revision makes sure that it is the one that was looked at.
async fn same_target(client: &Client, name: &str) -> Result<(Target, Option<u64>), CliError> {
    match client.get::<Deployment>(Kind::Deployments.single(name)?).await {
        Ok(found) => Ok((found.spec.target, Some(found.metadata.revision))),
        Err(error) if error.is_not_found() => Err(CliError::Usage(Fault::new(&cli::NO_TARGET).with("name", name))),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn rollback(session: &mut Session, args: &Rollback) -> Result<(), CliError> {
    let patience = time(&args.patience.timeout, "--timeout")?;
    kinds::name(&args.deployment)?;
    let client = session.client()?;
    let path = Path::new(&["deployments", &args.deployment, "rollback"]);
    let body = types::Rollback { to: args.to.clone() };
    let (object, _): (Value, _) = client.change(Method::POST, path, None, &body).await?;
    finish(session, &client, &object, &args.patience, patience, args.output).await
}

/// Says what was done, and waits for it if asked to.
async fn finish(
    session: &mut Session,
    client: &Client,
    object: &Value,
    patience: &Patience,
    timeout: std::time::Duration,
    output: Output,
) -> Result<(), CliError> {
    let deployment: Deployment = serde_json::from_value(object.clone()).map_err(|error| client.bad_answer(error))?;
    match output.format {
        Format::Table | Format::Wide => {
            let (spec, status) = (&deployment.spec, &deployment.status);
            let text = if spec.prefetch { &cli::PREFETCHED } else { &cli::DEPLOYED };
            let fault = Fault::new(text)
                .with("name", &deployment.metadata.name)
                .with("release", format_args!("{}@{}", spec.app, spec.version))
                .with("nodes", status.nodes)
                .with("revision", spec.revision);
            session.out.say(&fault)?;
        }
        Format::Json | Format::Yaml | Format::Name => {
            Shape::new(session, Kind::Deployments, output.format, true).one(session, object)?;
        }
    }
    if !patience.wait {
        return Ok(());
    }
    wait::until(session, client, Kind::Deployments, &deployment.metadata.name, Condition::Ready, timeout).await
}

pub(super) async fn undeploy(session: &mut Session, args: &Undeploy) -> Result<(), CliError> {
    session.client()?.delete(Kind::Deployments.single(&args.deployment)?).await?;
    Ok(session.out.say(&Fault::new(&cli::UNDEPLOYED).with("name", &args.deployment))?)
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
