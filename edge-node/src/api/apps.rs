//! Apps: what the report says about them, and what an operator tells them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use shared::fault::{Fault, node};
use shared::id::Name;
use shared::report::{AppReport, Report};

use super::Api;
use super::port::{Command, Node, Target};
use super::problem::{Answer, Path, Problem};

pub async fn list<N: Node>(State(api): State<Api<N>>) -> Json<Vec<AppReport>> {
    Json(api.node.report().apps.clone())
}

/// What may be done with an app or a service.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    Start,
    Stop,
    Restart,
}

impl Verb {
    const fn command(self, target: Target) -> Command {
        match self {
            Self::Start => Command::Start(target),
            Self::Stop => Command::Stop(target),
            Self::Restart => Command::Restart(target),
        }
    }
}

pub async fn app<N: Node>(State(api): State<Api<N>>, Path((app, verb)): Path<(Name, Verb)>) -> Answer<StatusCode> {
    find(&api.node.report(), &app, None)?;
    api.command(verb.command(Target { app, service: None })).await
}

pub async fn service<N: Node>(
    State(api): State<Api<N>>,
    Path((app, service, verb)): Path<(Name, Name, Verb)>,
) -> Answer<StatusCode> {
    find(&api.node.report(), &app, Some(&service))?;
    api.command(verb.command(Target { app, service: Some(service) })).await
}

/// Says so when the report has no such app or service.
pub fn find(report: &Report, app: &Name, service: Option<&Name>) -> Answer<()> {
    let Some(found) = report.apps.iter().find(|found| found.app == *app) else {
        return Err(Problem::not_found(Fault::new(&node::APP_NOT_FOUND).with("app", app)));
    };
    let Some(service) = service else { return Ok(()) };
    if found.services.iter().any(|found| found.service == *service) {
        return Ok(());
    }
    let names: Vec<&str> = found.services.iter().map(|found| found.service.as_str()).collect();
    let fault = Fault::new(&node::SERVICE_NOT_FOUND).with("app", app).with("service", service).with("services", names.join(", "));
    Err(Problem::not_found(fault))
}
