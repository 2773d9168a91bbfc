//! `ps`, `start`, `stop`, `restart`.

use bytes::Bytes;
use hyper::Method;
use shared::fault::Lang;
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
        Lang::En => Table::new(["APP", "VERSION", "STATE", "SERVICE", "STATE", "HEALTH", "RESTARTS", "UP"]),
        Lang::Zh => Table::new(["应用", "版本", "状态", "服务", "状态", "健康", "重启", "已运行"]),
    };
    for app in &apps {
        let head = [app.app.to_string(), app.version.clone(), people::phase(app.phase, lang).into()];
        if app.services.is_empty() {
            let [name, version, phase] = head.clone();
            table.row([name, version, phase, "-".into(), "-".into(), "-".into(), "-".into(), "-".into()]);
        }
        for service in &app.services {
            let [name, version, phase] = head.clone();
            let [state, health, restarts, up] = cells(service, now, lang);
            table.row([name, version, phase, service.service.to_string(), state, health, restarts, up]);
        }
    }
    out.table(&mut table)?;
    for (app, fault) in apps.iter().filter_map(|app| Some((app, app.fault.as_ref()?))) {
        out.line(&format!("! {}: {} [{}]", app.app, fault.text(lang), fault.code))?;
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

pub async fn tell(verb: &str, target: TargetArgs, client: &Client) -> Result<(), Ended> {
    let path = match target.service {
        Some(service) => format!("/v1/apps/{}/services/{service}/{verb}", target.app),
        None => format!("/v1/apps/{}/{verb}", target.app),
    };
    client.send(Method::POST, &path, Bytes::new()).await
}
