//! What the node holds: desired state, releases, what it remembers about apps, and operators' overrides.
//!
//! All of it lies in the [`Store`] and is held here decoded. A change is made durable first and becomes
//! visible, and wakes the loop, only then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shared::id::{Digest, Name};
use shared::plan::Note;
use shared::release::Release;
use shared::sign::Envelope;
use shared::state::{Desired, Memory, Neighbour, Override, Paused, Stamp};
use shared::time::Uptime;
use shared::wire::v1;
use tokio::sync::watch;

use crate::store::{Change, Store, StoreError};

const ACCEPTED: &str = "accepted";
const OVERRIDES: &str = "overrides";
const PAUSED: &str = "paused";
const RELEASE: &str = "release/";
const MEMORY: &str = "memory/";

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// What the node shall run.
    pub desired: Desired,
    /// sha256 of the signed payload; all zero when nothing was accepted yet.
    pub hash: Digest,
    /// Every release the node has, by id.
    pub releases: BTreeMap<Digest, Arc<Release>>,
    /// What the node remembers about each app.
    pub memory: BTreeMap<Name, Memory>,
    /// What operators stopped.
    pub overrides: BTreeSet<Override>,
    /// Transfers that operators paused.
    pub paused: Paused,
}

impl Holding {
    /// Releases that may have to run: assigned ones, next ones, last good ones, and those on trial.
    pub fn needed(&self) -> BTreeSet<Digest> {
        let wanted = self.desired.releases().map(|(_, release)| release);
        let remembered = self.memory.values().flat_map(|memory| [memory.good, memory.trial.as_ref().map(|trial| trial.release)]);
        wanted.chain(remembered.flatten()).collect()
    }

    /// The overrides after `over` ended.
    fn without(&self, over: &Override) -> BTreeSet<Override> {
        let (app, mut rest) = (&over.app, self.overrides.clone());
        let Some(service) = &over.service else {
            rest.retain(|other| other.app != *app);
            return rest;
        };
        if rest.remove(&Override { app: app.clone(), service: None }) {
            let release = self.desired.apps.get(app).and_then(|assignment| self.releases.get(&assignment.release));
            let services = release.into_iter().flat_map(|release| release.manifest.spec.services.keys());
            rest.extend(services.map(|other| Override { app: app.clone(), service: Some(other.clone()) }));
        }
        rest.remove(&Override { app: app.clone(), service: Some(service.clone()) });
        rest
    }
}

/// A desired state whose signatures were checked, with the releases the node did not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The state.
    pub desired: Desired,
    /// As the hub signed it.
    pub envelope: Envelope,
    /// New releases: as their publishers signed them, and decoded.
    pub releases: BTreeMap<Digest, (Envelope, Release)>,
}

/// The node's state, in memory and on disk.
pub struct Held {
    store: Arc<Store>,
    now: Mutex<Holding>,
    changed: watch::Sender<u64>,
    /// Whoever adds or forgets releases: one after the other.
    releasing: Mutex<()>,
}

impl Held {
    /// Reads the store. A record that cannot be read is skipped and named: one bad record must not stop the rest.
    pub fn load(store: Arc<Store>, me: &Name, uptime: Uptime) -> Self {
        let records = store.records();
        let mut holding = Holding {
            desired: Desired::empty(me.clone()),
            hash: Digest::from_bytes([0; 32]),
            releases: BTreeMap::new(),
            memory: BTreeMap::new(),
            overrides: BTreeSet::new(),
            paused: Paused::default(),
        };
        for (name, bytes) in &records {
            if let Err(error) = take(&mut holding, name, bytes, uptime) {
                tracing::warn!(record = name, %error, "skipping a record that cannot be read");
            }
        }
        Self { store, now: Mutex::new(holding), changed: watch::channel(0).0, releasing: Mutex::new(()) }
    }

    /// Everything now.
    pub fn holding(&self) -> Holding {
        self.lock().clone()
    }

    /// The neighbours that the accepted state names.
    pub fn neighbours(&self) -> BTreeMap<Name, Neighbour> {
        self.lock().desired.neighbours.clone()
    }

    /// The neighbour whose certificate has this sha256.
    pub fn neighbour(&self, certificate: Digest) -> Option<Name> {
        let holding = self.lock();
        let mut neighbours = holding.desired.neighbours.iter();
        neighbours.find(|(_, neighbour)| neighbour.certificate == certificate).map(|(name, _)| name.clone())
    }

