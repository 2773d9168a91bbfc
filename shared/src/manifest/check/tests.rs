//! Normal forms that no reader made: what arrives in a release.

use super::super::{Config, Limits, Mount, Probe, Restart, Secret, read};
use super::*;

const TEXT: &str = r#"
apiVersion: causeway/v1
kind: App
metadata: {name: a, version: "1"}
spec:
  services:
    web: {image: "x:1", ports: ["80:80"], healthcheck: {test: [CMD, a]}}
    db: {image: "x:1", depends_on: [web]}
"#;

fn app() -> App {
    read("t", TEXT, &super::super::Outside::default()).expect("read").app
}

fn web(app: &mut App) -> &mut Service {
    app.spec.services.get_mut("web".parse::<Name>().as_ref().expect("name")).expect("web")
}

/// Path and code of each problem after `change`.
fn after(change: impl FnOnce(&mut App)) -> String {
    let mut app = app();
    change(&mut app);
    let Err(refused) = app.check() else { return "fine".into() };
    let line = |fault: &Fault| format!("{} {}", fault.params["place"], fault.code.trim_start_matches("manifest-"));
    refused.faults().map(line).collect::<Vec<_>>().join("; ")
}

#[test]
fn a_read_app_is_fine() {
    assert_eq!(after(|_| {}), "fine");
}

type Change = Box<dyn FnOnce(&mut App)>;

#[test]
fn problems_name_paths() {
    let x = |n| "x".repeat(n);
    let checks: Vec<(&str, Change)> = vec![
        ("apiVersion not-this-kind", Box::new(|app| app.api_version = "v0".into())),
        ("metadata.version bad-version", Box::new(|app| app.metadata.version = "../x".into())),
        ("metadata.description too-long", Box::new(move |app| app.metadata.description = x(2000))),
        ("metadata.labels.a too-long", Box::new(move |app| app.metadata.labels = [("a".into(), x(300))].into())),
        ("spec.services no-services", Box::new(|app| app.spec.services.clear())),
        ("spec.services.web.command[1] nul", Box::new(|app| web(app).command = Some(vec!["a".into(), "\0".into()]))),
        ("spec.services.web.command too-many", Box::new(|app| web(app).command = Some(vec![String::new(); 300]))),
        ("spec.services.web.ports[0] bad-port", Box::new(|app| web(app).ports[0].published = 0)),
        (
            "spec.services.web.volumes[0] bad-path",
            Box::new(|app| {
                web(app).volumes.push(Mount::Bind { source: "/a/../b".into(), target: "/b".into(), read_only: false })
            }),
        ),
        (
            "spec.services.web.volumes[0] undefined",
            Box::new(|app| {
                web(app).volumes.push(Mount::Volume { source: Name::new("v").unwrap(), target: "/b".into(), read_only: false })
            }),
        ),
        ("spec.services.web.stop_signal bad-signal", Box::new(|app| web(app).stop_signal = Some("INT".into()))),
        ("spec.services.web.restart bad-restart", Box::new(|app| web(app).restart = Restart::OnFailure { attempts: Some(0) })),
        (
            "spec.services.web.deploy.resources.limits.cpus limit-cpus; spec.services.web.deploy.resources.limits.pids limit-pids",
            Box::new(|app| web(app).deploy.resources.limits = Limits { milli_cpus: Some(0), memory: None, pids: Some(0) }),
        ),
        (
            "spec.services.web.healthcheck.test bad-test",
            Box::new(|app| web(app).healthcheck.as_mut().unwrap().test = Probe::Exec(Vec::new())),
        ),
        (
            "spec.configs.c too-long",
            Box::new(move |app| app.spec.configs = [(Name::new("c").unwrap(), Config { content: x(300 << 10) })].into()),
        ),
        (
            "spec.secrets.s secret-external",
            Box::new(|app| app.spec.secrets = [(Name::new("s").unwrap(), Secret { external: false })].into()),
        ),
        (
            "spec.services.web.environment.A too-long",
            Box::new(move |app| web(app).environment = [("A".into(), x(40 << 10))].into()),
        ),
    ];
    for (expected, change) in checks {
        assert_eq!(after(change), expected);
    }
}

#[test]
fn a_thousand_services_in_a_ring_end_quickly() {
    let mut app = app();
    let one = web(&mut app).clone();
    let name = |n: usize| Name::new(&format!("s{n}")).expect("name");
    app.spec.services = (0..1000)
        .map(|n| {
            let depends_on = [(name((n + 1) % 1000), super::super::Condition::ServiceStarted)].into();
            (name(n), Service { depends_on, ports: Vec::new(), ..one.clone() })
        })
        .collect();
    let refused = app.check().expect_err("too many");
    assert!(refused.faults().any(|fault| fault.code == "manifest-too-many"));
}
