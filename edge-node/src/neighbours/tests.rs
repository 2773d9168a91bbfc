//! Nodes of one site over real TLS on loopback. Their hub is a map of bytes that counts what it sends.

mod waiting;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use shared::neighbour::{CHUNKS_MAX, LAYERS_MAX};
use shared::oci::Platform;
use shared::recipe::Recipe;
use shared::release::{Blob, Compression, Image, Layer};
use shared::sign::Envelope;
use shared::state::{Desired, Neighbour};
use shared::wire::v1::{Answer, Ask};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::lan::Tcp;
use super::talk::Useless;
use super::*;
use crate::budget::{Ledger, Record};
use crate::held::Accepted;
use crate::images::fetch::{FetchError, Fetched, Present, fetch};
use crate::images::memory::Memory;
use crate::images::packs::{PackTar, Packs};
use crate::images::{ChunkSource, Progress, SourceError};
use crate::shutdown::{Trigger, shutdown};
use crate::store::Store;
use crate::testing::{Authority, noise};

fn name(n: usize) -> Name {
    Name::new(&format!("n{n}")).unwrap()
}

fn image(hub: &mut Memory, layers: &[Vec<u8>]) -> Image {
    let layers = layers.iter().map(|tar| {
        let blob = hub.insert_layer(tar).unwrap();
        Layer { blob, compression: Compression::None, tar: blob, recipe: Recipe::of(tar).id() }
    });
    let layers: Vec<Layer> = layers.collect();
    let [manifest, config] = ["manifest", "config"].map(|text| hub.insert(format!("{text} {layers:?}").into_bytes()));
    let platform = Platform { os: "linux".into(), architecture: "amd64".into(), variant: String::new() };
    Image { platform, manifest, config, layers }
}

struct Node {
    neighbours: Neighbours,
    identity: Arc<Identity>,
    held: Arc<Held>,
    content: Content,
    journal: Arc<Journal>,
    _trigger: Trigger,
    _dir: TempDir,
}

impl Node {
    fn new(authority: &Authority, n: usize, tasks: &mut JoinSet<()>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::in_memory().unwrap());
        let clock = Clock::system();
        let held = Arc::new(Held::load(store.clone(), &name(n), clock.now().uptime));
        let (journal, content) = (Arc::new(Journal::new(store)), Content::open(dir.path(), "boot").unwrap());
        let identity = Arc::new(authority.identity(name(n).as_str(), "localhost:1"));
        let any = ([127, 0, 0, 1], 0).into();
        let made = Neighbours::new(identity.clone(), Arc::new(Tcp), any, held.clone(), content.clone(), journal.clone(), clock);
        let neighbours = made.unwrap();
        let (trigger, asked) = shutdown();
        let serving = neighbours.clone();
        tasks.spawn(async move { serving.serve(asked).await });
        Self { neighbours, identity, held, content, journal, _trigger: trigger, _dir: dir }
    }

    async fn as_neighbour(&self) -> Neighbour {
        let address = self.neighbours.address().wait_for(Option::is_some).await.unwrap().unwrap();
        Neighbour { address, certificate: certificate(&self.identity) }
    }

    /// The hub says who this node's neighbours are.
    fn told(&self, neighbours: BTreeMap<Name, Neighbour>) {
        let mut desired = Desired { neighbours, ..self.held.holding().desired };
        desired.stamp.generation += 1;
        let envelope = Envelope { payload: desired.stamp.to_string().into(), signatures: Vec::new() };
        self.held.accept(Accepted { desired, envelope, releases: BTreeMap::new() }).unwrap();
    }

    async fn fetch(&self, hub: &Hub, image: &Image) -> Result<Fetched, FetchError> {
        self.fetch_telling(hub, image, &watch::Sender::new(Progress::default())).await
    }

    async fn fetch_telling(&self, hub: &Hub, image: &Image, tell: &watch::Sender<Progress>) -> Result<Fetched, FetchError> {
        let ledger = Ledger::open(Record::in_memory(), Clock::system());
        let source = Source { hub: hub.clone(), neighbours: self.neighbours.clone() };
        fetch(&source, &self.content, image, &Present::default(), &ledger, tell).await
    }

    fn tar(&self, layer: Digest) -> Vec<u8> {
        let mut tar = Vec::new();
        io::Read::read_to_end(&mut PackTar::new(self.content.packs.read(layer).unwrap()), &mut tar).unwrap();
        tar
    }

    fn has(&self, image: &Image, layers: &[Vec<u8>]) {
        assert!(self.content.has(image));
        for (layer, tar) in image.layers.iter().zip(layers) {
            assert!(self.tar(layer.tar.digest) == *tar);
        }
    }

    /// How its first neighbour stands.
    fn standing(&self) -> Standing {
        self.neighbours.sharing().neighbours.remove(0)
    }

    /// Bytes that came from neighbours, and that went to them.
    fn carried(&self) -> (u64, u64) {
        let Sharing { taken, given, .. } = self.neighbours.sharing();
        (taken, given)
    }

    fn blames(&self) -> Vec<Name> {
        let entries = self.journal.entries(0, 100).unwrap().into_iter();
        let faults = entries.filter(|entry| entry.what.code == "node-neighbour-wrong");
        faults.map(|entry| Name::new(&entry.what.params["neighbour"]).unwrap()).collect()
    }
}

