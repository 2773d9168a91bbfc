//! The hub: what all its parts share. Each part adds its own methods in its own file: [`crate::publish`],
//! [`crate::unpublish`], [`crate::catalog`], [`crate::collect`], [`crate::deployments`], [`crate::budgets`], [`crate::nodes`], [`crate::tokens`], [`crate::access`],
//! [`crate::events`], [`crate::desired`], [`crate::delta`], [`crate::link`].
//!
//! Records lie in the store and are read when they are needed. In memory are only the fleet (folded, see
//! [`crate::fleet`]) and the live sessions.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use shared::id::Name;
use shared::sign::{PublicKey, SecretKey};
use shared::time::UnixMillis;

use crate::access::Attempts;
use crate::blobs::Blobs;
use crate::ca::Ca;
use crate::collect::Collector;
use crate::delta::Delta;
use crate::desired::Assigner;
use crate::fleet::{Fleet, Life, Wanted};
use crate::link::Sessions;
use crate::metrics::Metrics;
use crate::os::Clock;
use crate::records::{self, DESIRED, EPOCH, FLEET, HUB, NODES, Stored, name_of};
use crate::stop::{Stop, stopped};
use crate::store::{Change, Record, Store, StoreError};

/// Records read at once.
pub(crate) const PAGE: usize = 512;

/// What the hub says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its name.
    pub name: String,
    /// Where its API is reached: `https://host:port`.
    pub api: String,
    /// Where nodes connect: `host:port`.
    pub mqtt: String,
}

/// What a hub is made of.
pub struct Parts {
    /// Its memory.
    pub store: Arc<dyn Store>,
    /// Its content.
    pub blobs: Blobs,
    /// Packs and patches of its layers.
    pub delta: Delta,
    /// Its certificate authority.
    pub ca: Arc<Ca>,
    /// Its key: signs desired states.
    pub key: SecretKey,
    /// What tells it the time.
    pub clock: Clock,
    /// What it says about itself.
    pub settings: Settings,
}

/// The hub.
pub struct Hub {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) blobs: Blobs,
    pub(crate) delta: Delta,
    pub(crate) ca: Arc<Ca>,
    pub(crate) key: SecretKey,
    pub(crate) settings: Settings,
    pub(crate) epoch: u64,
    /// Since when the store is what it is: made then, or restored.
    pub(crate) settling: UnixMillis,
    pub(crate) assigner: Assigner,
    pub(crate) collector: Collector,
    pub(crate) link: Sessions,
    pub(crate) metrics: Metrics,
    pub(crate) logins: Mutex<Attempts>,
    pub(crate) joins: Mutex<Attempts>,
    /// Held while people's changes are decided and committed, so that they need no second try.
    pub(crate) changing: tokio::sync::Mutex<()>,
    fleet: Mutex<Fleet>,
    clock: Clock,
    gate_address: OnceLock<String>,
}

impl Hub {
    /// Opens the hub on what its store holds; a new store gets epoch 1.
    pub async fn open(parts: Parts) -> Result<Self, StoreError> {
        let Parts { store, blobs, delta, ca, key, clock, settings } = parts;
        let record = open_record(&*store, &settings.name, clock()).await?;
        let settling = record.created.max(epoch_began(&*store).await?);
        let fleet = open_fleet(&*store, clock()).await?;
        Ok(Self {
            store,
            blobs,
            delta,
            ca,
            key,
            settings,
            epoch: record.epoch,
            settling,
            assigner: Assigner::default(),
            collector: Collector::default(),
            link: Sessions::default(),
            metrics: Metrics::default(),
            logins: Mutex::default(),
            joins: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            fleet: Mutex::new(fleet),
            clock,
            gate_address: OnceLock::new(),
        })
    }

    /// Does what the hub does by itself until `stop` says so: sign, write the fleet down, pack layers,
    /// remove what no release needs, trim.
    pub async fn run(self: &Arc<Self>, stop: Stop) {
        tokio::join!(
            self.assign_forever(stop.clone()),
            self.keep_fleet(stop.clone()),
            self.delta.run(stop.clone()),
            self.collect_forever(stop.clone()),
            self.tidy(stop)
        );
    }

