//! What an author should know although nothing is wrong.

use super::super::{App, Condition, Mount, NetworkMode, Restart, Service};
use super::{Finding, Findings, image};
use crate::fault::{Fault, manifest as m};
use crate::id::Name;

/// Notices about `app`, as findings.
pub(in crate::manifest) fn notices(app: &App) -> Vec<Finding> {
    let mut findings = Findings::default();
    let f = &mut findings;
    for (name, service) in &app.spec.services {
        let path = format!("spec.services.{name}");
        if service.restart == Restart::No && !is_awaited(app, name) {
            f.add(&path, Fault::new(&m::NOTICE_NO_RESTART).with("service", name));
        }
        if image::is_floating(&service.image) {
            f.add(format!("{path}.image"), Fault::new(&m::NOTICE_FLOATING).with("image", &service.image));
        }
        privileges(f, &path, service);
    }
    for name in app.spec.secrets.keys() {
        let fault = Fault::new(&m::NOTICE_SECRET).with("app", &app.metadata.name).with("name", name);
        f.add(format!("spec.secrets.{name}"), fault);
    }
    findings.0
}

/// Whether another service waits for this one to end: then it is meant to.
fn is_awaited(app: &App, name: &Name) -> bool {
    app.spec.services.values().any(|service| service.depends_on.get(name) == Some(&Condition::ServiceCompletedSuccessfully))
}

/// What the site policy has the last word on.
fn privileges(f: &mut Findings, path: &str, service: &Service) {
    let policy = |what: String| Fault::new(&m::NOTICE_POLICY).with("what", what);
    for (n, mount) in service.volumes.iter().enumerate() {
        match mount {
            Mount::Bind { source, .. } => f.add(format!("{path}.volumes[{n}]"), policy(source.clone())),
            Mount::Volume { .. } | Mount::Tmpfs { .. } => {}
        }
    }
    for (n, device) in service.devices.iter().enumerate() {
        f.add(format!("{path}.devices[{n}]"), policy(device.source.clone()));
    }
    if !service.cap_add.is_empty() {
        f.add(format!("{path}.cap_add"), policy(format!("cap_add {}", service.cap_add.join(", "))));
    }
    if service.network_mode == NetworkMode::Host {
        f.add(format!("{path}.network_mode"), policy("network_mode: host".into()));
    }
}
