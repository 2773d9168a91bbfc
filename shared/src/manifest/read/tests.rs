//! Whole documents: what is read, what is refused and where, and that every form leads to the same app.

use expect_test::{Expect, expect};

use super::*;
use crate::fault::{Faulty, Lang};

fn outside() -> Outside<'static> {
    Outside {
        naming: Naming { name: Name::new("shop").ok(), version: Some("1".into()) },
        variables: [("TAG".into(), "1.2".into()), ("PORT".into(), "8080".into())].into(),
        files: &|path| if path == "./a.conf" { Ok("a = 1\n".into()) } else { Err("no such file".into()) },
    }
}

fn compose(services: &str) -> Result<Manifest, Refused> {
    read("c.yaml", services, &outside())
}

/// One service in Compose, from lines below `services.web`.
fn web(lines: &str) -> Result<Manifest, Refused> {
    let lines: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    compose(&format!(
        "services:\n  web:\n    image: nginx:1\n{lines}volumes: {{data: }}\nconfigs: {{conf: {{content: x}}}}\nsecrets: {{key: {{external: true}}}}\n"
    ))
}

/// The service as JSON without its image, or the codes with their places.
fn show(read: Result<Manifest, Refused>) -> String {
    match read {
        Ok(manifest) => {
            let service = manifest.app.spec.services.values().next().expect("one service");
            let json = serde_json::to_string(service).expect("json");
            json.replacen(r#""image":"nginx:1","#, "", 1).replacen(r#""image":"nginx:1""#, "", 1)
        }
        Err(refused) => {
            let line = |p: &Problem| {
                assert_filled(&p.fault);
                let mark = p.mark.expect("mark");
                format!("{}:{} {}", mark.line, mark.column, p.fault.code.trim_start_matches("manifest-"))
            };
            refused.problems.iter().map(line).collect::<Vec<_>>().join("; ")
        }
    }
}

/// Every placeholder of the text has its value.
fn assert_filled(fault: &Fault) {
    let text = manifest::ALL.iter().find(|text| text.code == fault.code).expect("a text");
    for key in text.en.split('{').skip(1).filter_map(|part| part.split_once('}')).map(|(key, _)| key) {
        assert!(fault.params.contains_key(key), "{} without {key}", fault.code);
    }
}

fn check(lines: &str, expected: &Expect) {
    expected.assert_eq(&show(web(lines)));
}

#[test]
fn short_and_long_forms_become_one() {
    for (lines, json) in [
        ("command: sh -c 'sleep 1'", r#"{"command":["sh","-c","sleep 1"]}"#),
        ("command: [sleep, \"1\"]", r#"{"command":["sleep","1"]}"#),
        ("command:", "{}"),
        ("command: []\nentrypoint: \"\"", r#"{"command":[],"entrypoint":[]}"#),
        ("environment: [A=b, C=d=e, E=]", r#"{"environment":{"A":"b","C":"d=e","E":""}}"#),
        ("environment: {A: 1.10, B: true, C: \"\", D: no}", r#"{"environment":{"A":"1.10","B":"true","C":"","D":"no"}}"#),
        ("environment: {T: \"v${TAG}\", D: \"${X:-d}\", E: $$x}", r#"{"environment":{"D":"d","E":"$x","T":"v1.2"}}"#),
        ("ports: [\"${PORT}:80\"]", r#"{"ports":[{"target":80,"published":8080,"protocol":"tcp"}]}"#),
        (
            "ports: [{target: 80, published: \"8080\", host_ip: 127.0.0.1, protocol: udp, mode: host}]",
            r#"{"ports":[{"target":80,"published":8080,"host_ip":"127.0.0.1","protocol":"udp"}]}"#,
        ),
        ("volumes: [data:/data:ro]", r#"{"volumes":[{"type":"volume","source":"data","target":"/data","read_only":true}]}"#),
        (
            "volumes:\n- {type: bind, source: /a, target: /b, bind: {create_host_path: false}}",
            r#"{"volumes":[{"type":"bind","source":"/a","target":"/b"}]}"#,
        ),
        (
            "volumes:\n- {type: tmpfs, target: /t, tmpfs: {size: 1048576}}",
            r#"{"volumes":[{"type":"tmpfs","target":"/t","size":"1m"}]}"#,
        ),
        ("tmpfs: /run", r#"{"volumes":[{"type":"tmpfs","target":"/run"}]}"#),
        ("tmpfs: [\"/run:size=1m\"]", r#"{"volumes":[{"type":"tmpfs","target":"/run","size":"1m"}]}"#),
        ("devices: [/dev/a]", r#"{"devices":[{"source":"/dev/a","target":"/dev/a","permissions":"rwm"}]}"#),
        (
            "devices: [{source: /dev/a, target: /dev/b, permissions: r}]",
            r#"{"devices":[{"source":"/dev/a","target":"/dev/b","permissions":"r"}]}"#,
        ),
        (
            "restart: \"no\"\nstop_signal: int\nstop_grace_period: 1.5s",
            r#"{"stop_grace_period":"1s500ms","stop_signal":"SIGINT"}"#,
        ),
        ("restart: no", "{}"),
        ("restart: false", "{}"),
        ("restart: on-failure:3", r#"{"restart":"on-failure:3"}"#),
        (
            "deploy: {resources: {limits: {cpus: 0.5, memory: 64M, pids: 10}}}",
            r#"{"deploy":{"resources":{"limits":{"cpus":"0.500","memory":"64m","pids":10}}}}"#,
        ),
        (
            "cpus: \"0.5\"\nmem_limit: 67108864\npids_limit: 10",
            r#"{"deploy":{"resources":{"limits":{"cpus":"0.500","memory":"64m","pids":10}}}}"#,
        ),
        (
            "mem_limit: 64m\ndeploy: {resources: {limits: {memory: 65536k}}}",
            r#"{"deploy":{"resources":{"limits":{"memory":"64m"}}}}"#,
        ),
        ("cap_add: [cap_net_admin, SYS_TIME]\ncap_drop: [all]", r#"{"cap_add":["NET_ADMIN","SYS_TIME"],"cap_drop":["ALL"]}"#),
        (
            "read_only: true\nuser: 1000\nworking_dir: /srv\nnetwork_mode: host",
            r#"{"read_only":true,"user":"1000","working_dir":"/srv","network_mode":"host"}"#,
        ),
        ("labels: [a=b, c]", r#"{"labels":{"a":"b","c":""}}"#),
        ("labels: {a.b/c: 1, d: }", r#"{"labels":{"a.b/c":"1","d":""}}"#),
        (
            "configs: [conf]\nsecrets: [key]",
            r#"{"configs":[{"source":"conf","target":"/conf","uid":0,"gid":0,"mode":"0444"}],"secrets":[{"source":"key","target":"/run/secrets/key","uid":0,"gid":0,"mode":"0400"}]}"#,
        ),
        (
            "secrets: [{source: key, target: k, uid: \"1\", gid: 2, mode: 0440}]",
            r#"{"secrets":[{"source":"key","target":"/run/secrets/k","uid":1,"gid":2,"mode":"0440"}]}"#,
        ),
        (
            "healthcheck: {test: curl -f x, retries: \"5\"}",
            r#"{"healthcheck":{"test":["CMD-SHELL","curl -f x"],"interval":"30s","timeout":"30s","retries":5,"start_period":"0s","start_interval":"5s"}}"#,
        ),
        (
            "healthcheck: {test: [HTTP, \":80/x\"], interval: 1s, timeout: 2s, start_period: 1m, start_interval: 2s}",
            r#"{"healthcheck":{"test":["HTTP",":80/x"],"interval":"1s","timeout":"2s","retries":3,"start_period":"1m","start_interval":"2s"}}"#,
        ),
        ("healthcheck: {test: [NONE]}", "{}"),
        ("healthcheck: {disable: true}", "{}"),
        ("x-note: {any: [thing]}", "{}"),
    ] {
        assert_eq!(show(web(lines)), json, "{lines}");
    }
}

#[test]
fn depends_on_forms() {
    for depends in
        ["[db]", "{db: {condition: service_started, required: true, restart: false}}", "{db: service_started}", "{db: {}}"]
    {
        let text = format!("services:\n  db: {{image: a}}\n  web:\n    image: b\n    depends_on: {depends}\n");
        let app = compose(&text).expect(depends).app;
        let web = &app.spec.services[&Name::new("web").expect("name")];
        assert_eq!(serde_json::to_string(&web.depends_on).expect("json"), r#"{"db":"service_started"}"#, "{depends}");
    }
}

#[test]
fn configs_take_content_or_a_file_that_the_caller_reads() {
    let text = |config: &str| format!("services: {{web: {{image: a, configs: [c]}}}}\nconfigs: {{c: {config}}}\n");
    for (config, shown) in [
        ("{content: \"a = ${TAG}\"}", "a = 1.2"),
        ("{file: ./a.conf}", "a = 1\n"),
        ("{file: ./b.conf}", "2:21 config-file"),
        ("{}", "2:14 config-source"),
        ("{content: a, file: b}", "2:14 config-source"),
        ("{external: true}", "2:15 key-config-external"),
        ("{environment: A}", "2:15 key-config-environment"),
    ] {
        let read = compose(&text(config));
        let got = match &read {
            Ok(manifest) => manifest.app.spec.configs.values().next().expect("config").content.clone(),
            Err(_) => show(read),
        };
        assert_eq!(got, shown, "{config}");
    }
}

#[test]
fn every_refusal_has_its_place() {
    for (lines, expected) in [
        ("build: .", "4:5 key-build"),
        ("imgae: x", "4:5 unknown-key"),
        ("zzz: x", "4:5 unknown-key-list"),
        ("networks: [a]\nprivileged: true\nscale: 2", "4:5 key-networks; 5:5 key-privileged; 6:5 key-replicas"),
        ("deploy: {replicas: 2, resources: {reservations: {cpus: 1}}}", "4:14 key-replicas; 4:39 key-other-limit"),
        ("ports: [80]", "4:13 port-not-published"),
        ("ports:\n- \"8080:80\"\n- \"8080:81\"", "6:7 port-taken"),
        ("ports:\n- \"127.0.0.1:8080:80\"\n- \"8080:81\"", "6:7 port-taken"),
        ("ports:\n- \"8000-8002:80-82\"\n- \"8002:90\"", "6:7 port-taken"),
        ("ports:\n- \"127.0.0.1:8080:80\"\n- \"127.0.0.2:8080:81\"\n- \"8080:80/udp\"", "{\"ports\":3}"),
        ("ports: [\"8080:80\"]\nnetwork_mode: host", "4:12 ports-without-bridge"),
        ("ports: {a: b}", "4:12 not-a-list"),
        ("ports: [{target: 80}]", "4:13 port-not-published"),
        ("environment: [A]", "4:19 variable-without-value"),
        ("environment: {A: }", "4:20 variable-without-value"),
        ("environment: {A: [b]}", "4:22 not-a-text"),
        ("environment: {\"A B\": c}", "4:26 bad-variable-name"),
        ("environment: [A=1, A=2]", "4:24 duplicate-key"),
        ("environment: {A: \"${NOPE}\"}", "4:22 variable-unset"),
        ("volumes: [/data]", "4:15 volume-anonymous"),
        ("volumes: [./x:/y]", "4:15 bind-relative"),
        ("volumes: [nope:/y]", "4:15 undefined"),
        ("volumes: [data:/a, /srv:/a]", "4:24 target-twice"),
        ("volumes: [data:/a/../b]", "4:15 bad-path"),
        ("volumes: [data:relative]", "4:15 bad-path"),
        ("volumes: [data:/proc/x]", "4:15 target-reserved"),
        ("volumes: [{type: npipe, source: a, target: /b}]", "4:22 bad-mount-type"),
        ("volumes: [{type: volume, source: data, target: /b, volume: {nocopy: true}}]", "4:56 key-mount-option"),
        ("tmpfs: [/run:mode=1777]", "4:13 bad-tmpfs-option"),
        ("devices: [/etc/passwd]", "4:15 device-not-below-dev"),
        ("devices: [/dev/../etc/passwd]", "4:15 bad-path"),
        ("devices: [\"/dev/a:/dev/a:rx\"]", "4:15 bad-device-permissions"),
        ("configs: [nope]\nsecrets: [nope]", "4:15 undefined; 5:15 undefined"),
        ("secrets: [{source: key, mode: 440}]", "4:35 bad-mode"),
        ("cap_add: [ALL]", "4:15 cap-add-all"),
        ("cap_add: [FLY]", "4:15 bad-capability"),
        ("command: [sleep, 10]", "4:22 not-a-text"),
        ("command: \"a 'b\"", "4:14 unclosed-quote"),
        ("command: {a: b}", "4:14 not-a-list"),
        ("user: \"a:b:c\"", "4:11 bad-user"),
        ("user: \"4294967295\"", "4:11 bad-user"),
        ("working_dir: srv", "4:18 bad-path"),
        ("read_only: yes", "4:16 not-a-flag"),
        ("restart: sometimes", "4:14 bad-restart"),
        ("restart: on-failure:0", "4:14 bad-restart"),
        ("stop_signal: SIGWHAT", "4:18 bad-signal"),
        ("stop_grace_period: 10", "4:24 bad-period"),
        ("network_mode: service:db", "4:19 bad-network-mode"),
        ("mem_limit: 1m", "4:16 limit-memory"),
        ("mem_limit: 1e400", "4:16 bad-size"),
        ("cpus: 1e400", "4:11 bad-cpus"),
        ("pids_limit: -1", "4:17 not-a-number"),
        ("pids_limit: 5\ndeploy: {resources: {limits: {pids: 6}}}", "4:17 limit-twice"),
        ("healthcheck: {interval: 1s}", "4:18 missing"),
        ("healthcheck: {test: [HTTP, \"8080\"]}", "4:25 bad-test"),
        (
            "healthcheck: {test: [TCP, \":8080\"], interval: 10ms, retries: 0, timeout: 0s}",
            "4:51 health-too-often; 4:66 health-retries; 4:78 health-no-time",
        ),
        ("healthcheck: {test: [TCP, \":8080\"]}\nnetwork_mode: none", "4:25 health-no-network"),
        ("labels: {\"a b\": c}", "4:21 bad-label"),
        ("depends_on: [web]", "4:18 cycle"),
        ("depends_on: [nope]", "4:18 unknown-dependency"),
        ("depends_on: {web: {condition: maybe}}", "4:35 bad-condition"),
        ("ports: [{published: 1}, {published: 2}]", "4:13 missing; 4:29 missing"),
        ("ports: [{targt: 1, published: 2}]", "4:14 unknown-key"),
        ("image: x", "4:5 duplicate-key"),
    ] {
        let shown = show(web(lines));
        if expected == "{\"ports\":3}" {
            assert_eq!(shown.matches("published").count(), 3, "{lines}: {shown}");
        } else {
            assert_eq!(shown, expected, "{lines}");
        }
    }
}

#[test]
fn documents_that_are_not_an_app() {
    for (text, expected) in [
        ("a", "1:1 not-a-map"),
        ("[]", "1:1 not-a-map"),
        ("a: b", "1:1 neither"),
        ("services: {}", "1:11 no-services"),
        ("services: []", "1:11 not-a-map"),
        ("services: {web: }", "1:15 not-a-map"),
        ("services: {web: {}}", "1:12 missing"),
        ("services: {web: {build: .}}", "1:18 key-build"),
        ("services: {My_Web: {image: a}}", "1:12 bad-name"),
        ("services: {web: {image: NGINX}}", "1:25 bad-image"),
        (
            "apiVersion: causeway/v2\nkind: App\nmetadata: {name: a, version: 1}\nspec: {services: {a: {image: b}}}",
            "1:13 not-this-kind",
        ),
        (
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: 1}",
            "1:13 not-this-kind; 2:7 not-this-kind; 4:7 missing; 4:8 unknown-key-list",
        ),
        (
            "kind: App\nmetadata: {name: a, version: 1, namespace: x}\nspec: {services: {a: {image: b}}}",
            "1:1 missing; 2:33 key-namespace",
        ),
        ("apiVersion: causeway/v1\nkind: App\nservices: {a: {image: b}}", "1:1 missing; 3:1 key-belongs-below-spec"),
        (
            "apiVersion: causeway/v1\nkind: App\nmetadata: {name: A, version: \"a b\"}\nspec: {services: {a: {image: b}}, update: {deadline: 1s, settle: 1m}}",
            "3:18 bad-name; 3:30 bad-version; 4:43 bad-update",
        ),
        ("name: UPPER\nservices: {a: {image: b}}", "1:7 bad-name"),
        ("services: {a: {image: b}}\nnetworks: {x: }\ninclude: [y]", "2:1 key-networks; 3:1 key-extends"),
        ("services: {a: {image: b, secrets: [s]}}\nsecrets: {s: {file: ./s}}", "2:15 key-secret-content"),
        ("services: {a: {image: b}}\nsecrets: {s: {external: false}, t: {}}", "2:25 secret-external; 2:36 secret-external"),
        (
            "services: {a: {image: b}}\nvolumes: {v: {driver: nfs}, w: {external: true}}",
            "2:23 bad-volume-driver; 2:33 key-volume-external",
        ),
    ] {
        assert_eq!(show(read("t", text, &outside())), expected, "{text}");
    }
}

#[test]
fn name_and_version_are_needed_from_somewhere() {
    let text = "services: {a: {image: b, ports: [80]}}";
    let nothing = Outside::default();
    assert_eq!(show(read("t", text, &nothing)), "1:1 name-missing; 1:1 version-missing; 1:34 port-not-published");
    let app = compose("name: own\nservices: {a: {image: b}}").expect("read").app;
    assert_eq!((app.metadata.name.as_str(), app.metadata.version.as_str()), ("own", "1"), "the text comes first");
}

#[test]
fn dependencies_must_be_able_to_come_true() {
    let text = |services: &str| format!("services:\n{services}");
    for (services, expected) in [
        ("  a: {image: x, depends_on: {b: {condition: service_healthy}}}\n  b: {image: x}\n", "2:33 never-healthy"),
        (
            "  a: {image: x, depends_on: {b: {condition: service_healthy}}}\n  b: {image: x, healthcheck: {test: []}}\n",
            "3:37 bad-test",
        ),
        (
            "  a: {image: x, depends_on: {b: service_completed_successfully}}\n  b: {image: x, restart: always}\n",
            "2:33 never-completed",
        ),
        ("  a: {image: x, depends_on: [c]}\n  b: {image: x, depends_on: [a]}\n  c: {image: x, depends_on: [b]}\n", "2:30 cycle"),
        ("  a: {image: x, depends_on: [b]}\n  b: 5\n", "3:6 not-a-map"),
    ] {
        assert_eq!(show(compose(&text(services))), expected, "{services}");
    }
    let cycle = compose(
        "services:\n  a: {image: x, depends_on: [c]}\n  b: {image: x, depends_on: [a]}\n  c: {image: x, depends_on: [b]}\n",
    );
    let fault = cycle.expect_err("cycle").fault();
    assert_eq!(fault.params.get("cycle").map(String::as_str), Some("a → c → b → a"));
}

#[test]
fn a_person_is_told_place_and_way_out() {
    let refused = web("privileged: true\ncontainer_name: x\nport: [80]").expect_err("refused");
    let texts: Vec<String> = refused.faults().flat_map(|fault| [fault.text(Lang::En), fault.text(Lang::Zh)]).collect();
    expect![[r#"
        c.yaml:4:5: privileged is not supported: it would give the whole machine away. Nearest: cap_add and devices with what is needed
        c.yaml:4:5：不支持 privileged：它等于交出整台机器。最接近的是 cap_add 和 devices，只给需要的部分
        c.yaml:5:5: container_name is not supported: a service is known by its own name, and a container's id changes. Name the service as it shall be found
        c.yaml:5:5：不支持 container_name：服务以服务名被访问，容器 id 会变化。请直接把服务命名为希望使用的名称
        c.yaml:6:5: port is not supported. Nearest supported key: ports
        c.yaml:6:5：不支持 port。最接近的受支持字段：ports"#]]
    .assert_eq(&texts.join("\n"));
}

#[test]
fn many_problems_are_all_found_and_cut_at_fifty() {
    let lines: String = (0..70).map(|n| format!("key{n}: 1\n")).collect();
    let refused = web(&lines).expect_err("refused");
    assert_eq!((refused.problems.len(), refused.more), (50, 20));
    assert_eq!(refused.problems[0].mark, Some(Mark { line: 4, column: 5 }));
}

#[test]
fn anchors_and_merge_keys_share_what_services_have_in_common() {
    let text = "x-common: &common\n  restart: unless-stopped\n  image: a:1\nservices:\n  one: {<<: *common}\n  two: {<<: *common, image: b:1}\n";
    let manifest = compose(text).expect("read");
    let images: Vec<&str> = manifest.app.spec.services.values().map(|service| service.image.as_str()).collect();
    assert_eq!(images, ["a:1", "b:1"]);
    assert!(manifest.notices.is_empty(), "{:?}", manifest.notices);
}

#[test]
fn notices_say_what_is_not_wrong() {
    let lines = "network_mode: host\nvolumes: [/srv:/srv]\ndevices: [/dev/a]\ncap_add: [SYS_TIME]";
    let codes: Vec<String> = web(lines).expect("read").notices.iter().map(ToString::to_string).collect();
    expect![[r#"
        c.yaml:3:5: service web has no restart policy: it stays down when its process ends. For a long-running service add restart: unless-stopped [manifest-notice-no-restart]
        c.yaml:4:19: network_mode: host needs the consent of each site: a node whose node.toml does not allow it refuses the app [manifest-notice-policy]
        c.yaml:5:15: /srv needs the consent of each site: a node whose node.toml does not allow it refuses the app [manifest-notice-policy]
        c.yaml:6:15: /dev/a needs the consent of each site: a node whose node.toml does not allow it refuses the app [manifest-notice-policy]
        c.yaml:7:14: cap_add SYS_TIME needs the consent of each site: a node whose node.toml does not allow it refuses the app [manifest-notice-policy]
        c.yaml:10:16: the secret must be on each node before the app starts: edge-node secret set shop key [manifest-notice-secret]"#]]
    .assert_eq(&codes.join("\n"));
}

#[test]
fn the_example_of_the_module_is_read() {
    let text = "apiVersion: causeway/v1\nkind: App\nmetadata: {name: counter, version: 1.0.0, labels: {tier: demo}, description: A counter}\nspec:\n  services:\n    web: {image: \"registry.example/counter:1.0.0\", ports: [\"8080:80\"], restart: unless-stopped}\n";
    let manifest = read("app.yaml", text, &Outside::default()).expect("read");
    assert_eq!(manifest.app.metadata.version, "1.0.0");
    assert!(manifest.notices.is_empty());
    check("user: root", &expect![[r#"{"user":"root"}"#]]);
}