    /// Forgets, once a minute, what is past its bound or its time.
    async fn tidy(&self, mut stop: Stop) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(60)) => {}
                () = stopped(&mut stop) => return,
            }
            let done = async {
                self.trim_events().await?;
                self.drop_expired_tokens().await
            };
            if let Err(error) = done.await {
                tracing::warn!(%error, "tidying failed; trying again in a minute");
            }
            // Files carry the system's time, which is the hub's.
            let now = UNIX_EPOCH + Duration::from_millis(self.now().0);
            if let Err(error) = self.blobs.clean_parts(now).await {
                tracing::warn!(%error, "old parts of blobs were not removed; trying again in a minute");
            }
        }
    }

    /// The hub's wall clock.
    pub fn now(&self) -> UnixMillis {
        (self.clock)()
    }

    /// Where the API is reached: `https://host:port`.
    pub fn api_address(&self) -> &str {
        &self.settings.api
    }

    /// sha256 of the CA's certificate: what operators and nodes pin.
    pub fn ca_fingerprint(&self) -> shared::id::Digest {
        self.ca.fingerprint()
    }

    /// Where nodes connect, `host:port`: what the settings say, until the gate knows better.
    pub fn gate_address(&self) -> String {
        self.gate_address.get().unwrap_or(&self.settings.mqtt).clone()
    }

    /// The gate is open, and is reached there.
    pub fn set_gate_address(&self, address: String) {
        // A second gate on the same hub would be a mistake of the program; the first stays.
        let _first_stays = self.gate_address.set(address);
    }

    /// The hub's life.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The key that nodes check desired states with.
    pub fn public_key(&self) -> PublicKey {
        self.key.public()
    }

    /// The fleet, for a moment: never keep it over an await.
    pub(crate) fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One node of the fleet, for a moment; `None` when it is not enrolled.
    pub(crate) fn life<T>(&self, node: &Name, look: impl FnOnce(&mut Life) -> T) -> Option<T> {
        self.fleet().nodes.get_mut(node).map(look)
    }

    /// One node of the fleet as it is now, to be looked at without holding up the others: a report is shared, not copied.
    pub(crate) fn life_of(&self, node: &Name) -> Option<Life> {
        self.life(node, |life| life.clone())
    }

    /// The record of `key`, read as what it is, with its revision.
    pub(crate) async fn record<T: Stored>(&self, key: &str) -> Result<Option<(T, u64)>, StoreError> {
        match self.store.get(key).await? {
            Some(record) => T::read(key, record).map(Some),
            None => Ok(None),
        }
    }

    /// The hub's own record with its revision.
    pub(crate) async fn own_record(&self) -> Result<(records::Hub, u64), StoreError> {
        self.record(HUB).await?.ok_or_else(|| StoreError::Damaged { what: "the hub's own record is missing".into() })
    }

    /// All records below `prefix` by name. For kinds whose number people bound: deployments, budgets, publishers, tokens.
    pub(crate) async fn all<T: Stored>(&self, prefix: &str) -> Result<Vec<(Name, T, u64)>, StoreError> {
        let mut all = Vec::new();
        for (key, record) in list_all(&*self.store, prefix).await? {
            let (value, revision) = T::read(&key, record)?;
            all.push((name_of(prefix, &key)?, value, revision));
        }
        Ok(all)
    }
}

