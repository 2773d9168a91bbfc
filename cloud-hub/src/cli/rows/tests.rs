use expect_test::{Expect, expect};
use serde_json::json;

use super::super::table::Sheet;
use super::*;

fn digest(text: &str) -> String {
    shared::id::Digest::of(text.as_bytes()).to_string()
}

fn check(kind: Kind, objects: &[Value], lang: Lang, is_wide: bool, expected: &Expect) {
    let view = View { lang, now: UnixMillis(10_000_000) };
    let rows: Vec<Vec<String>> = objects.iter().map(|object| cells(kind, object, view).unwrap()).collect();
    assert!(rows.iter().all(|row| row.len() == columns(kind).len()), "as many cells as columns");
    expected.assert_eq(&Sheet::new(columns(kind), lang, is_wide, true).lines(&rows));
}

#[test]
fn nodes() {
    let status = |connected: bool, seen: Option<u64>| {
        json!({"connected": connected, "wanted": {"epoch": 1, "generation": 2}, "inSync": connected,
            "lastSeen": seen.map(|_| 5), "lastSeenSeconds": seen, "ageSeconds": seen})
    };
    let node = |name: &str, revoked: bool, status: Value| {
        json!({"metadata": {"name": name, "revision": 1, "labels": {"site": "north"}, "new": "field"},
            "spec": {"revoked": revoked, "apps": {}}, "status": status})
    };
    let objects = [
        node("crane-7", false, status(true, Some(3))),
        node("crane-8", false, status(false, Some(10_800))),
        node("crane-9", false, status(false, None)),
        node("lost", true, status(false, Some(90_000))),
    ];
    check(
        Kind::Nodes,
        &objects,
        Lang::En,
        false,
        &expect![[r#"
            NAME      STATUS       SEEN   STATE           APPS   VERSION
            crane-7   connected    3s     in sync         0/0    -
            crane-8   offline      3h     behind (3h)     0/0    -
            crane-9   never seen   -      behind          0/0    -
            lost      revoked      1d1h   behind (1d1h)   0/0    -
        "#]],
    );
    check(
        Kind::Nodes,
        &objects[..1],
        Lang::Zh,
        true,
        &expect![[r#"
            名称      状态     最近联系   期望状态   应用   版本   平台   CONTAINERD   开机时间   可用磁盘   传输   标签         问题
            crane-7   已连接   3 秒       已同步     0/0    -      -      -            -          -          -      site=north   -
        "#]],
    );
    let mut moving = objects[0].clone();
    let transfer = |done: u64, left: Option<u64>| json!({"image": digest("i"), "done": done, "total": 100, "secondsLeft": left});
    moving["status"]["transfers"] = json!([transfer(10, Some(75)), transfer(90, Some(3))]);
    let mut stalled = moving.clone();
    stalled["status"]["transfers"][1] = json!({"image": digest("j"), "done": 5, "total": 0});
    stalled["status"]["transfers"][0] = transfer(10, None);
    let view = View { lang: Lang::En, now: UnixMillis(10_000_000) };
    let shown = |object: &Value| cells(Kind::Nodes, object, view).unwrap()[10].clone();
    assert_eq!(shown(&moving), "50.0 %, 1m15s left");
    assert_eq!(shown(&stalled), "10.0 %, time left unknown");
}

#[test]
fn deployments() {
    let object = json!({"metadata": {"name": "web", "revision": 9, "created": 4_000_000},
        "spec": {"app": "web", "release": digest("r"), "version": "1.2.0", "target": {"nodes": ["a", "b"]}, "run": true, "revision": 3},
        "status": {"nodes": 2, "ready": 1, "accepted": 2, "phases": {"running": 1, "fetching": 1}, "absent": ["b"]}});
    let mut all = object.clone();
    all["spec"]["target"] = json!({"selector": {"matchLabels": {}}});
    check(
        Kind::Deployments,
        &[object, all],
        Lang::Zh,
        true,
        &expect![[r#"
            名称   发布包      就绪   阶段                 目标       存在时间       修订   已接受   未接入   被覆盖   编号
            web    web@1.2.0   1/2    1 拉取中, 1 运行中   a,b        1 小时 40 分   3      2/2      b        -        454349e422f0
            web    web@1.2.0   1/2    1 拉取中, 1 运行中   所有节点   1 小时 40 分   3      2/2      b        -        454349e422f0
        "#]],
    );
}

#[test]
fn the_other_kinds() {
    let app = json!({"metadata": {"name": "web", "revision": 1, "updated": 9_990_000},
        "status": {"description": "a shop", "releases": 2, "latest": "2", "latestId": digest("r"), "deployments": ["web"]}});
    check(
        Kind::Apps,
        &[app],
        Lang::En,
        false,
        &expect![[r#"
        NAME   LATEST   RELEASES   DEPLOYMENTS   PUBLISHED
        web    2        2          web           10s
    "#]],
    );
    let release = json!({"metadata": {"name": "web@2", "revision": 1, "created": 9_990_000},
        "spec": {"app": "web", "version": "2", "images": {"web": [{"platform": "linux/arm64", "digest": digest("i"), "size": 5}]}},
        "status": {"id": digest("r"), "signedBy": ["ci"], "size": 3_000_000, "deployments": []}});
    check(
        Kind::Releases,
        &[release],
        Lang::En,
        true,
        &expect![[r#"
        NAME    ID             SIZE      SERVICES   DEPLOYMENTS   AGE   PLATFORMS     SIGNED-BY   LABELS
        web@2   454349e422f0   2.8 MiB   web        -             10s   linux/arm64   ci          -
    "#]],
    );
    let what = json!({"code": "hub-published", "params": {}, "message_en": "web@2\u{1b} published", "message_zh": "已发布"});
    let event = json!({"cursor": 7, "at": 9_000_000, "node": "n1", "by": "admin", "what": what});
    check(
        Kind::Events,
        &[event],
        Lang::En,
        true,
        &expect![[r#"
            AGE      NODE   APP   BY      CURSOR   JOURNAL   CODE            MESSAGE
            16m40s   n1     -     admin   7        -         hub-published   web@2· published
        "#]],
    );
    let token = json!({"node": "n1", "expires": 13_600_000, "by": "admin"});
    check(
        Kind::Tokens,
        &[token],
        Lang::En,
        false,
        &expect![[r#"
            NODE   EXPIRES-IN   BY      LABELS
            n1     1h           admin   -
        "#]],
    );
    let api = json!({"metadata": {"name": "ci", "revision": 1, "created": 9_000_000}, "spec": {"role": "operator"}});
    check(
        Kind::ApiTokens,
        &[api],
        Lang::Zh,
        false,
        &expect![[r#"
            名称   角色   剩余有效期   存在时间
            ci     操作   -            16 分 40 秒
        "#]],
    );
}

#[test]
fn an_object_that_is_none_is_an_error() {
    let view = View { lang: Lang::En, now: UnixMillis(0) };
    assert!(cells(Kind::Nodes, &json!({"metadata": {}}), view).is_err());
}