fn certificate(identity: &Identity) -> Digest {
    Digest::of(&identity.chain[0])
}

/// Nodes that know each other.
async fn site(count: usize, tasks: &mut JoinSet<()>) -> Vec<Node> {
    let authority = Authority::new();
    let nodes: Vec<Node> = (0..count).map(|n| Node::new(&authority, n, tasks)).collect();
    let mut all = BTreeMap::new();
    for (n, node) in nodes.iter().enumerate() {
        all.insert(name(n), node.as_neighbour().await);
    }
    for (n, node) in nodes.iter().enumerate() {
        node.told(shared::neighbour::around(&name(n), &all));
    }
    nodes
}

/// The one hub of a site.
#[derive(Clone, Default)]
struct Hub {
    memory: Memory,
    sent: Arc<AtomicU64>,
    away: Arc<AtomicBool>,
}

struct Source {
    hub: Hub,
    neighbours: Neighbours,
}

impl ChunkSource for Source {
    async fn read(&self, blob: Digest, offset: u64, length: u32) -> Result<Bytes, SourceError> {
        if self.hub.away.load(Relaxed) {
            return Err(SourceError::Away);
        }
        sleep(Duration::from_millis(2)).await;
        self.hub.sent.fetch_add(length.into(), Relaxed);
        self.hub.memory.read(blob, offset, length).await
    }

    async fn patch(&self, layer: Digest, have: &[Digest]) -> Result<Blob, SourceError> {
        if self.hub.away.load(Relaxed) { Err(SourceError::Away) } else { self.hub.memory.patch(layer, have).await }
    }

    fn neighbours(&self) -> Option<&Neighbours> {
        Some(&self.neighbours)
    }
}

#[tokio::test]
async fn what_a_neighbour_has_comes_without_the_hub_and_without_what_is_here() {
    let (mut tasks, mut hub) = (JoinSet::new(), Hub::default());
    let nodes = site(2, &mut tasks).await;
    let old = vec![noise(700_000, 1), noise(3 << 20, 2)];
    let changed = [&old[1][..1 << 20], b"a few other bytes", &old[1][1 << 20..]].concat();
    let new = vec![old[0].clone(), changed, [&noise(9_000, 3)[..], &[0; 900_000], &noise(9_000, 3)].concat(), Vec::new()];
    let (first, second) = (image(&mut hub.memory, &old), image(&mut hub.memory, &new));
    for of in [&first, &second] {
        nodes[0].fetch(&hub, of).await.unwrap();
    }
    hub.away.store(true, Relaxed);
    let fetched = nodes[1].fetch(&hub, &first).await.unwrap();
    nodes[1].has(&first, &old);
    assert_eq!(fetched.sent, first.manifest.size + first.config.size);
    let (before, _) = nodes[1].carried();
    assert!(before > 3 << 20);
    nodes[1].fetch(&hub, &second).await.unwrap();
    nodes[1].has(&second, &new);
    let (after, _) = nodes[1].carried();
    assert!(after - before < 600_000, "{} bytes, although most of it was here", after - before);
    assert_eq!(nodes[0].carried().1, after, "what one gave the other took");
    let (gave, took) = (nodes[0].standing(), nodes[1].standing());
    assert_eq!((gave.neighbour, (gave.taken, gave.given)), (name(1), nodes[0].carried()));
    assert_eq!((took.neighbour, (took.taken, took.given)), (name(0), nodes[1].carried()));
    assert_eq!((took.taken, took.given), (gave.given, gave.taken), "of one each, as one and the other counted");
    assert!(matches!(took.state, State::Useful { asked_ms: ..60_000 }), "{:?}", took.state);
    nodes[1].told(BTreeMap::new());
    let sharing = nodes[1].neighbours.sharing();
    assert_eq!((sharing.neighbours, sharing.taken), (Vec::new(), after), "who is none any more is only in the sum");
    assert_eq!(sharing.address, Some(nodes[1].as_neighbour().await.address));
}

