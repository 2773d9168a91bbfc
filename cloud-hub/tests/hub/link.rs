//! What goes over the link: desired states, blobs, journals, logs.

use serde_json::json;
use shared::id::Digest;
use shared::sign::{Envelope, Keyring, Purpose};
use shared::state::Desired;
use shared::topic::Channel;
use shared::wire::v1::{self, Down, Up};

use crate::node::{FakeNode, enroll, report};
use crate::world::{World, name, sample};

/// The signed state in a message, checked.
pub fn opened(world: &World, message: Option<Down>) -> (Desired, Digest) {
    let Some(Down::Desired(envelope)) = message else { panic!("a desired state, not {message:?}") };
    let envelope = Envelope::from(envelope);
    let ring = Keyring::new([world.running.hub.public_key()], 1);
    let payload = envelope.verify(Purpose::Desired, &ring).expect("signed by the hub");
    (v1::Desired::decode(payload).unwrap().try_into().unwrap(), envelope.payload_digest())
}

#[tokio::test]
async fn a_hello_is_answered_by_what_the_node_lacks() {
    let world = World::new().await;
    world.publish("1", "linux/amd64").await;
    let identity = enroll(&world, "n1").await;
    let mut node = FakeNode::connect(world.running.gate, &identity, &world.ca).await.expect("session");
    node.hello(0, [0; 32]).await;
    let (first, hash) = opened(&world, node.hear().await);
    assert_eq!((first.node, first.stamp.generation, first.apps.len()), (name("n1"), 1, 0));
    node.hello(1, *hash.as_bytes()).await;
    assert!(matches!(node.hear().await, Some(Down::Agreed { stamp, .. }) if stamp.generation == 1));

    world.deploy("d", "1", &["n1"]).await;
    let (second, hash) = opened(&world, node.hear().await);
    assert_eq!((second.stamp.generation, second.apps[&name("web")].revision), (2, 1), "sent by itself");
    node.hello(1, [0; 32]).await;
    assert_eq!(opened(&world, node.hear().await), (second, hash), "equal state stays equal in its bytes");

    node.say(&report(1, 1, None)).await;
    node.hears_nothing().await;
    world.pass(11);
    node.say(&report(2, 1, None)).await;
    assert!(matches!(node.hear().await, Some(Down::Desired(_))), "not accepted for a while: sent again");
}

#[tokio::test]
async fn a_node_that_is_ahead_is_never_sent_back() {
    let world = World::new().await;
    let identity = enroll(&world, "n1").await;
    let mut node = FakeNode::connect(world.running.gate, &identity, &world.ca).await.expect("session");
    for generation in 9..12 {
        node.hello(generation, [7; 32]).await;
    }
    node.hears_nothing().await;
    let shown = world.get("/api/v1/nodes/n1").await;
    let fault = &shown["status"]["faults"][0];
    assert_eq!((&fault["code"], &fault["params"]["held"]), (&json!("hub-node-ahead"), &json!("1.11")));
    let events = world.get("/api/v1/events?node=n1").await;
    let told = events["items"].as_array().unwrap().iter().filter(|event| event["what"]["code"] == "hub-node-ahead").count();
    assert_eq!(told, 1, "said once, whatever it claims to hold");

    node.hello(1, [7; 32]).await;
    node.hears_nothing().await;
    assert_eq!(world.get("/api/v1/nodes/n1").await["status"]["faults"][0]["code"], "hub-node-differs");
}

async fn pull(node: &mut FakeNode, request: u32, blob: Digest, offset: u64, length: u32) -> Down {
    node.say(&Up::Pull(v1::Pull { request, blob: *blob.as_bytes(), offset, length })).await;
    node.hear().await.expect("an answer")
}

