use super::*;

fn name(text: &str) -> Name {
    Name::new(text).expect("name")
}

fn target(nodes: &[&str]) -> Target {
    Target::Nodes(nodes.iter().map(|n| name(n)).collect())
}

fn request_of(version: &str, target: Target, run: bool, redeploy: bool) -> Request {
    let (app, release, version) = (name("web"), Digest::of(version.as_bytes()), version.into());
    Request { app, release, version, target, run, prefetch: false, redeploy }
}

fn deployed(current: Option<&Deployment>, request: Request, revision: u64) -> Deployment {
    match decide(current, request, revision, "ann", UnixMillis(revision)) {
        Decision::Deploy(record) => record,
        other @ (Decision::Same | Decision::Retarget(_) | Decision::OtherApp(_) | Decision::OtherKind) => {
            panic!("not deployed: {other:?}")
        }
    }
}

#[test]
fn a_new_revision_is_for_another_release_and_for_nothing_else() {
    let first = deployed(None, request_of("1", target(&["n1"]), true, false), 7);
    let decide = |request| decide(Some(&first), request, 8, "bob", UnixMillis(9));
    assert_eq!(decide(request_of("1", target(&["n1"]), true, false)), Decision::Same);

    let Decision::Retarget(wider) = decide(request_of("1", target(&["n1", "n2"]), true, false)) else { panic!("only nodes") };
    assert_eq!((wider.revision, wider.history.len(), wider.updated), (7, 1, UnixMillis(9)));

    for (request, what) in [
        (request_of("2", target(&["n1"]), true, false), "release"),
        (request_of("1", target(&["n1"]), false, false), "run"),
        (request_of("1", target(&["n1"]), true, true), "on demand"),
    ] {
        let Decision::Deploy(record) = decide(request) else { panic!("{what}") };
        assert_eq!((record.revision, record.created, record.history.len()), (8, UnixMillis(7), 2), "{what}");
        assert_eq!(record.history[0].by, "bob");
    }
    let other = Request { app: name("db"), ..request_of("1", target(&["n1"]), true, false) };
    assert_eq!(decide(other), Decision::OtherApp(name("web")));
    let prefetch = Request { prefetch: true, ..request_of("2", target(&["n1"]), false, false) };
    assert_eq!(decide(prefetch), Decision::OtherKind, "its nodes would stop the app");
}

#[test]
fn history_is_bounded_and_newest_first() {
    let mut record = deployed(None, request_of("0", target(&["n1"]), true, false), 1);
    for n in 2..=60 {
        record = deployed(Some(&record), request_of(&format!("{n}"), target(&["n1"]), true, false), n);
    }
    assert_eq!(record.history.len(), HISTORY_MAX);
    assert_eq!(record.history[0].revision, 60);
    assert!(record.history.is_sorted_by(|a, b| a.revision > b.revision));
}

#[test]
fn a_rollback_goes_to_the_last_other_release_or_to_a_named_one() {
    let mut record = deployed(None, request_of("1", target(&["n1"]), true, false), 1);
    assert_eq!(rollback_entry(&record, None), None, "nothing before the first");
    for (n, version) in [(2, "2"), (3, "3"), (4, "3")] {
        record = deployed(Some(&record), request_of(version, target(&["n1"]), true, true), n);
    }
    let id = Digest::of(b"1").to_string();
    for (to, version) in [(None, Some("2")), (Some("1"), Some("1")), (Some(id.as_str()), Some("1")), (Some("9"), None)] {
        assert_eq!(rollback_entry(&record, to).map(|past| past.version.as_str()), version, "{to:?}");
    }
}

#[test]
fn targets_are_bounded() {
    let labels = |n: usize| Target::Labels((0..n).map(|n| (format!("k{n}"), "v".into())).collect());
    for (target, good) in [
        (target(&["n1"]), true),
        (target(&[]), false),
        (labels(0), true),
        (labels(SELECTOR_MAX), true),
        (labels(SELECTOR_MAX + 1), false),
        (Target::Labels([("a=b".to_owned(), "c".to_owned())].into()), false),
    ] {
        assert_eq!(target_problem(&target).is_none(), good, "{target:?}");
    }
}
