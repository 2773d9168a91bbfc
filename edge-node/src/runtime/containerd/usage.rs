//! How much of the disk everything of ours takes, as containerd says it.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use shared::id::Digest;
use shared::state::InstanceId;

use super::Containerd;
use super::image::Unpacked;
use super::observe::{Ours, containers, ours};
use crate::runtime::{RuntimeError, Usage, Written};

/// Snapshots that are measured at once.
const AT_ONCE: usize = 4;

impl Containerd {
    /// Layers, containers, and what is being unpacked. What goes meanwhile is left out.
    pub(super) async fn measure(&self) -> Result<Usage, RuntimeError> {
        let snapshots = self.snapshots();
        let (all, containers, Unpacked { images, doubtful, damaged, .. }) =
            tokio::try_join!(snapshots.list(Vec::new()), containers(&self.client), self.images.unpacked())?;
        let owners: BTreeMap<InstanceId, Ours> = containers.iter().filter_map(ours).collect();
        let measured = stream::iter(all).map(|snapshot| async {
            let bytes = snapshots.usage(&snapshot.name).await?;
            Ok::<_, RuntimeError>(bytes.map(|bytes| (snapshot.name, bytes)))
        });
        let measured: Vec<(String, u64)> =
            measured.buffer_unordered(AT_ONCE).try_filter_map(|found| async move { Ok(found) }).try_collect().await?;
        let mut usage = Usage {
            images: images.into_iter().chain(doubtful).chain(damaged).collect(),
            root: self.images.root().await,
            ..Usage::default()
        };
        for (name, bytes) in measured {
            let owner = InstanceId::parse(&name).and_then(|id| Some((owners.get(&id)?, id)));
            match (name.parse::<Digest>(), owner) {
                (Ok(chain), _) => _ = usage.layers.insert(chain, bytes),
                (Err(_), Some((Ours { app, service, release, .. }, id))) => {
                    let written = Written { app: app.clone(), service: service.clone(), release: *release, bytes };
                    usage.instances.insert(id, written);
                }
                (Err(_), None) => usage.unpacking = usage.unpacking.saturating_add(bytes),
            }
        }
        Ok(usage)
    }
}