#[tokio::test]
async fn a_node_pulls_what_is_assigned_to_it_and_nothing_else() {
    let world = World::new().await;
    let release = world.publish("1", "linux/amd64").await;
    let other = world.publish("2", "linux/amd64").await;
    let identity = enroll(&world, "n1").await;
    world.deploy("d", "1", &["n1"]).await;
    let mut node = FakeNode::connect(world.running.gate, &identity, &world.ca).await.expect("session");

    let Down::Frame(frame) = pull(&mut node, 1, release, 0, 1 << 20).await else { panic!("the release itself") };
    let envelope = Envelope::from_bytes(&frame.data).unwrap();
    assert_eq!((envelope.payload_digest(), frame.total), (release, frame.data.len() as u64));
    let Down::Frame(piece) = pull(&mut node, 1, release, 10, 20).await else { panic!("a piece of it") };
    assert_eq!((piece.total, &piece.data[..]), (frame.total, &frame.data[10..30]));

    for bytes in sample("1", "linux/amd64").blobs() {
        let (blob, mut got) = (Digest::of(&bytes), Vec::new());
        while got.len() < bytes.len() {
            let Down::Frame(frame) = pull(&mut node, 2, blob, got.len() as u64, u32::MAX).await else { panic!("a frame") };
            assert!(frame.data.len() <= 256 << 10);
            assert_eq!((frame.request, frame.offset, frame.total), (2, got.len() as u64, bytes.len() as u64));
            got.extend(frame.data);
        }
        assert!(got == bytes);
    }

    let layer = Digest::of(&sample("1", "linux/amd64").blobs()[0]);
    for (what, blob, offset, length, code) in [
        ("another release", other, 0, 100, "hub-blob-not-assigned"),
        ("a layer of it", Digest::of(&sample("2", "linux/amd64").layers[0].1), 0, 100, "hub-blob-not-assigned"),
        ("nothing", Digest::of(b"?"), 0, 100, "hub-blob-not-assigned"),
        ("behind the end", layer, 1 << 40, 100, "hub-blob-beyond-end"),
        ("no bytes", layer, 0, 0, "hub-blob-beyond-end"),
    ] {
        let Down::NoBlob { request, fault, .. } = pull(&mut node, 77, blob, offset, length).await else { panic!("{what}") };
        assert_eq!((request, fault.code.as_str()), (77, code), "{what}");
    }

    world.deploy("d", "2", &["n1"]).await;
    assert!(matches!(node.hear().await, Some(Down::Desired(_))));
    assert!(matches!(pull(&mut node, 3, other, 0, 100).await, Down::Frame(_)), "assigned now");
    // An undo goes back to it.
    assert!(matches!(pull(&mut node, 4, release, 0, 100).await, Down::Frame(_)), "the one before");
    assert!(matches!(pull(&mut node, 5, layer, 0, 100).await, Down::Frame(_)), "what it is made of");

    world.call(reqwest::Method::DELETE, "/api/v1/deployments/d", None).await;
    assert!(matches!(node.hear().await, Some(Down::Desired(_))));
    for blob in [release, other, layer] {
        assert!(matches!(pull(&mut node, 6, blob, 0, 100).await, Down::NoBlob { .. }), "not any more");
    }
    world.deploy("again", "2", &["n1"]).await;
    assert!(matches!(node.hear().await, Some(Down::Desired(_))));
    assert!(matches!(pull(&mut node, 7, release, 0, 100).await, Down::NoBlob { .. }), "this deployment never brought it");
}