#[tokio::test]
async fn whoever_does_not_answer_is_left_aside_and_people_see_why() {
    let (mut tasks, mut hub) = (JoinSet::new(), Hub::default());
    let nodes = site(2, &mut tasks).await;
    let image = image(&mut hub.memory, &[noise(100_000, 1)]);
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut off = nodes[0].as_neighbour().await;
    off.address = closed;
    nodes[1].told(BTreeMap::from([(name(0), off)]));
    assert_eq!(nodes[1].standing().state, State::Unasked);
    nodes[1].fetch(&hub, &image).await.unwrap();
    let Standing { address, state, taken, .. } = nodes[1].standing();
    assert_eq!((address, taken), (closed, 0));
    let State::Useless { aside_ms, why, .. } = state else { panic!("{state:?}") };
    assert!(why.code == "node-neighbour-away" && why.params["cause"].contains("refused"), "{why}");
    assert!((1..=30_000).contains(&aside_ms), "{aside_ms}");
    assert_eq!(nodes[1].blames(), [], "nobody lied");
}

#[tokio::test]
async fn each_layer_comes_to_a_site_about_once() {
    let (mut tasks, mut hub) = (JoinSet::new(), Hub::default());
    let nodes = site(5, &mut tasks).await;
    let layers: Vec<Vec<u8>> = (0..6).map(|n| noise(400_000 + n * 100_000, n as u64)).collect();
    let image = image(&mut hub.memory, &layers);
    let fetched = futures_util::future::join_all(nodes.iter().map(|node| node.fetch(&hub, &image))).await;
    for (node, fetched) in nodes.iter().zip(fetched) {
        fetched.unwrap();
        node.has(&image, &layers);
    }
    let (once, sent) = (layers.iter().map(Vec::len).sum::<usize>() as f64, hub.sent.load(Relaxed) as f64);
    assert!(sent < 1.1 * once, "the hub sent {:.2} times what one node needs", sent / once);
}

#[tokio::test]
async fn what_comes_to_the_site_later_ends_the_wait_for_the_hub() {
    let (mut tasks, mut hub) = (JoinSet::new(), Hub::default());
    let nodes = site(2, &mut tasks).await;
    let layers = [noise(300_000, 1)];
    let image = image(&mut hub.memory, &layers);
    let (reached, cut) = (hub.clone(), Hub { away: Arc::new(true.into()), ..hub.clone() });
    let waiting = nodes[1].fetch(&cut, &image);
    let bringing = async {
        sleep(Duration::from_millis(500)).await;
        nodes[0].fetch(&reached, &image).await
    };
    let (waited, brought) = tokio::join!(waiting, bringing);
    brought.unwrap();
    waited.unwrap();
    nodes[1].has(&image, &layers);
}

#[tokio::test]
async fn whoever_waits_for_a_neighbour_says_for_whom() {
    let (mut tasks, mut hub) = (JoinSet::new(), Hub::default());
    let nodes = site(2, &mut tasks).await;
    let layers = [noise(2_000_000, 1)];
    let image = image(&mut hub.memory, &layers);
    let documents = image.manifest.size + image.config.size;
    let brings = nodes[0].neighbours.bring(image.layers[0].tar.digest);
    let (tell, mut seen) = watch::channel(Progress::default());
    let fetching = nodes[1].fetch_telling(&hub, &image, &tell);
    let bringing = async {
        let says = |code: &'static str| {
            move |progress: &Progress| {
                progress.waits.as_ref().is_some_and(|waits| waits.code == code && waits.params["neighbour"] == "n0")
            }
        };
        let waiting = seen.wait_for(says("node-neighbour-brings")).await.unwrap().clone();
        assert_eq!((waiting.done, waiting.total, waiting.taken, waiting.reused), (documents, documents, 0, 0), "nothing is here");
        nodes[0].fetch(&hub, &image).await.unwrap();
        drop(brings);
        let given = seen.wait_for(says("node-neighbour-gives")).await.unwrap().clone();
        assert_eq!((given.total, given.reused), (documents, 0));
    };
    let (fetched, ()) = tokio::join!(fetching, bringing);
    let Progress { done, total, taken, reused, waits, .. } = tell.borrow().clone();
    assert_eq!((fetched.unwrap().sent, done, total, waits), (documents, documents, documents, None));
    assert!((2_000_000..2_010_000).contains(&taken) && reused == 0, "{taken} bytes from the neighbour, {reused} reused");
}

