//! Properties of the manifest reader: what is written comes back, and no text makes it panic or slow.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends by panic")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use shared::id::Name;
use shared::manifest::{
    App, ByteSize, Condition, Config, Deploy, Device, FileGrant, HealthCheck, Limits, Metadata, Mount, NetworkMode, Outside,
    Period, Port, Probe, Protocol, Resources, Restart, Secret, Service, Spec, Update, Volume, read,
};

fn name(text: &str) -> Name {
    Name::new(text).expect("name")
}

/// Texts that a careless writer of YAML gets wrong.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z ]{0,12}",
        "\\PC{0,12}",
        select(vec![
            "",
            " ",
            "no",
            "true",
            "null",
            "~",
            "1.0",
            "0440",
            "1e400",
            "- a",
            "a: b",
            "# c",
            "'",
            "\"",
            "\\",
            "$",
            "$$",
            "${A}",
            "{",
            "[x",
            "&a",
            "*a",
            "!t",
            "|",
            ">",
            "%",
            "@",
            "`",
            "\t",
            "a\nb\n",
            "\r\n",
            "é",
            "\u{2028}",
            "\u{85}",
            "\u{7f}",
            "\u{1b}[0m",
            "𝕏",
            "<<",
            "\u{feff}",
            "a ",
            "...",
            "---",
            "x-y",
            "=",
        ])
        .prop_map(str::to_owned),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof!["[A-Z_]{1,8}", select(vec!["<<", "null", "x-a", "1", "a.b", "a[0]", "~", "#", "&x"]).prop_map(str::to_owned)]
}

fn period() -> impl Strategy<Value = Period> {
    (1u64..100_000).prop_map(Period::seconds)
}

fn probe() -> impl Strategy<Value = Probe> {
    prop_oneof![
        ("[a-z/]{1,8}", vec(text(), 0..3)).prop_map(|(first, rest)| Probe::Exec(std::iter::once(first).chain(rest).collect())),
        text().prop_map(Probe::Shell),
        (1u16.., "(/[a-z?=%]{0,6}){1,2}").prop_map(|(port, path)| Probe::Http { port, path }),
        (1u16..).prop_map(|port| Probe::Tcp { port }),
    ]
}

fn healthcheck() -> impl Strategy<Value = HealthCheck> {
    (probe(), period(), period(), 1u32..1000, period(), period()).prop_map(
        |(test, interval, timeout, retries, start_period, start_interval)| HealthCheck {
            test,
            interval,
            timeout,
            retries,
            start_period,
            start_interval,
        },
    )
}