#[tokio::test]
async fn control_messages_pass_frames_that_wait() {
    let world = World::new().await;
    world.publish("1", "linux/amd64").await;
    let identity = enroll(&world, "n1").await;
    world.deploy("d", "1", &["n1"]).await;
    let mut node = FakeNode::connect(world.running.gate, &identity, &world.ca).await.expect("session");
    let layer = Digest::of(&sample("1", "linux/amd64").layers[0].1);
    for request in 0..60 {
        node.say(&Up::Pull(v1::Pull { request, blob: *layer.as_bytes(), offset: 0, length: 200_000 })).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    node.hello(0, [0; 32]).await;
    let mut frames = 0;
    loop {
        match node.hear().await.expect("alive") {
            Down::Frame(_) => frames += 1,
            Down::Desired(_) => break,
            other @ (Down::Agreed { .. }
            | Down::NoBlob { .. }
            | Down::Patch(_)
            | Down::EventsStored(_)
            | Down::LogWanted(_)
            | Down::LogEnough { .. }) => panic!("{other:?}"),
        }
    }
    assert!(frames < 55, "the desired state came behind {frames} frames");
}

fn event(number: u64) -> v1::Event {
    let what = v1::Fault { code: "node-x".into(), params: [].into() };
    v1::Event { number, wall_ms: 7, app: Some("web".into()), what }
}

#[tokio::test]
async fn journal_entries_are_stored_once_and_confirmed() {
    let world = World::new().await;
    let identity = enroll(&world, "n1").await;
    let mut node = FakeNode::connect(world.running.gate, &identity, &world.ca).await.expect("session");
    for (numbers, confirmed) in [(vec![1, 2], 3), (vec![1, 2], 3), (vec![2, 3, 4], 5), (vec![7], 8)] {
        node.say(&Up::Events(numbers.iter().map(|n| event(*n)).collect())).await;
        assert_eq!(node.hear().await, Some(Down::EventsStored(confirmed)), "{numbers:?}");
    }
    let events = world.get("/api/v1/events?node=n1&app=web").await;
    let numbers: Vec<u64> = events["items"].as_array().unwrap().iter().map(|event| event["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 7]);
    let all = world.get("/api/v1/events?node=n1").await;
    let gap = all["items"].as_array().unwrap().iter().find(|event| event["what"]["code"] == "hub-journal-gap").unwrap();
    assert_eq!((&gap["what"]["params"]["from"], &gap["what"]["params"]["below"]), (&json!("5"), &json!("7")));

    node.say(&Up::Events((100..3000).map(event).collect())).await;
    assert_eq!(node.hear().await, Some(Down::EventsStored(1100)), "so many at once; the rest is sent again");
}

#[tokio::test]
async fn logs_are_read_through_the_link() {
    let world = World::new().await;
    let identity = enroll(&world, "n1").await;
    let url = format!("{}/api/v1/nodes/n1/logs?app=web&tail=5", world.base);
    let (status, problem) = crate::world::answer(world.http.get(&url).bearer_auth(&world.token)).await;
    assert_eq!((status.as_u16(), &problem["code"]), (503, &json!("hub-node-not-connected")));

    let mut node = FakeNode::connect(world.running.gate, &identity, &world.ca).await.expect("session");
    let reading = tokio::spawn(world.http.get(&url).bearer_auth(&world.token).send());
    let Some(Down::LogWanted(wanted)) = node.hear().await else { panic!("a request") };
    assert_eq!((wanted.app.as_str(), wanted.tail, wanted.follow), ("web", 5, false));
    let piece = |request, lines: &str, end| Up::Log(v1::LogPiece { request, lines: lines.into(), end });
    node.say(&piece(wanted.request + 1, "of somebody else\n", None)).await;
    assert!(matches!(node.hear().await, Some(Down::LogEnough { .. })), "nobody reads that one");
    node.say(&piece(wanted.request, "2026-01-01T00:00:00Z out a\n", None)).await;
    node.say(&piece(wanted.request, "2026-01-01T00:00:01Z err b\n", Some(None))).await;
    let text = reading.await.unwrap().unwrap().text().await.unwrap();
    assert_eq!(text, "2026-01-01T00:00:00Z out a\n2026-01-01T00:00:01Z err b\n");

    let refusing = tokio::spawn(world.http.get(&url).bearer_auth(&world.token).send());
    let Some(Down::LogWanted(wanted)) = node.hear().await else { panic!("a request") };
    let fault = v1::Fault { code: "node-no-app".into(), params: [].into() };
    node.say(&piece(wanted.request, "", Some(Some(fault)))).await;
    assert_eq!(refusing.await.unwrap().unwrap().status().as_u16(), 422);

    let following = world.http.get(format!("{url}&follow=true")).bearer_auth(&world.token).send();
    let following = async { following.await.unwrap() };
    let answering = async {
        let Some(Down::LogWanted(wanted)) = node.hear().await else { panic!("a request") };
        node.say(&piece(wanted.request, "x\n", None)).await;
        wanted
    };
    let (mut response, wanted) = tokio::join!(following, answering);
    assert_eq!(response.chunk().await.unwrap().unwrap(), "x\n");
    drop(response);
    let enough = loop {
        // The hub notices that the reader is gone when it has something to write.
        node.say(&piece(wanted.request, "y\n", None)).await;
        if let Ok(message) = tokio::time::timeout(std::time::Duration::from_millis(200), node.hear()).await {
            break message;
        }
    };
    assert_eq!(enough, Some(Down::LogEnough { request: wanted.request }));
}

#[tokio::test]
async fn what_cannot_be_read_is_shown_and_harms_nobody() {
    let world = World::new().await;
    let identity = enroll(&world, "n1").await;
    let mut node = FakeNode::connect(world.running.gate, &identity, &world.ca).await.expect("session");
    for (channel, bytes) in [
        (Channel::State, vec![]),
        (Channel::State, vec![9, 9, 9]),
        (Channel::State, vec![1; 5000]),
        (Channel::Request, Up::Events(Vec::new()).encode()),
        (Channel::Event, vec![1, 3, 255]),
    ] {
        node.say_bytes(channel, &bytes).await;
    }
    node.hello(0, [0; 32]).await;
    assert!(matches!(node.hear().await, Some(Down::Desired(_))), "the session goes on");
    let figures = world.get("/metrics").await;
    assert!(figures.as_str().unwrap().contains("causeway_hub_unreadable_total 5"), "{figures}");
}