    /// Whether an operator holds any transfer.
    pub fn is_pausing(&self) -> bool {
        self.lock().paused != Paused::default()
    }

    /// Whoever waits for a change looks again, although nothing of it is here.
    pub fn look_again(&self) {
        self.changed.send_modify(|_| {});
    }

    /// There is room on the disk again: the store's second copy catches up, and the hub is asked for what was not taken.
    pub fn there_is_room(&self) -> Result<(), StoreError> {
        self.store.write(Vec::new())?;
        self.look_again();
        Ok(())
    }

    /// Stamp and hash of the accepted state; `None` when nothing was accepted yet.
    pub fn accepted(&self) -> Option<(Stamp, Digest)> {
        let holding = self.lock();
        (holding.desired.stamp != Stamp::default()).then_some((holding.desired.stamp, holding.hash))
    }

    /// Whether the node has every release that the accepted state names. One may be missing after damage: then hub and node
    /// must not think that they agree.
    pub fn is_complete(&self) -> bool {
        let holding = self.lock();
        holding.desired.releases().all(|(_, release)| holding.releases.contains_key(&release))
    }

    /// Ids of the releases the node has.
    pub fn releases(&self) -> BTreeSet<Digest> {
        self.lock().releases.keys().copied().collect()
    }

    /// Differs after every change.
    pub fn version(&self) -> u64 {
        *self.changed.borrow()
    }

    /// Wakes on every change.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Makes a new desired state durable, with its releases: all or nothing. False when one that it names was forgotten
    /// meanwhile, and nothing was done.
    pub fn accept(&self, accepted: Accepted) -> Result<bool, StoreError> {
        let _turn = self.releasing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.releases();
        let is_here = |id: &Digest| known.contains(id) || accepted.releases.contains_key(id);
        if !accepted.desired.releases().all(|(_, release)| is_here(&release)) {
            return Ok(false);
        }
        let mut changes = vec![(ACCEPTED.to_owned(), Some(accepted.envelope.to_bytes()))];
        changes.extend(accepted.releases.iter().map(|(id, (envelope, _))| (release_key(*id), Some(envelope.to_bytes()))));
        self.change(changes, |holding| {
            holding.hash = accepted.envelope.payload_digest();
            holding.desired = accepted.desired;
            holding.releases.extend(accepted.releases.into_iter().map(|(id, (_, release))| (id, Arc::new(release))));
        })?;
        Ok(true)
    }

    /// Remembers something about an app.
    pub fn note(&self, app: &Name, note: Note, now: Uptime) -> Result<(), StoreError> {
        let forget = note == Note::Forget;
        let mut memory = self.lock().memory.get(app).cloned().unwrap_or_default();
        memory.apply(note, now);
        let record = (!forget).then(|| v1::Memory::from(&memory).encode());
        self.change(vec![(format!("{MEMORY}{app}"), record)], |holding| {
            if forget {
                holding.memory.remove(app);
            } else {
                holding.memory.insert(app.clone(), memory);
            }
        })
    }

    /// Sets or ends an operator's stop. Starting one service of a stopped app leaves the others stopped. The end of a
    /// stop restarts a trial's clock and lets one-shots run again.
    pub fn hold(&self, over: Override, stop: bool, now: Uptime) -> Result<(), StoreError> {
        let holding = self.holding();
        let mut memory = holding.memory.get(&over.app).cloned().unwrap_or_default();
        let overrides = if stop {
            holding.overrides.iter().cloned().chain([over.clone()]).collect()
        } else {
            memory.finished.retain(|service, _| over.service.as_ref().is_some_and(|only| only != service));
            memory.trial = memory.trial.map(|trial| shared::state::Trial { since: now, ..trial });
            holding.without(&over)
        };
        let changes = vec![
            (OVERRIDES.to_owned(), Some(v1::Overrides::from(&overrides).encode())),
            (format!("{MEMORY}{}", over.app), Some(v1::Memory::from(&memory).encode())),
        ];
        self.change(changes, |holding| {
            holding.overrides = overrides;
            holding.memory.insert(over.app, memory);
        })
    }

    /// Has these transfers paused and no others.
    pub fn pause(&self, paused: Paused) -> Result<(), StoreError> {
        let changes = vec![(PAUSED.to_owned(), Some(v1::Paused::from(&paused).encode()))];
        self.change(changes, |holding| holding.paused = paused)
    }

