//! `ps`, `start`, `stop`, `restart`.

use bytes::Bytes;
use hyper::Method;
use shared::fault::{Fault, Lang, Text, cli};
use shared::people::{self, Table};
use shared::report::{AppReport, ServiceReport};

use super::args::TargetArgs;
use super::client::Client;
use super::exit::Ended;
use super::out::Out;
use crate::api::Status;

pub async fn ps(client: &Client, out: &mut Out) -> Result<(), Ended> {
    let apps: Vec<AppReport> = client.get("/v1/apps").await?;
    if out.is_json() {
        return out.json(&apps);
    }
    // `since_ms` counts from boot, and so does this.
    let now = client.get::<Status>("/v1/status").await?.uptime_ms;
    let lang = out.lang();
    let mut table = match lang {
        Lang::En => Table::new(["APP", "VERSION", "STATE", "SERVICE", "STATE", "HEALTH", "RESTARTS", "UP", "LAST GOOD"]),
        Lang::Zh => Table::new(["应用", "版本", "状态", "服务", "状态", "健康", "重启", "已运行", "上一个正常"]),
    };
    for app in &apps {
        let good = app.good.as_ref().map_or("-", |good| good.version.as_str());
        let head = [app.app.to_string(), app.version.clone(), people::phase(app.phase, lang).into()];
        if app.services.is_empty() {
            let [name, version, phase] = head.clone();
            table.row([name, version, phase, "-".into(), "-".into(), "-".into(), "-".into(), "-".into(), good.into()]);
        }
        for service in &app.services {
            let [name, version, phase] = head.clone();
            let [state, health, restarts, up] = cells(service, now, lang);
            table.row([name, version, phase, service.service.to_string(), state, health, restarts, up, good.into()]);
        }
    }
    out.table(&mut table)?;
    for (app, fault) in apps.iter().filter_map(|app| Some((app, app.fault.as_ref()?))) {
        out.warn(&format!("{}: ", app.app), fault)?;
    }
    Ok(())
}

fn cells(service: &ServiceReport, now: u64, lang: Lang) -> [String; 4] {
    let state = match (service.pid, service.exit) {
        (0, Some(code)) => format!("{} ({code}{})", people::state(service.state, lang), if service.oom { " OOM" } else { "" }),
        _ => people::state(service.state, lang).into(),
    };
    let up = if service.pid == 0 { "-".into() } else { people::age(now.saturating_sub(service.since_ms) / 1000, lang) };
    [state, people::health(service.health, lang).into(), service.restarts.to_string(), up]
}

/// What may be told about an app or a service.
#[derive(Debug, Clone, Copy)]
pub enum Verb {
    Start,
    Stop,
    Restart,
}

impl Verb {
    /// As in the API, and what to say when it is done.
    const fn words(self) -> (&'static str, &'static Text) {
        match self {
            Self::Start => ("start", &cli::STARTED),
            Self::Stop => ("stop", &cli::STOPPED),
            Self::Restart => ("restart", &cli::RESTARTING),
        }
    }
}

pub async fn tell(verb: Verb, target: TargetArgs, client: &Client, out: &mut Out) -> Result<(), Ended> {
    let TargetArgs { app, service } = target;
    let (verb, said) = verb.words();
    let (path, what, target) = match service {
        Some(service) => (format!("{app}/services/{service}"), format!("{app}/{service}"), format!("{app} {service}")),
        None => (app.to_string(), app.to_string(), app.to_string()),
    };
    client.send(Method::POST, &format!("/v1/apps/{path}/{verb}"), Bytes::new()).await?;
    out.say(&Fault::new(said).with("what", what).with("target", target))
}