#[tokio::test]
async fn a_copy_that_was_cut_goes_on_where_it_was() {
    const SIZE: u64 = 12 << 20;
    let (mut tasks, mut hub) = (JoinSet::new(), Hub::default());
    let nodes = site(2, &mut tasks).await;
    let layers = [noise(SIZE as usize, 1)];
    let image = image(&mut hub.memory, &layers);
    nodes[0].fetch(&hub, &image).await.unwrap();
    let (packs, layer) = (&nodes[1].content.packs, image.layers[0].tar.digest);
    let part = packs.path(layer).with_extension("part");
    let there = || part.metadata().map_or(0, |meta| meta.len());
    for upto in [SIZE / 3, SIZE / 3 * 2] {
        let killed = async {
            while there() < upto {
                sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            ended = nodes[1].fetch(&hub, &image) => panic!("{ended:?}"),
            () = killed => {}
        }
        drop(packs.claim(layer).await); // What was being written is.
        Packs::open(packs.dir()).unwrap(); // As the next daemon does.
        assert!(there() >= upto);
    }
    // The power went: the end of the file is not what was written.
    let file = std::fs::OpenOptions::new().write(true).open(&part).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0; 300_000], there() - 200_000).unwrap();
    let (before, _) = nodes[1].carried();
    hub.away.store(true, Relaxed);
    nodes[1].fetch(&hub, &image).await.unwrap();
    nodes[1].has(&image, &layers);
    let (after, _) = nodes[1].carried();
    assert!(after - before < SIZE / 3 + 500_000, "{} bytes of the last third", after - before);
    let again = after - SIZE;
    assert!(again < 200_000 + (256 << 10) + 200_000, "{again} bytes more than the layer has: what was lost, a chunk, recipes");
    assert!(!part.exists());
}

#[tokio::test]
async fn what_was_begun_stays_as_long_as_it_is_awaited() {
    let (mut tasks, layer) = (JoinSet::new(), Digest::of(b"layer"));
    let packs = &site(1, &mut tasks).await[0].content.packs;
    packs.begin(layer).unwrap();
    let part = packs.path(layer).with_extension("part");
    let none = std::collections::BTreeSet::new();
    packs.sweep(&none, &[layer].into()).unwrap();
    assert!(part.exists());
    packs.sweep(&[layer].into(), &none).unwrap();
    assert!(!part.exists());
}

/// How a neighbour lies.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Lie {
    Chunk,
    LongChunk,
    Recipe,
    EndlessRecipe,
    Document,
    NoMessage,
    HugeMessage,
}

