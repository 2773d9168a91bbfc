//! `hubctl deploy`, `prefetch`, `rollback`, `undeploy`.

use reqwest::Method;
use serde_json::Value;
use shared::fault::{Fault, cli};
use shared::id::Name;

use super::super::args::{Deploy, Format, Nodes, Output, Patience, Prefetch, Rollback, Undeploy};
use super::super::client::{Client, Target as Path};
use super::super::error::CliError;
use super::super::kinds::{self, Kind, ReleaseName};
use super::super::session::{Session, time};
use super::super::show::Shape;
use super::target::{asked, target};
use super::wait::{self, Condition};
use crate::api::types::{self, Deployment, NewDeployment, Release};

pub(super) async fn deploy(session: &mut Session, args: &Deploy) -> Result<(), CliError> {
    let Deploy { release, name, nodes, stopped, redeploy, patience, output } = args;
    let (way, name) = (Way { run: !stopped, prefetch: false, redeploy: *redeploy }, name.as_deref());
    apply(session, release, name, nodes, way, patience, *output).await
}

pub(super) async fn prefetch(session: &mut Session, args: &Prefetch) -> Result<(), CliError> {
    let Prefetch { release, name, nodes, patience, output } = args;
    let (way, name) = (Way { run: false, prefetch: true, redeploy: false }, name.as_deref());
    apply(session, release, name, nodes, way, patience, *output).await
}

/// In what way a release goes to nodes.
struct Way {
    run: bool,
    prefetch: bool,
    redeploy: bool,
}

async fn apply(
    session: &mut Session,
    release: &str,
    name: Option<&str>,
    nodes: &Nodes,
    Way { run, prefetch, redeploy }: Way,
    patience: &Patience,
    output: Output,
) -> Result<(), CliError> {
    let timeout = time(&patience.timeout, "--timeout")?;
    let asked = asked(nodes)?;
    let release = kinds::release(release)?;
    let client = session.client()?;
    let (app, release) = named(&client, release).await?;
    let suffix = if prefetch { "-prefetch" } else { "" };
    let name = name.map_or_else(|| format!("{app}{suffix}"), str::to_owned);
    let path = Kind::Deployments.single(&name)?;
    let (target, seen) = target(&client, Kind::Deployments, &name, asked).await?;
    let body = NewDeployment { app, release, target, run, prefetch, redeploy };
    let (object, _): (Value, _) = client.change(Method::PUT, path, seen, &body).await?;
    finish(session, &client, &object, patience, timeout, output).await
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