async fn list_all(store: &dyn Store, prefix: &str) -> Result<Vec<(String, Record)>, StoreError> {
    let mut all: Vec<(String, Record)> = Vec::new();
    loop {
        let after = all.last().map(|(key, _)| key.clone());
        let page = store.list(prefix, after.as_deref(), PAGE).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

async fn open_record(store: &dyn Store, name: &str, now: UnixMillis) -> Result<records::Hub, StoreError> {
    let found = match store.get(HUB).await? {
        Some(record) => Some(records::Hub::read(HUB, record)?),
        None => None,
    };
    let (record, change) = match found {
        Some((record, _)) if record.name == name => return Ok(record),
        Some((record, revision)) => {
            let renamed = records::Hub { name: name.into(), ..record };
            let change = Change::replace(HUB, revision, renamed.encode());
            (renamed, change)
        }
        None => {
            let new = records::Hub { name: name.into(), epoch: 1, revision: 0, created: now };
            let change = Change::create(HUB, new.encode());
            (new, change)
        }
    };
    store.commit(vec![change], Vec::new()).await?;
    Ok(record)
}

/// Begins a new life of the hub on a store that was restored from a backup: nodes that saw later states than the
/// backup holds accept its states again, and nothing goes from the disk for a while ([`crate::collect`]). Returns the new epoch.
pub async fn begin_new_epoch(store: &dyn Store, now: UnixMillis) -> Result<u64, StoreError> {
    let record = store.get(HUB).await?.ok_or_else(|| StoreError::Damaged { what: "the hub's own record is missing".into() })?;
    let (hub, revision) = records::Hub::read(HUB, record)?;
    let epoch = hub.epoch.saturating_add(1);
    let began = Change::put(EPOCH, records::Epoch { began: now }.encode());
    let change = Change::replace(HUB, revision, records::Hub { epoch, ..hub }.encode());
    store.commit(vec![change, began], Vec::new()).await?;
    Ok(epoch)
}

/// When this epoch began; long ago when it is the first, or one that began before this was written down.
async fn epoch_began(store: &dyn Store) -> Result<UnixMillis, StoreError> {
    let Some(record) = store.get(EPOCH).await? else { return Ok(UnixMillis(0)) };
    records::Epoch::read(EPOCH, record).map(|(epoch, _)| epoch.began)
}

/// Every enrolled node with what is stored about it.
async fn open_fleet(store: &dyn Store, now: UnixMillis) -> Result<Fleet, StoreError> {
    let mut fleet = Fleet::default();
    for (key, record) in list_all(store, NODES).await? {
        let (name, (record, _)) = (name_of(NODES, &key)?, records::Node::read(&key, record)?);
        fleet.sites.recorded(&name, &record);
        fleet.nodes.insert(name, Life { saved: now, ..Life::default() });
    }
    for (key, record) in list_all(store, FLEET).await? {
        let (name, (lived, _)) = (name_of(FLEET, &key)?, records::Fleet::read(&key, record)?);
        if let Some(life) = fleet.nodes.get_mut(&name) {
            *life = Life { saved: now, ..Life::from_record(lived) };
            fleet.placed(&name, now);
        }
    }
    for (key, record) in list_all(store, DESIRED).await? {
        let (desired, _) = records::Desired::read(&key, record)?;
        if let Some(life) = fleet.nodes.get_mut(&name_of(DESIRED, &key)?) {
            life.wanted = Some(Arc::new(Wanted::from(&desired)));
        }
    }
    Ok(fleet)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::store::redb::RedbStore;

    /// A hub whose records are gone with it, and the directory of the rest.
    pub(crate) async fn in_memory() -> (Hub, tempfile::TempDir) {
        let dir = tempfile::tempdir().expect("directory");
        let clock: Clock = Arc::new(|| UnixMillis(1_000_000));
        let settings = Settings { name: "test".into(), api: "https://hub.test:8443".into(), mqtt: "hub.test:8883".into() };
        let blobs = Blobs::open(dir.path(), 1 << 20).expect("blobs");
        let parts = Parts {
            store: Arc::new(RedbStore::in_memory().expect("store")),
            delta: Delta::open(dir.path(), &blobs, 1 << 20).expect("packs and patches"),
            blobs,
            ca: Arc::new(Ca::open(&dir.path().join("ca"), clock()).expect("ca")),
            key: SecretKey::from_seed(&[1; 32]),
            clock,
            settings,
        };
        (Hub::open(parts).await.expect("hub"), dir)
    }
}