/// Answers as a neighbour would that has everything, with lies.
async fn lie(tcp: TcpStream, tls: TlsAcceptor, truth: Content, lie: Lie) -> io::Result<()> {
    let mut stream = tls.accept(tcp).await?;
    loop {
        let ask = Ask::decode(&message::receive(&mut stream, 1 << 20, Duration::from_secs(30)).await?).unwrap();
        let answers = match ask {
            Ask::Stages(layers) => vec![Answer::Stages(vec![Stage::Has.into(); layers.len()])],
            Ask::Document { .. } if lie == Lie::Document => vec![Answer::Bytes(b"wrong".to_vec())],
            Ask::Document { .. } => vec![Answer::Lacks],
            Ask::Recipe { .. } if lie == Lie::Recipe => vec![Answer::Bytes(Recipe::of(b"another").to_bytes())],
            Ask::Recipe { .. } if lie == Lie::EndlessRecipe => vec![Answer::Bytes(vec![1; 256 << 10])],
            Ask::Recipe { layer, .. } => {
                let pack = truth.packs.read(Digest::from_bytes(layer)).unwrap();
                vec![Answer::Bytes(pack.recipe().to_bytes())]
            }
            Ask::Chunks { numbers, .. } => {
                let long = if lie == Lie::LongChunk { 1 << 18 } else { 60_000 };
                numbers.iter().map(|_| Answer::Bytes(noise(long, 99))).collect()
            }
        };
        for answer in answers {
            let (limit, is_bytes) = (Duration::from_secs(30), matches!(answer, Answer::Bytes(_)));
            if is_bytes && lie == Lie::NoMessage {
                message::send(&mut stream, b"\x01\xff nonsense", limit).await?;
            } else if is_bytes && lie == Lie::HugeMessage {
                tokio::io::AsyncWriteExt::write_all(&mut stream, &u32::MAX.to_le_bytes()).await?;
            } else {
                message::send(&mut stream, &answer.encode(), limit).await?;
            }
        }
    }
}

