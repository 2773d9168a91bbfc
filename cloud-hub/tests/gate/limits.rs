//! Floods, silence and readers that do not read: bounded, and an honest node does not notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use cloud_hub::gate::{End, Limits, Rate, Refusal, SendError};
use shared::topic::Channel;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::client::{Client, SOON};
use super::packets::*;
use super::world::{World, limits, topic};

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_stop_nobody() {
    let world = World::with(Limits { half_open: 100, connect: Duration::from_secs(60), ..limits() }).await;
    let mut stalled = Vec::new();
    for n in 0..400 {
        let mut tcp = TcpStream::connect(world.address).await.expect("TCP");
        if n % 2 == 0 {
            tcp.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]).await.expect("half a ClientHello");
        }
        stalled.push(tcp);
    }
    let began = Instant::now();
    world.probe("400 stalled connections").await;
    assert!(began.elapsed() < Duration::from_secs(2), "an honest node waited {:?}", began.elapsed());
    assert!(world.stats.refused(Refusal::Evicted) >= 300);
    assert!(world.stats.connections() <= 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_says_who_it_is_is_closed() {
    let world = World::with(Limits { connect: Duration::from_millis(500), ..limits() }).await;
    let _tcp = TcpStream::connect(world.address).await.expect("TCP");
    let mut tls = world.client("n1").await;
    tls.closed("TLS and then nothing").await;
    while world.stats.refused(Refusal::Late) < 2 {
        sleep(Duration::from_millis(20)).await;
    }
    world.probe("silence").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_counted_and_rated() {
    let slow = Rate { per_second: 1, burst: 5 };
    let world = World::with(Limits { from_source: slow, ..limits() }).await;
    let config = world.node("n1");
    let mut good = 0;
    for _ in 0..10 {
        good += usize::from(Client::tls(world.address, &config).await.is_ok());
    }
    assert!((5..=7).contains(&good), "{good} of 10");
    assert!(world.stats.refused(Refusal::FromSource) >= 3);

    let world = World::with(Limits { connections: 2, ..limits() }).await;
    let (_one, _two) = (world.connected("n1").await, world.connected("n2").await);
    assert!(Client::tls(world.address, &world.node("n3")).await.is_err());
    assert_eq!(world.stats.refused(Refusal::Connections), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_node_is_lost_after_one_and_a_half_keep_alives() {
    let world = World::new().await;
    for keep_alive in [0, 601, 65_535] {
        let mut client = world.client("n1").await;
        client.exchange(&connect("n1", keep_alive), &[0x20, 2, 0, 5]).await;
        client.closed("keep-alive").await;
    }
    let mut client = world.client("n1").await;
    client.exchange(&connect("n1", 1), &CONNACK).await;
    let began = Instant::now();
    for _ in 0..4 {
        sleep(Duration::from_millis(600)).await;
        client.exchange(&PING, &[0xd0, 0]).await;
    }
    client.closed("silence").await;
    let lasted = began.elapsed();
    assert!(lasted > Duration::from_millis(3800) && lasted < Duration::from_secs(60), "{lasted:?}");
    assert_eq!(world.stats.ended(End::Silent), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_does_not_read_holds_little_and_is_closed() {
    let world = World::with(Limits { stall: Duration::from_secs(1), ..limits() }).await;
    let client = world.subscribed("n1").await;
    let session = world.hub.session("n1").await;
    let frame = Bytes::from(vec![7; 256 << 10]);
    let mut taken = 0;
    let push = async {
        while session.bulk(frame.clone()).await.is_ok() {
            taken += 1;
        }
    };
    timeout(SOON, push).await.expect("the session ends");
    assert_eq!(session.ended(), Some(End::Stalled));
    assert_eq!(session.try_control(Bytes::new()), Err(SendError::Gone));
    assert!(taken < 80, "{taken} frames were taken: the kernel holds a few MB, the gate four frames");
    drop(client);
    world.hub.expect("n1", &["joined", "left"]).await;
    world.probe("a stalled reader").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_never_subscribes_does_not_keep_messages_waiting() {
    let world = World::with(Limits { stall: Duration::from_secs(1), ..limits() }).await;
    let mut client = world.connected("n1").await;
    let session = world.hub.session("n1").await;
    session.try_control(Bytes::from_static(b"x")).expect("room");
    client.closed("no subscription").await;
    assert_eq!(session.ended(), Some(End::Stalled));
}

/// A client that asks for many answers and takes none is not read from either.
#[tokio::test(flavor = "multi_thread")]
async fn answers_nobody_takes_are_bounded() {
    let world = World::with(Limits { stall: Duration::from_secs(1), ..limits() }).await;
    let client = world.connected("n1").await;
    let (_read, mut write) = tokio::io::split(client.0);
    let flood = async { while write.write_all(&PING.repeat(4096)).await.is_ok() {} };
    timeout(SOON, flood).await.expect("closed");
    assert_eq!(world.stats.ended(End::Stalled), 1);
    world.probe("a flood of pings").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_messages_of_one_node_leave_nothing_behind() {
    let world = World::new().await;
    let mut client = world.connected("n1").await;
    let own = topic("n1", Channel::State);
    let batch = publish(own.as_bytes(), 0, b"x").repeat(100);
    for _ in 0..1000 {
        client.send(&batch).await;
    }
    client.exchange(&publish(own.as_bytes(), 1, b"last"), &PUBACK).await;
    assert_eq!(world.hub.seen("n1").len(), 100_002);
    world.probe("many messages").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_still_taken_is_tried_again() {
    let world = World::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("listener");
    let listen = taken.local_addr().expect("address");
    tokio::spawn(async move {
        sleep(Duration::from_millis(400)).await;
        drop(taken);
    });
    let serving = world.ca.serving(&["localhost".parse().expect("host")], [3; 16], super::world::now()).expect("serving");
    let config = cloud_hub::gate::Config { listen, serving, limits: limits() };
    let gate = cloud_hub::gate::Gate::bind(config, &world.ca, world.hub.clone(), world.broker.clone()).await;
    assert_eq!(gate.expect("gate").local_addr().expect("address"), listen);
}

#[tokio::test]
async fn a_control_message_waits_for_little_of_what_the_kernel_could_hold() {
    let world = World::new().await;
    let mut client = world.subscribed("n1").await;
    let session = world.hub.session("n1").await;
    let taken = Arc::new(AtomicU64::new(0));
    let frames = tokio::spawn({
        let (session, taken) = (session.clone(), taken.clone());
        async move {
            while session.bulk(Bytes::from(vec![7; 8 << 10])).await.is_ok() {
                taken.fetch_add(1, Relaxed);
            }
        }
    });
    // The node takes nothing until the connection holds what it can.
    let mut before = None;
    while before != Some(taken.load(Relaxed)) {
        before = Some(taken.load(Relaxed));
        sleep(Duration::from_millis(300)).await;
    }
    session.try_control(Bytes::from_static(b"desired")).expect("room");
    let mut before = 0;
    loop {
        let packet = client.packet().await.expect("a message");
        if packet.ends_with(b"desired") {
            break;
        }
        before += packet.len();
    }
    // What the receiver's kernel takes, 16 KiB that are not sent, and what TLS holds; megabytes without the bound.
    assert!(before < 512 << 10, "{before} bytes came before it");
    frames.abort();
}
