//! What changes is shown as it happens, whatever the network does.

use std::io::{BufRead, BufReader};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use serde_json::Value;

use crate::node::enroll;
use crate::proxy::Proxy;
use crate::shell::{Running, Shell, pin};
use crate::world::World;

/// The lines a program prints.
fn lines(running: &mut Running) -> Receiver<String> {
    let (sender, lines) = sync_channel(100);
    let out = BufReader::new(running.0.stdout.take().unwrap());
    std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    lines
}

fn next(lines: &Receiver<String>) -> String {
    lines.recv_timeout(Duration::from_secs(20)).expect("a line in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_after_a_cut() {
    let world = World::new().await;
    let proxy = Proxy::new(world.running.api, 0, 0).await;
    let shell = Shell::of(&world).await;
    let far = Shell::new()
        .with("CAUSEWAY_SERVER", &format!("https://{}", proxy.address))
        .with("CAUSEWAY_CA_FINGERPRINT", &pin(&world))
        .with("CAUSEWAY_TOKEN", &world.token);
    enroll(&world, "a").await;
    let mut watch = far.start(&["get", "nodes", "--watch", "-o", "json"]);
    let watched = lines(&mut watch);
    let name = |line: &str| serde_json::from_str::<Value>(line).unwrap()["metadata"]["name"].as_str().unwrap().to_owned();
    assert_eq!(name(&next(&watched)), "a");
    for round in 0..3 {
        let before = proxy.connections.load(Ordering::SeqCst);
        proxy.cut();
        // What happens while nobody is connected is told afterwards.
        let label = format!("round={round}");
        shell.run(&["node", "label", "a", &label]).await.ok();
        loop {
            let line = next(&watched);
            if line.contains(&format!("\"round\":\"{round}\"")) {
                break;
            }
        }
        assert!(proxy.connections.load(Ordering::SeqCst) > before, "it connected again");
    }
    shell.run(&["node", "delete", "a"]).await.ok();
    while !next(&watched).contains("\"deleted\":true") {}
    drop(watch);
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_grow_and_events_come_in_order() {
    let world = World::new().await;
    let shell = Shell::of(&world).await;
    let mut nodes = shell.start(&["get", "nodes", "-w"]);
    let rows = lines(&mut nodes);
    assert!(next(&rows).starts_with("NAME"));
    let mut events = shell.start(&["get", "events", "-w", "-o", "json"]);
    let told = lines(&mut events);
    enroll(&world, "crane").await;
    assert!(next(&rows).starts_with("crane"));
    let mut last = 0;
    loop {
        let event: Value = serde_json::from_str(&next(&told)).unwrap();
        let cursor = event["cursor"].as_u64().unwrap();
        assert!(cursor > last || last == 0, "each once, in order");
        last = cursor;
        if event["node"] == "crane" {
            break;
        }
    }
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_ends_the_program_quietly() {
    let shell = Shell::new();
    for args in [&["completion", "bash"][..], &["--help"]] {
        let mut running = shell.start(args);
        drop(running.0.stdout.take());
        let status = running.0.wait().unwrap();
        let mut said = String::new();
        std::io::Read::read_to_string(&mut running.0.stderr.take().unwrap(), &mut said).unwrap();
        assert_eq!((status.code(), said.as_str()), (Some(0), ""), "{args:?}");
    }
}