    /// Forgets releases that are neither wanted, remembered nor in `used`, and pauses of images that none of the others names.
    pub fn prune(&self, used: &BTreeSet<Digest>) -> Result<(), StoreError> {
        let _turn = self.releasing.lock().unwrap_or_else(PoisonError::into_inner);
        let holding = self.holding();
        let keep = holding.needed();
        let gone: Vec<Digest> =
            holding.releases.keys().filter(|id| !keep.contains(*id) && !used.contains(*id)).copied().collect();
        let mut changes: Vec<Change> = gone.iter().map(|id| (release_key(*id), None)).collect();
        let mut paused = holding.paused.clone();
        // While a release is missing nobody can say what it needs.
        if keep.union(used).all(|id| holding.releases.contains_key(id)) {
            let left = holding.releases.iter().filter(|(id, _)| !gone.contains(id));
            let named: BTreeSet<Digest> =
                left.flat_map(|(_, release)| release.images.values().flatten()).map(shared::release::Image::id).collect();
            paused.images.retain(|image| named.contains(image));
        }
        if paused != holding.paused {
            changes.push((PAUSED.to_owned(), Some(v1::Paused::from(&paused).encode())));
        }
        if changes.is_empty() {
            return Ok(());
        }
        self.change(changes, |holding| {
            gone.iter().for_each(|id| drop(holding.releases.remove(id)));
            holding.paused = paused;
        })
    }