#[tokio::test]
async fn a_neighbour_that_lies_costs_a_chunk_and_never_a_wrong_byte() {
    use Lie::*;
    for how in [Chunk, LongChunk, Recipe, EndlessRecipe, Document, NoMessage, HugeMessage] {
        let (mut tasks, mut hub) = (JoinSet::new(), Hub::default());
        let nodes = site(2, &mut tasks).await;
        let layers = [noise(2 << 20, 1)];
        let image = image(&mut hub.memory, &layers);
        nodes[0].fetch(&hub, &image).await.unwrap();
        let liar = Arc::new(Authority::new().identity("liar", "localhost:1"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tls = TlsAcceptor::from(Arc::new(pinned::for_neighbours(&liar, Arc::new(|_| true)).unwrap()));
        let truth = nodes[0].content.clone();
        tasks.spawn(async move {
            let mut talks = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                talks.spawn(lie(tcp, tls.clone(), truth.clone(), how));
            }
        });
        // First with the liar alone, which is left aside; then the layer is brought.
        let liars = BTreeMap::from([(name(9), Neighbour { address, certificate: certificate(&liar) })]);
        nodes[1].told(liars.clone());
        let sent = hub.sent.load(Relaxed);
        nodes[1].fetch(&hub, &image).await.unwrap();
        nodes[1].has(&image, &layers);
        assert_eq!(nodes[1].blames(), [name(9)], "{how:?}");
        assert!(hub.sent.load(Relaxed) - sent >= 2 << 20, "{how:?}");
        let Standing { neighbour, state, .. } = nodes[1].standing();
        let State::Useless { aside_ms, why, .. } = state else { panic!("{how:?}: {state:?}") };
        assert_eq!((neighbour, why.code.as_str()), (name(9), "node-neighbour-wrong"), "{how:?}");
        assert!(aside_ms > 3_500_000, "{how:?}: {aside_ms} ms");
        let (cost, _) = nodes[1].carried();
        assert!(cost <= 257 << 10, "{how:?} cost {cost} bytes");
    }
}

#[tokio::test]
async fn strangers_hear_nothing() {
    let (mut tasks, mut hub) = (JoinSet::new(), Hub::default());
    let nodes = site(2, &mut tasks).await;
    let image = image(&mut hub.memory, &[noise(100_000, 1)]);
    nodes[0].fetch(&hub, &image).await.unwrap();
    let layer = image.layers[0].tar.digest;
    let target = nodes[0].as_neighbour().await;
    let talk = async |identity: &Identity, with: Neighbour| {
        let tls = Arc::new(pinned::for_neighbour(identity, with.certificate).unwrap());
        let mut talk = Talk::open(&Tcp, with, tls, Arc::default()).await?;
        talk.stages(&[layer]).await.map(|stages| (stages, talk))
    };
    let stranger = Authority::new().identity("n1", "localhost:1");
    assert!(matches!(talk(&stranger, target).await, Err(Useless::Away(_))), "the right name and another certificate");
    let other = Neighbour { certificate: certificate(&stranger), ..target };
    assert!(matches!(talk(&nodes[1].identity, other).await, Err(Useless::Away(_))), "whoever answers is not the one meant");
    let (stages, mut friend) = talk(&nodes[1].identity, target).await.unwrap();
    assert_eq!(stages, [Stage::Has]);
    // Two at a time: the newest takes the place of the oldest.
    let (_, mut second) = talk(&nodes[1].identity, target).await.unwrap();
    let (_, mut third) = talk(&nodes[1].identity, target).await.unwrap();
    assert!(matches!(friend.stages(&[layer]).await, Err(Useless::Away(_))));
    assert!(second.stages(&[layer]).await.is_ok() && third.stages(&[layer]).await.is_ok());
    nodes[0].told(BTreeMap::new());
    assert!(matches!(third.stages(&[layer]).await, Err(Useless::Away(_))), "dropped by the hub, with the connection open");
}

#[tokio::test]
async fn questions_have_bounds() {
    let (mut tasks, mut hub) = (JoinSet::new(), Hub::default());
    let nodes = site(2, &mut tasks).await;
    let image = image(&mut hub.memory, &[noise(100_000, 1)]);
    nodes[0].fetch(&hub, &image).await.unwrap();
    let layer = image.layers[0].tar.digest;
    let with = nodes[0].as_neighbour().await;
    let open = async || {
        let tls = Arc::new(pinned::for_neighbour(&nodes[1].identity, with.certificate).unwrap());
        Talk::open(&Tcp, with, tls, Arc::default()).await.unwrap()
    };
    let mut talk = open().await;
    assert!(matches!(talk.stages(&vec![layer; LAYERS_MAX + 1]).await, Err(Useless::Away(_))));
    let mut talk = open().await;
    talk.ask_chunks(layer, &[0; CHUNKS_MAX + 1]).await.unwrap();
    assert!(matches!(talk.chunk().await, Err(Useless::Away(_))));
    let mut talk = open().await;
    talk.ask_chunks(layer, &[u32::MAX, 0]).await.unwrap();
    assert!(matches!(talk.chunk().await, Err(Useless::Lacks)));
    assert!(talk.chunk().await.is_ok(), "the connection goes on");
    assert!(matches!(talk.document(Blob { digest: layer, size: 9 }).await, Err(Useless::Lacks)), "a layer is no document");
}

/// The disk changes a bit of the file.
fn rot(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[300_000] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_disk_that_rots_spoils_nobody_elses() {
    let (mut tasks, mut hub) = (JoinSet::new(), Hub::default());
    let nodes = site(2, &mut tasks).await;
    let layers = [noise(600_000, 1)];
    let image = image(&mut hub.memory, &layers);
    nodes[0].fetch(&hub, &image).await.unwrap();
    let path = nodes[0].content.packs.path(image.layers[0].tar.digest);
    rot(&path);
    nodes[1].fetch(&hub, &image).await.unwrap();
    nodes[1].has(&image, &layers);
    assert_eq!(nodes[1].blames(), [], "it did not lie");
    assert!(!path.exists(), "it is of no use to anybody");
}

#[tokio::test]
async fn what_rots_here_is_taken_again() {
    let (mut tasks, mut hub) = (JoinSet::new(), Hub::default());
    let nodes = site(2, &mut tasks).await;
    let (old, new) = ([noise(900_000, 1)], [[noise(900_000, 1), noise(90_000, 2)].concat()]);
    let (first, second) = (image(&mut hub.memory, &old), image(&mut hub.memory, &new));
    nodes[0].fetch(&hub, &second).await.unwrap();
    nodes[1].fetch(&hub, &first).await.unwrap();
    let path = nodes[1].content.packs.path(first.layers[0].tar.digest);
    rot(&path);
    hub.away.store(true, Relaxed);
    nodes[1].fetch(&hub, &second).await.unwrap();
    nodes[1].has(&second, &new);
    assert_eq!(nodes[1].blames(), []);
}

#[tokio::test]
async fn a_document_that_rots_is_no_lie() {
    let (mut tasks, mut hub) = (JoinSet::new(), Hub::default());
    let nodes = site(2, &mut tasks).await;
    let layers = [noise(60_000, 1)];
    let image = image(&mut hub.memory, &layers);
    nodes[0].fetch(&hub, &image).await.unwrap();
    std::fs::write(nodes[0].content.blobs.path(image.config.digest), b"rotten").unwrap();
    nodes[1].fetch(&hub, &image).await.unwrap();
    nodes[1].has(&image, &layers);
    assert_eq!(nodes[1].blames(), []);
}