fn restart() -> impl Strategy<Value = Restart> {
    prop_oneof![
        select(vec![Restart::No, Restart::Always, Restart::UnlessStopped]),
        option::of(1u32..).prop_map(|attempts| Restart::OnFailure { attempts }),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let memory = (6u64 << 20..1 << 40).prop_map(ByteSize);
    (option::of(1u32..1_000_000), option::of(memory), option::of(1u32..4_000_000)).prop_map(|(milli_cpus, memory, pids)| Limits {
        milli_cpus,
        memory,
        pids,
    })
}

/// Mounts with targets of their own.
fn mounts() -> impl Strategy<Value = Vec<Mount>> {
    vec((0u8..3, any::<bool>(), option::of(1u64..1 << 40)), 0..4).prop_map(|list| {
        let mount = |(n, (kind, read_only, size)): (usize, (u8, bool, Option<u64>))| {
            let target = format!("/m/{n}");
            match kind {
                0 => Mount::Volume { source: name("data"), target, read_only },
                1 => Mount::Bind { source: format!("/srv/{n}"), target, read_only },
                _ => Mount::Tmpfs { target, size: size.map(ByteSize) },
            }
        };
        list.into_iter().enumerate().map(mount).collect()
    })
}

fn grants(source: &'static str) -> impl Strategy<Value = Vec<FileGrant>> {
    vec((any::<u32>(), any::<u32>(), 0u32..=0o777), 0..2).prop_map(move |list| {
        let grant = |(n, (uid, gid, mode))| FileGrant { source: name(source), target: format!("/{source}/{n}"), uid, gid, mode };
        list.into_iter().enumerate().map(grant).collect()
    })
}

fn ports() -> impl Strategy<Value = Vec<(u16, bool, bool)>> {
    vec((1u16.., any::<bool>(), any::<bool>()), 0..4)
}

fn service() -> impl Strategy<Value = Service> {
    let words = || option::of(vec(text(), 0..4));
    let values = || btree_map(key(), text(), 0..4);
    let one = (words(), words(), values(), ports(), mounts(), option::of(healthcheck()), restart(), limits());
    let two = (
        period(),
        option::of(select(vec!["SIGINT", "SIGRTMIN+3"])),
        subsequence(vec!["NET_ADMIN", "SYS_TIME", "MKNOD"], 0..3),
        any::<bool>(),
        option::of(select(vec!["root", "1000", "1000:20", "app:dialout"])),
        option::of(select(vec!["/", "/srv/app"])),
        values(),
        (grants("conf"), grants("key")),
    );
    (one, two).prop_map(|((command, entrypoint, environment, ports, volumes, healthcheck, restart, limits), two)| {
        let (stop_grace_period, stop_signal, caps, read_only, user, working_dir, labels, (configs, secrets)) = two;
        let caps: Vec<String> = caps.into_iter().map(str::to_owned).collect();
        let port = |(n, (target, local, udp)): (usize, (u16, bool, bool))| Port {
            target,
            published: u16::try_from(n).expect("few") + 1,
            host_ip: local.then(|| "::1".parse().expect("address")),
            protocol: if udp { Protocol::Udp } else { Protocol::Tcp },
        };
        Service {
            image: "registry.example:5000/a/b:1".into(),
            command,
            entrypoint,
            environment,
            ports: ports.into_iter().enumerate().map(port).collect(),
            volumes,
            devices: vec![Device { source: "/dev/a".into(), target: "/dev/b".into(), permissions: "rw".into() }],
            healthcheck,
            depends_on: BTreeMap::new(),
            restart,
            stop_grace_period,
            stop_signal: stop_signal.map(str::to_owned),
            deploy: Deploy { resources: Resources { limits } },
            cap_add: caps.clone(),
            cap_drop: vec!["ALL".into()],
            read_only,
            user: user.map(str::to_owned),
            working_dir: working_dir.map(str::to_owned),
            network_mode: NetworkMode::Bridge,
            labels,
            configs,
            secrets,
        }
    })
}

fn app() -> impl Strategy<Value = App> {
    let metadata = ("[a-z][a-z0-9]{0,8}", "[A-Za-z0-9._+-]{1,10}", text(), btree_map(key(), text(), 0..3));
    (metadata, service(), text(), any::<bool>()).prop_map(|((app, version, description, labels), web, content, healthy)| {
        let condition = match (healthy, &web.healthcheck) {
            (true, Some(_)) => Condition::ServiceHealthy,
            _ => Condition::ServiceStarted,
        };
        let mut db = web.clone();
        db.ports.clear();
        db.network_mode = NetworkMode::Host;
        db.depends_on = [(name("web"), condition)].into();
        App {
            api_version: shared::manifest::API_VERSION.into(),
            kind: "App".into(),
            metadata: Metadata { name: name(&app), version, description, labels },
            spec: Spec {
                services: [(name("web"), web), (name("db"), db)].into(),
                volumes: [(name("data"), Volume {})].into(),
                configs: [(name("conf"), Config { content })].into(),
                secrets: [(name("key"), Secret { external: true })].into(),
                update: Update::default(),
            },
        }
    })
}

/// A valid manifest text with everything in it, to be damaged.
fn sample() -> String {
    include_str!("../../manifests/examples/modbus-gateway.yaml").to_owned()
}

/// Reads a text and asserts that it took no longer than anybody would wait.
fn read_quickly(text: &str) -> bool {
    let begin = Instant::now();
    let read = read("t.yaml", text, &Outside::default());
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?} for {} bytes", begin.elapsed(), text.len());
    match read {
        Ok(manifest) => manifest.app.check().is_ok(),
        Err(refused) => !refused.problems.is_empty() && refused.problems.len() <= 50,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn json_gives_the_same_app(app in app()) {
        let json = serde_json::to_string(&app).expect("json");
        prop_assert_eq!(serde_json::from_str::<App>(&json).expect("own json"), app);
    }

    #[test]
    fn yaml_gives_the_same_app(app in app()) {
        let yaml = app.to_yaml();
        match read("own.yaml", &yaml, &Outside::default()) {
            Ok(manifest) => prop_assert_eq!(manifest.app, app),
            // What the writer made up may be refused by the checks, but then by both ways.
            Err(refused) => prop_assert!(app.check().is_err(), "{}\n{}", refused, yaml),
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        prop_assert!(read_quickly(&text));
    }

    #[test]
    fn any_punctuation_is_read_or_refused(text in "[-a:?,{}\\[\\]&*!|>'\"%#@` \n\t]{0,120}") {
        prop_assert!(read_quickly(&text));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..300)) {
        prop_assert!(read_quickly(&String::from_utf8_lossy(&bytes)));
    }

    #[test]
    fn a_damaged_manifest_is_read_or_refused(at in 0usize..2000, cut in 0usize..20, put in "[-a:?,{}\\[\\]&*!|>'\"%#\n ]{0,4}") {
        let mut chars: Vec<char> = sample().chars().collect();
        let at = at.min(chars.len());
        let end = (at + cut).min(chars.len());
        chars.splice(at..end, put.chars());
        prop_assert!(read_quickly(&chars.into_iter().collect::<String>()));
    }
}

#[test]
fn the_texts_of_the_issue() {
    let mut laughs = String::from("x-0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for n in 1..12 {
        laughs += &format!("x-{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(","));
    }
    let deep = "[".repeat(100_000);
    let long = format!("services: {{a: {{image: \"{}\"}}}}", "x".repeat(1_000_000));
    let keys: String = (0..30_000).map(|n| format!("k{n}: 1\n")).collect();
    let same = "a: 1\n".repeat(20_000);
    let variables = format!("services: {{a: {{image: \"{}\"}}}}", "${A:-b}".repeat(100_000));
    let nested = format!("services: {{a: {{image: \"{}\"}}}}", "${A:-".repeat(100_000));
    let services: String = (0..5000).map(|n| format!("  s{n}: {{image: a, depends_on: [s{}]}}\n", (n * 7 + 1) % 5000)).collect();
    let services = format!("services:\n{services}");
    let wrong: String = (0..24_000).map(|n| format!("  s{n}: {{imag{n}: 1}}\n")).collect();
    let wrong = format!("services:\n{wrong}");
    let unknown = format!("services: {{a: {{{}}}}}", (0..24_000).map(|n| format!("stopgraceperiod{n}: 1, ")).collect::<String>());
    let ports: String = (0..9_000).map(|n| format!("\"10.0.{}.{}:80:80\", ", n / 256, n % 256)).collect();
    let ports = format!("services: {{a: {{image: b, ports: [{ports}]}}}}");
    let numbers = "services: {a: {image: b, cpus: 1e400, mem_limit: 1e400, pids_limit: 1e400, user: 1e400}}";
    for text in [
        &laughs,
        &deep,
        &long,
        &keys,
        &same,
        &variables,
        &nested,
        &services,
        &wrong,
        &unknown,
        &ports,
        "\u{feff}a: b",
        "a\0b",
        numbers,
        "\r\r\r",
        "\u{feff}\u{feff}",
    ] {
        assert!(read_quickly(text), "{}", &text.chars().take(60).collect::<String>());
        assert!(read("t", text, &Outside::default()).is_err());
    }
}