    fn change(&self, changes: Vec<Change>, apply: impl FnOnce(&mut Holding)) -> Result<(), StoreError> {
        self.store.write(changes)?;
        apply(&mut self.lock());
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Holding> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn release_key(id: Digest) -> String {
    format!("{RELEASE}{}", id.hex())
}

/// Takes one record. Signatures were checked before it was written; the disk is ours.
fn take(holding: &mut Holding, name: &str, bytes: &[u8], uptime: Uptime) -> Result<(), shared::wire::WireError> {
    if name == ACCEPTED {
        let envelope = Envelope::from_bytes(bytes)?;
        holding.desired = v1::Desired::decode(&envelope.payload)?.try_into()?;
        holding.hash = envelope.payload_digest();
    } else if name == OVERRIDES {
        holding.overrides = v1::Overrides::decode(bytes)?.try_into()?;
    } else if name == PAUSED {
        holding.paused = v1::Paused::decode(bytes)?.into();
    } else if name.starts_with(RELEASE) {
        let envelope = Envelope::from_bytes(bytes)?;
        holding.releases.insert(envelope.payload_digest(), Arc::new(Release::from_bytes(&envelope.payload)?));
    } else if let Some(app) = name.strip_prefix(MEMORY)
        && let Ok(app) = Name::new(app)
    {
        holding.memory.insert(app, v1::Memory::decode(bytes)?.into_core(uptime)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shared::manifest::{Outside, read};
    use shared::sign::{Purpose, SecretKey};
    use shared::state::Assignment;

    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).expect(text)
    }

    /// An app of one service, as its publisher signed it.
    fn release(version: &str) -> (Digest, (Envelope, Release)) {
        let text = format!(
            "apiVersion: causeway/v1\nkind: App\nmetadata: {{name: shop, version: {version}}}\nspec: {{services: {{web: {{image: web}}}}}}\n"
        );
        let manifest = read("app.yaml", &text, &Outside::default()).expect("manifest").app;
        let release = Release { manifest, images: BTreeMap::new() };
        let envelope = Envelope::sign(Purpose::Release, release.to_bytes(), &[&SecretKey::from_seed(&[2; 32])]);
        (envelope.payload_digest(), (envelope, release))
    }

    /// The state of this generation, with one app.
    fn state(generation: u64, release: Digest, releases: BTreeMap<Digest, (Envelope, Release)>) -> Accepted {
        let mut desired = Desired::empty(name("n1"));
        desired.stamp = Stamp { epoch: 1, generation };
        desired.apps.insert(name("shop"), Assignment { release, revision: generation, run: true });
        let envelope = Envelope::sign(Purpose::Desired, v1::Desired::from(&desired).encode(), &[&SecretKey::from_seed(&[1; 32])]);
        Accepted { desired, envelope, releases }
    }

    #[test]
    fn everything_is_there_after_a_restart() {
        let store = Arc::new(Store::in_memory().expect("store"));
        let held = Held::load(store.clone(), &name("n1"), Duration::ZERO);
        assert_eq!(held.accepted(), None);
        let (id, signed) = release("1");
        assert!(held.accept(state(4, id, [(id, signed)].into())).expect("accept"));
        held.note(&name("shop"), Note::Try(id, 2), Duration::ZERO).expect("note");
        held.hold(Override { app: name("shop"), service: Some(name("web")) }, true, Duration::ZERO).expect("hold");
        held.pause(Paused { all: false, images: [id].into() }).expect("pause");

        let again = Held::load(store, &name("n1"), Duration::ZERO);
        assert_eq!(again.holding(), held.holding());
        assert!(again.accepted().is_some() && again.is_complete());
    }

    #[test]
    fn a_state_is_never_accepted_without_its_releases() {
        let store = Arc::new(Store::in_memory().expect("store"));
        let held = Held::load(store.clone(), &name("n1"), Duration::ZERO);
        let [(first, one), (second, two)] = [release("1"), release("2")];
        assert!(held.accept(state(1, first, [(first, one)].into())).expect("accept"));
        assert!(held.accept(state(2, second, [(second, two)].into())).expect("accept"));
        held.prune(&BTreeSet::new()).expect("nobody needs the first any more");
        assert!(!held.accept(state(3, first, BTreeMap::new())).expect("known when it was looked at, and gone now"));
        assert_eq!(held.accepted().map(|(stamp, _)| stamp.generation), Some(2));

        store.write(vec![(release_key(second), Some(b"garbage".to_vec()))]).expect("damage");
        assert!(!Held::load(store, &name("n1"), Duration::ZERO).is_complete());
    }

    #[test]
    fn a_pause_ends_when_nobody_wants_its_image_any_more() {
        let store = Arc::new(Store::in_memory().expect("store"));
        let held = Held::load(store.clone(), &name("n1"), Duration::ZERO);
        let image = |text: &str| shared::release::Image {
            platform: shared::oci::Platform { os: "linux".into(), architecture: "amd64".into(), variant: String::new() },
            manifest: shared::release::Blob { digest: Digest::of(text.as_bytes()), size: 1 },
            config: shared::release::Blob { digest: Digest::of(b"config"), size: 1 },
            layers: vec![],
        };
        let with = |version: &str| {
            let (_, (_, release)) = release(version);
            let release = Release { images: [(name("web"), vec![image(version)])].into(), ..release };
            let envelope = Envelope::sign(Purpose::Release, release.to_bytes(), &[&SecretKey::from_seed(&[2; 32])]);
            (envelope.payload_digest(), (envelope, release))
        };
        let [(first, one), (second, two)] = [with("1"), with("2")];
        let [a, b, other] = [image("1").id(), image("2").id(), image("3").id()];
        assert!(held.accept(state(1, first, [(first, one)].into())).expect("accept"));
        assert!(held.accept(state(2, second, [(second, two)].into())).expect("accept"));
        held.pause(Paused { all: false, images: [a, b, other].into() }).expect("pause");
        held.prune(&[first].into()).expect("the first one runs");
        assert_eq!(held.holding().paused.images, [a, b].into());
        held.prune(&[Digest::of(b"lost")].into()).expect("of a release nobody knows");
        assert_eq!(held.holding().paused.images, [a, b].into());
        held.prune(&BTreeSet::new()).expect("nobody needs the first any more");
        assert_eq!(held.holding().paused.images, [b].into());
        assert_eq!(Held::load(store, &name("n1"), Duration::ZERO).holding().paused.images, [b].into());
    }

    #[test]
    fn the_end_of_a_stop_ends_it_for_what_it_names() {
        let held = Held::load(Arc::new(Store::in_memory().expect("store")), &name("n1"), Duration::ZERO);
        let over = |service: Option<&str>| Override { app: name("shop"), service: service.map(name) };
        for stop in [over(None), over(Some("web")), over(Some("db"))] {
            held.hold(stop, true, Duration::ZERO).expect("stop");
        }
        held.hold(over(Some("web")), false, Duration::ZERO).expect("start");
        assert_eq!(held.holding().overrides, [over(Some("db"))].into(), "what was stopped by name stays so");
        held.hold(over(None), false, Duration::ZERO).expect("start");
        assert!(held.holding().overrides.is_empty());
    }
}
