//! Packets that kill rumqttd, or must not be believed: each closes its own connection and nothing else.

use std::sync::Arc;
use std::time::Duration;

use shared::topic::Channel;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::client::Client;
use super::packets::*;
use super::world::{World, limits, topic};

/// An attacker whose certificate is good sends `bytes` after it was accepted.
async fn after_connect(world: &World, why: &str, bytes: &[u8]) {
    let mut client = world.connected("evil").await;
    client.send(bytes).await;
    client.closed(why).await;
    world.probe(why).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publishes_that_are_not_the_nodes_own_close_it() {
    let world = World::new().await;
    let (own, other, down) = (topic("evil", Channel::State), topic("n2", Channel::State), topic("evil", Channel::Down));
    let deep = format!("{own}/x");
    let long = "a".repeat(65_535);
    for (why, topic) in [
        ("a topic whose first character is not ASCII", "é/x"),
        ("a shared subscription as topic", "$share/g/t"),
        ("a system topic", "$SYS/x"),
        ("the hub's own probe", shared::topic::PROBE),
        ("another node's topic", &other),
        ("the own downlink", &down),
        ("a level below the own topic", &deep),
        ("a wildcard of one level", "causeway/v1/n/+/s"),
        ("a wildcard of all levels", "causeway/v1/n/evil/#"),
        ("everything", "#"),
        ("an empty topic", ""),
        ("empty levels", "//"),
        ("65,535 bytes", &long),
    ] {
        for qos in [0, 1] {
            after_connect(&world, why, &publish(topic.as_bytes(), qos, b"x")).await;
        }
    }
    after_connect(&world, "a topic with NUL", &publish(b"causeway/v1/n/evil/s\0", 0, b"x")).await;
    after_connect(&world, "half a surrogate", &publish(b"\xed\xa0\x80", 0, b"x")).await;
    after_connect(&world, "QoS 2", &publish(own.as_bytes(), 2, b"x")).await;
    after_connect(&world, "packet id 0", &packet(0x32, &[&[0, 20], own.as_bytes(), &[0, 0]].concat())).await;
    assert!(world.hub.seen("evil").iter().all(|line| line == "joined" || line == "left"), "nothing of it was believed");
    assert!(world.hub.seen("n2").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_that_are_not_the_nodes_own_close_it() {
    let world = World::new().await;
    let (other, state) = (topic("n2", Channel::Down), topic("evil", Channel::State));
    let shared_own = format!("$share/g/{}", topic("evil", Channel::Down));
    for filter in ["#", "+", "+/#", "$SYS/#", "$share/g/t", "causeway/v1/n/+/d", "", "a/#/b", "é/x", &other, &state, &shared_own]
    {
        after_connect(&world, filter, &subscribe(&[filter])).await;
        let own = topic("evil", Channel::Down);
        after_connect(&world, filter, &subscribe(&[&own, filter])).await;
    }
    after_connect(&world, "no filter", &packet(0x82, &[0, 1])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_out_of_place_close_it() {
    let world = World::new().await;
    for (why, bytes) in [
        ("a second CONNECT", connect("evil", 60)),
        ("PUBACK of nothing", packet(0x40, &[0, 1])),
        ("PUBREC of nothing", packet(0x50, &[0, 1])),
        ("PUBREL of nothing", packet(0x62, &[0, 1])),
        ("PUBCOMP of nothing", packet(0x70, &[0, 1])),
        ("CONNACK", CONNACK.to_vec()),
        ("SUBACK", SUBACK.to_vec()),
        ("UNSUBACK", packet(0xb0, &[0, 1])),
        ("PINGRESP", packet(0xd0, &[])),
        ("packet kind 0", packet(0x00, &[])),
        ("packet kind 15", packet(0xf0, &[])),
        ("reserved flags", packet(0xc1, &[])),
        ("a length of five bytes", vec![0x30, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ("256 MiB declared", vec![0x30, 0xff, 0xff, 0xff, 0x7f]),
        ("one byte more than a message", vec![0x30, 0x81, 0x90, 0x10]),
    ] {
        after_connect(&world, why, &bytes).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn first_packets_that_are_no_connect_close_it() {
    let world = World::new().await;
    let mut cases: Vec<(String, Vec<u8>)> = (0..=15)
        .filter(|kind| *kind != 1)
        .map(|kind| (format!("kind {kind} first"), packet((kind << 4) | if [6, 8, 10].contains(&kind) { 2 } else { 0 }, &[0, 1])))
        .collect();
    cases.push(("more than 16 KiB".into(), vec![0x10, 0x80, 0x80, 0x01]));
    cases.push(("HTTP".into(), b"GET / HTTP/1.1\r\n\r\n".to_vec()));
    for (why, bytes) in cases {
        let mut client = world.client("evil").await;
        client.send(&bytes).await;
        client.closed(&why).await;
        world.probe(&why).await;
    }
    assert!(world.hub.seen("evil").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_id_other_than_the_certificate_is_refused_every_time() {
    let world = World::new().await;
    for id in ["bad#id", "bad#id", "n2", "", "EVIL", "evil ", "+", &"x".repeat(60_000)] {
        let mut client = world.client("evil").await;
        client.send(&connect(id, 60)).await;
        if id.len() < 16_000 {
            assert_eq!(client.packet().await, Some(vec![0x20, 2, 0, 2]), "{id:?}");
        }
        client.closed(id).await;
        world.probe("a bad client id").await;
    }
    for (version, bytes) in [("3.1", &b"\x00\x06MQIsdp\x03"[..]), ("5", b"\x00\x04MQTT\x05")] {
        let mut client = world.client("evil").await;
        client.send(&packet(0x10, &[bytes, &[2, 0, 60, 0, 4], b"evil"].concat())).await;
        assert_eq!(client.packet().await, Some(vec![0x20, 2, 0, 1]), "{version}");
        client.closed(version).await;
    }
    assert!(world.hub.seen("evil").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_that_drip_are_closed_in_time() {
    let world = World::with(cloud_hub::gate::Limits { connect: Duration::from_secs(1), ..limits() }).await;
    let mut client = world.client("evil").await;
    let began = Instant::now();
    client.send(&[0x10, 0x80, 0x7f]).await;
    let drip = async {
        for _ in 0..100 {
            client.send(&[0]).await;
            sleep(Duration::from_millis(50)).await;
        }
    };
    let _dripped = tokio::time::timeout(Duration::from_millis(1500), drip).await;
    client.closed("a CONNECT that drips").await;
    assert!(began.elapsed() < Duration::from_secs(5));

    // Bytes are no sign of life, only packets are: keep-alive 1 s, closed after 1.5 s although bytes come.
    let mut client = world.client("slow").await;
    client.exchange(&connect("slow", 1), &CONNACK).await;
    let began = Instant::now();
    client.send(&[0x30, 0x80, 0x01]).await;
    let drip = async {
        for _ in 0..40 {
            client.send(&[0]).await;
            sleep(Duration::from_millis(50)).await;
        }
    };
    drip.await;
    client.closed("a PUBLISH that drips").await;
    assert!(began.elapsed() < Duration::from_secs(6));
    world.probe("dripping").await;
}

/// A small generator, so that a failure can be repeated.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn random_bytes(state: &mut u64, most: u64) -> Vec<u8> {
    (0..random(state) % most + 1).map(|_| random(state).to_le_bytes()[3]).collect()
}

/// Sends each of `inputs` on a connection of its own, 16 at a time, and lets the gate close it or not.
async fn shower(world: &Arc<World>, connect_first: bool, inputs: Vec<Vec<u8>>) {
    let slots = Arc::new(Semaphore::new(16));
    let configs: Vec<_> = (0..16).map(|n| (format!("evil-{n}"), world.node(&format!("evil-{n}")))).collect();
    let mut tasks = Vec::new();
    for (n, input) in inputs.into_iter().enumerate() {
        let slot = slots.clone().acquire_owned().await.expect("slot");
        let (world, (node, config)) = (world.clone(), configs[n % 16].clone());
        tasks.push(tokio::spawn(async move {
            let mut client = Client::tls(world.address, &config).await.expect("TLS");
            if connect_first {
                client.send(&connect(&node, 60)).await;
                client.packet().await;
            }
            client.send(&input).await;
            sleep(Duration::from_millis(1)).await;
            drop(slot);
        }));
    }
    for task in tasks {
        task.await.expect("attacker");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_random_first_packets_change_nothing() {
    let world = Arc::new(World::new().await);
    let mut state = 0x1234_5678_9abc_def1;
    let inputs = (0..1000).map(|_| random_bytes(&mut state, 200)).collect();
    shower(&world, false, inputs).await;
    world.probe("1000 random first packets").await;
    assert_eq!(world.hub.log.lock().expect("log").iter().filter(|line| line.starts_with("evil")).count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_mutated_packets_change_nothing() {
    let world = Arc::new(World::new().await);
    let mut state = 0xfeed_beef_dead_cafe;
    let own = topic("evil-1", Channel::State);
    let seeds = [
        publish(own.as_bytes(), 1, b"hello"),
        subscribe(&[&topic("evil-1", Channel::Down)]),
        unsubscribe(&topic("evil-1", Channel::Down)),
        connect_with("evil-1", 60, Some((own.as_bytes(), b"will", 1))),
        PING.to_vec(),
    ];
    let mutate = |n: usize| {
        let mut bytes = seeds[n % seeds.len()].clone();
        for _ in 0..=random(&mut state) % 3 {
            let place = usize::try_from(random(&mut state)).expect("place") % bytes.len();
            bytes[place] = random(&mut state).to_le_bytes()[2];
        }
        bytes
    };
    let inputs = (0..1000).map(mutate).collect();
    shower(&world, true, inputs).await;
    world.probe("1000 mutated packets").await;
}
