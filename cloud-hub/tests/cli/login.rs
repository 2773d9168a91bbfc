//! Whom to trust, and who we are.

use std::os::unix::fs::PermissionsExt;

use crate::shell::{Shell, pin};
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_is_known_by_its_fingerprint_and_by_nothing_else() {
    let world = World::new().await;
    let shell = Shell::new();
    let login = |more: &[&str]| [&["login", &world.base, "--token", &world.token], more].concat().join("\n");
    let run = async |line: String| shell.run(&line.split('\n').collect::<Vec<_>>()).await;

    let unconfirmed = run(login(&[])).await.failed(4, "cli-unconfirmed");
    assert!(unconfirmed.err.contains(&pin(&world)), "{unconfirmed:?}");
    let other = shared::id::Digest::of(b"other").to_string();
    let wrong = run(login(&["--ca-fingerprint", &other])).await.failed(4, "cli-wrong-ca");
    assert!(wrong.err.contains(&pin(&world)) && wrong.err.contains(&other), "{wrong:?}");
    run(login(&["--ca-fingerprint", "sha256:00"])).await.failed(2, "cli-bad-fingerprint");
    assert!(!std::path::Path::new(&shell.path("config")).exists(), "nothing is stored");

    let ca = shell.file("ca.pem", &world.ca);
    assert_eq!(run(login(&["--ca", &ca])).await.ok(), "Logged in to hub hub as admin (admin); context hub\n");
    let file = shell.path("config/causeway/hubctl.toml");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    // From now on the pin is known.
    run(login(&[])).await.ok();
    assert!(shell.run(&["version"]).await.ok().contains("API v1"));

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    shell.run(&["get", "nodes"]).await.failed(1, "cli-file-exposed");
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_comes_by_flag_environment_or_standard_input() {
    let world = World::new().await;
    let (pin, token) = (pin(&world), world.token.clone());
    let shell = Shell::new();
    let login = ["login", &world.base, "--ca-fingerprint", &pin, "--context", "a"];
    shell.run(&login).await.failed(2, "cli-empty-token");
    let wrong = "cwa1.admin.0000000000000000000000000000000000000000000000000000000000000000";
    let refused = shell.run_with(&login, wrong).await;
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(!refused.err.contains("cwa1."), "tokens are never shown: {refused:?}");
    shell.run_with(&login, &format!("{token}\n")).await.ok();

    // A pipeline needs no file.
    let bare =
        Shell::new().with("CAUSEWAY_SERVER", &world.base).with("CAUSEWAY_CA_FINGERPRINT", &pin).with("CAUSEWAY_TOKEN", &token);
    assert_eq!(bare.run(&["get", "nodes", "-o", "name"]).await.ok(), "");
    Shell::new().run(&["get", "nodes"]).await.failed(2, "cli-no-context");
    // The stored token is not shown to another server.
    shell.run(&["get", "nodes", "--server", "https://127.0.0.1:1"]).await.failed(4, "cli-no-pin");

    let list = shell.run(&["context", "list"]).await.ok();
    assert!(list.contains("*") && list.contains(&world.base) && !list.contains(&token), "{list}");
    shell.run(&["context", "use", "b"]).await.failed(3, "cli-context-unknown");
    shell.run(&["context", "remove", "a"]).await.ok();
    shell.run(&["get", "nodes"]).await.failed(2, "cli-no-context");
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_respected_and_a_hub_that_is_away_is_told_apart() {
    let world = World::new().await;
    let shell = Shell::of(&world).await;
    let viewer = shell.run(&["api-token", "create", "guest", "--role", "viewer", "-q"]).await.ok();
    let guest = Shell::new()
        .with("CAUSEWAY_SERVER", &world.base)
        .with("CAUSEWAY_CA_FINGERPRINT", &pin(&world))
        .with("CAUSEWAY_TOKEN", viewer.trim());
    assert!(guest.run(&["get", "publishers"]).await.ok().contains("team"));
    assert_eq!(guest.run(&["token", "create", "n1"]).await.code, 4);
    let names = shell.run(&["get", "api-tokens", "-o", "name"]).await.ok();
    assert_eq!(names, "api-token/admin\napi-token/guest\n");
    shell.run(&["api-token", "remove", "guest"]).await.ok();
    assert_eq!(guest.run(&["get", "publishers"]).await.code, 4);

    world.running.stop().await;
    let away = shell.run(&["get", "nodes"]).await.failed(7, "cli-unreachable");
    assert!(away.err.contains("refused"), "{away:?}");
    shell.run(&["version", "--client"]).await.ok();
}
