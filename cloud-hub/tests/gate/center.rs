//! Other MQTT clients: of the center, through the router; and rumqttc, which nodes use.

use std::time::Duration;

use bytes::Bytes;
use cloud_hub::ca::Identity;
use rumqttc::{AsyncClient, Broker, Event, Incoming, MqttOptions, PublishOptions, QoS, TlsConfiguration, Transport};
use shared::topic::Channel;
use shared::wire::v1::{LogPiece, Up};
use tokio::time::{sleep, timeout};

use super::client::{Client, SOON};
use super::packets::*;
use super::world::{World, name, topic};

async fn center(world: &World, id: &str) -> Client {
    let (config, _) = world.identity(&Identity::Center(name(id)));
    let mut client = Client::tls(world.address, &config).await.expect("TLS");
    client.exchange(&connect(id, 60), &CONNACK).await;
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn the_center_reads_what_nodes_report_and_nothing_else() {
    let world = World::new().await;
    let mut node = world.connected("n1").await;
    node.exchange(&publish(topic("n1", Channel::State).as_bytes(), 1, b"unheard"), &PUBACK).await;

    let mut reader = center(&world, "grafana").await;
    reader.exchange(&subscribe(&["causeway/v1/n/+/s", &topic("n1", Channel::Event)]), &[0x90, 4, 0, 1, 0, 0]).await;
    node.exchange(&publish(topic("n1", Channel::Request).as_bytes(), 1, b"private"), &PUBACK).await;
    let log = Up::Log(LogPiece { request: 1, lines: "the password is hunter2\n".into(), end: None }).encode();
    node.exchange(&publish(topic("n1", Channel::Event).as_bytes(), 1, &log), &PUBACK).await;
    for (channel, payload) in [(Channel::State, b"one".to_vec()), (Channel::Event, Up::Events(Vec::new()).encode())] {
        node.exchange(&publish(topic("n1", channel).as_bytes(), 1, &payload), &PUBACK).await;
        let heard = Some(publish(topic("n1", channel).as_bytes(), 0, &payload));
        assert_eq!(reader.packet().await, heard);
    }
    reader.exchange(&unsubscribe("causeway/v1/n/+/s"), &[0xb0, 2, 0, 1]).await;
    reader.exchange(&PING, &[0xd0, 0]).await;

    for (why, bytes) in [
        ("publishing", publish(topic("n1", Channel::State).as_bytes(), 0, b"x")),
        ("publishing to a node", publish(topic("n1", Channel::Down).as_bytes(), 1, b"x")),
        ("reading what nodes get", subscribe(&["causeway/v1/n/+/d"])),
        ("reading everything", subscribe(&["#"])),
        ("a shared subscription", subscribe(&["$share/g/causeway/v1/n/+/s"])),
        ("the probe", subscribe(&[shared::topic::PROBE])),
        ("a second CONNECT", connect("evil", 60)),
        ("an acknowledgement", PUBACK.to_vec()),
    ] {
        let mut client = center(&world, "evil").await;
        client.send(&bytes).await;
        client.closed(why).await;
        world.probe(why).await;
    }
    reader.exchange(&PING, &[0xd0, 0]).await;
    assert!(world.broker.is_alive());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_center_client_comes_and_goes_under_one_name() {
    let world = World::new().await;
    let mut node = world.connected("n1").await;
    let mut first = center(&world, "grafana").await;
    let mut second = center(&world, "grafana").await;
    first.closed("taken over").await;
    for round in 0..20 {
        second.send(&DISCONNECT).await;
        second.closed("left").await;
        second = center(&world, "grafana").await;
        second.exchange(&subscribe(&["causeway/v1/n/+/s"]), &SUBACK).await;
        let payload = format!("{round}");
        node.exchange(&publish(topic("n1", Channel::State).as_bytes(), 1, payload.as_bytes()), &PUBACK).await;
        assert_eq!(second.packet().await, Some(publish(topic("n1", Channel::State).as_bytes(), 0, payload.as_bytes())));
    }
    drop(second);
    while world.broker.has_readers() {
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rumqttc_connects_subscribes_publishes_and_gets_large_frames() {
    let world = World::new().await;
    let mut options = MqttOptions::new("n1", Broker::tcp("localhost", world.address.port()));
    options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(world.node("n1"))));
    options.set_keep_alive(60);
    options.set_max_packet_size(300 << 10, 300 << 10);
    let (client, mut events) = AsyncClient::builder(options).capacity(16).build();
    client.subscribe(topic("n1", Channel::Down), QoS::AtMostOnce).await.expect("queued");
    let report = PublishOptions::new(QoS::AtLeastOnce);
    client.publish(topic("n1", Channel::State), Bytes::from_static(b"report"), report).await.expect("queued");

    let (mut acks, mut frames) = (0, 0);
    let frame = Bytes::from(vec![9; shared::wire::MESSAGE_MAX]);
    let work = async {
        while (acks, frames) != (2, 20) {
            match events.poll().await.expect("connection") {
                Event::Incoming(Incoming::SubAck(_)) => {
                    acks += 1;
                    let (session, frame) = (world.hub.session("n1").await, frame.clone());
                    tokio::spawn(async move {
                        for _ in 0..20 {
                            session.bulk(frame.clone()).await.expect("session");
                        }
                    });
                }
                Event::Incoming(Incoming::PubAck(_)) => acks += 1,
                Event::Incoming(Incoming::Publish(publish)) => {
                    assert_eq!(publish.payload, frame);
                    frames += 1;
                }
                Event::Incoming(_) | Event::Outgoing(_) => {}
            }
        }
    };
    timeout(SOON, work).await.expect("in time");
    world.hub.expect("n1", &["joined", "State report"]).await;
}
