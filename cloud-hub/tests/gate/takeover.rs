//! One session per node: takeover, wills, order of what the hub hears, and messages in both directions.

use bytes::Bytes;
use cloud_hub::gate::{End, SendError};
use shared::topic::Channel;
use tokio::time::{Duration, Instant};

use super::client::Client;
use super::packets::*;
use super::world::{World, name, topic};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_takes_over_its_own_session_only() {
    let world = World::new().await;
    let mut first = world.subscribed("n1").await;
    let session = world.hub.session("n1").await;
    let mut other = world.client("n2").await;
    other.exchange(&connect("n1", 60), &[0x20, 2, 0, 2]).await;
    other.closed("another node's client id").await;
    first.exchange(&PING, &[0xd0, 0]).await;

    let mut second = world.subscribed("n1").await;
    first.closed("taken over").await;
    assert_eq!(session.ended(), Some(End::TakenOver));
    assert_eq!(session.bulk(Bytes::new()).await, Err(SendError::Gone));
    second.exchange(&PING, &[0xd0, 0]).await;
    world.hub.expect("n1", &["joined", "left", "joined"]).await;
    world.probe("takeover").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_connections_of_one_node_leave_one_session() {
    let world = std::sync::Arc::new(World::new().await);
    let config = world.node("n1");
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let (world, config) = (world.clone(), config.clone());
            tokio::spawn(async move {
                let mut client = Client::tls(world.address, &config).await.expect("TLS");
                client.send(&connect("n1", 60)).await;
                client.packet().await.map(|_| client)
            })
        })
        .collect();
    let mut clients = Vec::new();
    for task in tasks {
        clients.extend(task.await.expect("task"));
    }
    let mut open = 0;
    for client in &mut clients {
        client.send(&PING).await;
        open += usize::from(client.packet().await.is_some());
    }
    assert_eq!((open, world.stats.nodes()), (1, 1));
    let log = world.hub.seen("n1");
    let order: Vec<&str> = (0..log.len()).map(|n| if n % 2 == 0 { "joined" } else { "left" }).collect();
    assert_eq!(log, order, "one after the other");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_will_speaks_for_its_node_only() {
    let world = World::new().await;
    let own = topic("n1", Channel::State);
    let (other, down, request) = (topic("n2", Channel::State), topic("n1", Channel::Down), topic("n1", Channel::Request));
    for bad in ["é/x", "#", "", "$share/g/t", &other, &down, &request, "causeway/v1/n/+/s"] {
        let mut client = world.client("n1").await;
        client.exchange(&connect_with("n1", 60, Some((bad.as_bytes(), b"w", 1))), &[0x20, 2, 0, 5]).await;
        client.closed(bad).await;
        world.probe("a will").await;
    }
    let with_will = connect_with("n1", 60, Some((own.as_bytes(), b"gone", 1)));
    let mut client = world.client("n1").await;
    client.exchange(&with_will, &CONNACK).await;
    drop(client);
    world.hub.expect("n1", &["joined", "State gone", "left"]).await;

    let mut client = world.client("n1").await;
    client.exchange(&with_will, &CONNACK).await;
    client.send(&DISCONNECT).await;
    client.closed("after DISCONNECT").await;
    world.hub.expect("n1", &["joined", "State gone", "left", "joined", "left"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_go_both_ways_in_order() {
    let world = World::new().await;
    let mut client = world.connected("n1").await;
    let session = world.hub.session("n1").await;
    session.try_bulk(Bytes::from_static(b"bulk")).expect("room");
    session.try_control(Bytes::from_static(b"control")).expect("room");
    client.exchange(&PING, &[0xd0, 0]).await; // nothing is sent before the subscription
    client.exchange(&subscribe(&[&topic("n1", Channel::Down)]), &SUBACK).await;
    let down = |payload: &[u8]| Some(publish(topic("n1", Channel::Down).as_bytes(), 0, payload));
    assert_eq!(client.packet().await, down(b"control"));
    assert_eq!(client.packet().await, down(b"bulk"));

    for n in 0..100 {
        let channel = if n % 2 == 0 { Channel::State } else { Channel::Event };
        client.send(&publish(topic("n1", channel).as_bytes(), 1, format!("{n}").as_bytes())).await;
    }
    for _ in 0..100 {
        assert_eq!(client.packet().await, Some(PUBACK.to_vec()));
    }
    let seen = world.hub.seen("n1");
    let want: Vec<String> = (0..100).map(|n| format!("{} {n}", if n % 2 == 0 { "State" } else { "Event" })).collect();
    assert_eq!(seen[1..], want);

    client.exchange(&unsubscribe(&topic("n1", Channel::Down)), &[0xb0, 2, 0, 1]).await;
    session.try_control(Bytes::from_static(b"later")).expect("room");
    client.exchange(&PING, &[0xd0, 0]).await;
}

/// The hub answers requests inside `received` with more than fits into the queue: both directions must go on.
#[tokio::test(flavor = "multi_thread")]
async fn large_frames_flow_while_the_hub_waits_for_room() {
    let world = World::new().await;
    let mut client = world.subscribed("n1").await;
    let frame = vec![7; shared::wire::MESSAGE_MAX];
    let request = publish(topic("n1", Channel::Request).as_bytes(), 0, &frame);
    let (mut got, mut sent) = (0, 0);
    while got < 40 {
        while sent < 40 && sent < got + 8 {
            client.send(&request).await;
            sent += 1;
        }
        let answer = client.packet().await.expect("frame");
        assert_eq!(answer, publish(topic("n1", Channel::Down).as_bytes(), 0, &frame));
        got += 1;
    }
    world.probe("large frames").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_hub_is_taking_is_taken_to_its_end() {
    let world = World::new().await;
    let mut client = world.connected("n1").await;
    client.send(&publish(topic("n1", Channel::State).as_bytes(), 1, b"slow")).await;
    world.hub.expect("n1", &["joined", "begins"]).await;
    let began = Instant::now();
    assert!(world.sessions.end_node(&name("n1"), End::Revoked));
    client.closed("the client is cut off at once").await;
    assert!(began.elapsed() < Duration::from_secs(5));
    world.probe("a message that is being taken").await;
    assert_eq!(world.hub.seen("n1"), ["joined", "begins"]);
    world.hub.go_on.notify_one();
    world.hub.expect("n1", &["joined", "begins", "State slow", "left"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_stops_ends_every_session_first() {
    let mut world = World::new().await;
    let mut clients = [world.connected("n1").await, world.subscribed("n2").await];
    let session = world.hub.session("n2").await;
    world.stop().await;
    assert_eq!(session.ended(), Some(End::Stopping));
    for (client, node) in clients.iter_mut().zip(["n1", "n2"]) {
        assert_eq!(world.hub.seen(node), ["joined", "left"]);
        client.closed("stopped").await;
    }
    assert!(tokio::net::TcpStream::connect(world.address).await.is_err());
}
