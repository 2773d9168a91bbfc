//! What is carried by hand: bundles out, receipts in.

use std::io::Read;

use rcgen::SigningKey;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use shared::bundle::{Checked, Checker, Content};
use shared::fault::{Fault, node};
use shared::id::Digest;
use shared::receipt::{Receipt, Signed};
use shared::recipe::patch::PatchReader;
use shared::report::{Event, Report};
use shared::sign::{Envelope, Keyring, Purpose};
use shared::time::UnixMillis;
use shared::wire::v1::{Desired, Up};

use crate::fleet::join;
use crate::node::{FakeNode, Identity, report, running};
use crate::shell::Shell;
use crate::world::{World, name};

/// Content and bytes of every entry; what names its bytes has those bytes.
fn opened(path: &str) -> Vec<(Content, Vec<u8>)> {
    let bytes = std::fs::read(path).unwrap();
    let mut checker = Checker::default();
    checker.push(&bytes).unwrap();
    assert_eq!(checker.size(), Some(bytes.len() as u64));
    let Checked { index, begin } = checker.finish().unwrap();
    let mut rest = &bytes[usize::try_from(begin).unwrap()..];
    let mut entries = Vec::new();
    for entry in index.entries {
        let mut bytes = vec![0; usize::try_from(entry.size).unwrap()];
        rest.read_exact(&mut bytes).unwrap();
        if let Content::Document(digest) | Content::Patch { patch: digest, .. } = &entry.content {
            assert_eq!(Digest::of(&bytes), *digest);
        }
        entries.push((entry.content, bytes));
    }
    entries
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_has_all_that_its_nodes_need() {
    let world = World::new().await;
    let shell = Shell::of(&world).await;
    let one = world.publish_as(&shell, "1.0.0").await;
    let two = world.publish_as(&shell, "2.0.0").await;
    let identity = join(&world, &shell, "n1").await;
    join(&world, &shell, "n2").await;
    shell.run(&["deploy", "web@1.0.0", "--name", "one", "-n", "n2"]).await.ok();
    shell.run(&["deploy", "web@2.0.0", "--name", "two", "-n", "n1"]).await.ok();

    let path = shell.path("site.bundle");
    let said = shell.run(&["export", "n1", "n2", "--to", &path]).await;
    assert!(said.err.contains("The hub prepares the bundle: layer"), "{said:?}");
    assert!(said.out.starts_with(&path) && said.out.contains("edge-node import"), "{said:?}");
    let whole = opened(&path);
    let releases: Vec<Digest> =
        whole.iter().filter_map(|(what, _)| if let Content::Release(id) = what { Some(*id) } else { None }).collect();
    assert!(releases.len() == 2 && releases.contains(&one) && releases.contains(&two));
    let (_, state) = whole.iter().find(|(what, _)| *what == Content::Desired(name("n1"))).unwrap();
    let hub: shared::sign::PublicKey = identity.answer["hubKey"].as_str().unwrap().parse().unwrap();
    let envelope = Envelope::from_bytes(state).unwrap();
    let payload = envelope.verify(Purpose::Desired, &Keyring::new([hub], 1)).unwrap();
    assert_eq!(Desired::decode(payload).unwrap().apps["web"].0, *two.as_bytes());
    let patches = |entries: &[(Content, Vec<u8>)]| {
        let patch = |(what, bytes): &(Content, Vec<u8>)| match what {
            Content::Patch { layer, from, .. } => {
                let reader = PatchReader::new(&bytes[..]).unwrap();
                assert_eq!((&reader.head().to.digest, &reader.head().from), (layer, from));
                Some(from.len())
            }
            Content::Desired(_) | Content::Release(_) | Content::Document(_) => None,
        };
        entries.iter().filter_map(patch).collect::<Vec<_>>()
    };
    assert_eq!(patches(&whole), [0; 4], "nothing is needed for it");
    assert_eq!(opened(&path).len(), 2 + 2 + 4 + 4);

    // What the site has is left out; what differs is made out of it.
    shell.run(&["export", "n1", "--to", &path, "--have", "web@1.0.0", "-q"]).await.ok();
    let delta = opened(&path);
    assert_eq!(delta.len(), 1 + 1 + 2 + 2);
    assert!(patches(&delta).iter().sum::<usize>() <= 2);
    shell.run(&["export", "n1", "--to", &path, "--have", "web@2.0.0", "-q"]).await.ok();
    assert!(patches(&opened(&path)).is_empty());

    // A node that said what it is gets images of its kind only.
    let mut node = FakeNode::connect(world.running.gate, &identity, &world.ca).await.unwrap();
    node.hello(0, [0; 32]).await;
    node.say(&crate::node::report_of("linux/arm64", 1)).await;
    shell.run(&["wait", "--for=connected", "node/n1", "--timeout", "5s"]).await.ok();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    shell.run(&["export", "n1", "--to", &path, "-q"]).await.ok();
    assert!(patches(&opened(&path)).is_empty());

    shell.run(&["export", "--to", &path]).await.failed(2, "cli-missing-argument");
    shell.run(&["export", "N1", "--to", &path]).await.failed(2, "cli-bad-name");
    shell.run(&["export", "n9", "--to", &shell.path("none"), "--lang", "zh"]).await.failed(3, "hub-node-not-found");
    assert!(!std::path::Path::new(&shell.path("none")).exists());
    shell.run(&["export", "n1", "--to", &path, "--have", "web@9"]).await.failed(3, "hub-release-not-found");
    shell.run(&["export", "n1", "--to", "/proc/none"]).await.failed(1, "bundle-no-room");
    shell.run(&["node", "revoke", "n2"]).await.ok();
    let revoked = shell.run(&["export", "n2", "--to", &path]).await;
    assert!(revoked.err.contains("hub-node-is-revoked"), "{revoked:?}");
    world.running.stop().await;
}

fn event(number: u64) -> Event {
    let what = Fault::new(&node::EVENT_STARTED).with("version", number);
    Event { number, wall: UnixMillis(5), app: None, what }
}

fn plain(report: Up) -> Report {
    let Up::Report(report) = report else { panic!("a report") };
    report.try_into().unwrap()
}

/// A receipt, as the node signs it.
fn signed(identity: &Identity, receipt: &Receipt) -> Signed {
    let payload = receipt.to_bytes();
    let signature = identity.key.sign(&Purpose::Receipt.message(&payload)).unwrap();
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap().to_vec();
    Signed { payload, certificate, signature }
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_are_merged_once_and_only_from_their_node() {
    let world = World::new().await;
    let shell = Shell::of(&world).await;
    let id = world.publish_as(&shell, "1.0.0").await;
    let identity = join(&world, &shell, "n1").await;
    shell.run(&["deploy", "web@1.0.0", "-n", "n1"]).await.ok();
    let receipt = |next: u64, sequence, from: u64| Receipt {
        node: name("n1"),
        next,
        report: plain(report(sequence, 1, Some(running("web", id, "1.0.0")))),
        events: (from..next).map(event).collect(),
    };
    let events = async || {
        let json: Value = serde_json::from_str(&shell.run(&["get", "events", "--node", "n1", "-o", "json"]).await.ok()).unwrap();
        let items = json.as_array().or_else(|| json["items"].as_array()).unwrap().clone();
        items.iter().filter(|event| event.to_string().contains("node-started")).count()
    };

    // More than a node may say at once over the link: a person brings it.
    let file = shell.file("n1.receipt", signed(&identity, &receipt(2500, 7, 0)).to_bytes());
    let said = shell.run(&["import-receipts", &file]).await.ok();
    assert_eq!(said, "Receipt of n1: 2500 new events; the report was taken\n");
    let shown = shell.run(&["describe", "node", "n1"]).await.ok();
    assert!(shown.contains("web   web       running"), "{shown}");
    let again = shell.run(&["import-receipts", &file, &file, "--lang", "zh"]).await.ok();
    assert_eq!(again.lines().collect::<Vec<_>>(), ["节点 n1 的回执：新增 0 条事件；中心已有同样新或更新的报告"; 2]);
    let newest = shell.file("b", signed(&identity, &receipt(2503, 9, 2400)).to_bytes());
    assert!(shell.run(&["import-receipts", &newest]).await.ok().contains("3 new events; the report was taken"));
    let shown = events().await;
    assert!(shell.run(&["import-receipts", &file]).await.ok().contains("0 new events"), "an older one changes nothing");
    assert_eq!(events().await, shown);

    // The same state with the journal as it was: one of another boot is not known to be newer.
    let mut reboot = receipt(2503, 1, 2503);
    reboot.report.facts.boot = "other".into();
    let file = shell.file("c", signed(&identity, &reboot).to_bytes());
    assert!(shell.run(&["import-receipts", &file]).await.ok().contains("at least as new"));

    // Somebody else's word, changed words, and things that are no receipts.
    let stranger = join(&world, &shell, "n2").await;
    let good = signed(&identity, &receipt(2600, 20, 2503));
    let mut changed = good.clone();
    changed.payload = receipt(2600, 21, 2503).to_bytes();
    let other_key = Signed { signature: signed(&stranger, &receipt(2600, 20, 2503)).signature, ..good.clone() };
    let other = signed(&stranger, &receipt(2600, 20, 2503));
    let mut cut = good.to_bytes();
    cut.truncate(cut.len() / 2);
    let mut elsewhere = receipt(2600, 20, 2503);
    elsewhere.node = name("n9");
    for (bytes, code) in [
        (changed.to_bytes(), "bundle-receipt-not-signed"),
        (other_key.to_bytes(), "bundle-receipt-not-signed"),
        (other.to_bytes(), "hub-node-other-certificate"),
        (signed(&identity, &elsewhere).to_bytes(), "hub-node-not-found"),
        (cut, "bundle-receipt-unreadable"),
        (b"PK".to_vec(), "bundle-not-a-receipt"),
    ] {
        let said = shell.run(&["import-receipts", &shell.file("bad", bytes)]).await;
        assert!(said.code != 0 && said.err.contains(code), "{code}: {said:?}");
    }
    let bytes = good.to_bytes();
    for bit in (0..200).map(|n| (n * 7919) % (bytes.len() * 8)) {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let (status, _) = world.bytes(reqwest::Method::POST, "/api/v1/receipts", flipped).await;
        assert!(status.is_client_error(), "bit {bit}: {status}");
    }
    assert_eq!(events().await, shown, "nothing of it was taken");
    shell.run(&["import-receipts", &shell.path("none")]).await.failed(1, "cli-file-failed");
    shell.run(&["node", "revoke", "n1"]).await.ok();
    let revoked = shell.run(&["import-receipts", &shell.file("good", bytes)]).await;
    assert!(revoked.err.contains("hub-node-is-revoked"), "{revoked:?}");
    world.running.stop().await;
}
