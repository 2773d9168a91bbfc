//! Leases: what keeps half-made things from containerd's garbage collector.
//!
//! A prepared snapshot that no container names yet, and content that no image names yet, are garbage to containerd:
//! the next removal of anything takes them away (measured on 1.6 and 2.1). Everything made with a leased [`Client`]
//! stays until the lease is released or expires.

use std::time::Duration;

use containerd_client::services::v1::leases_client::LeasesClient;
use containerd_client::services::v1::{
    AddResourceRequest, CreateRequest, DeleteRequest, ListRequest, ListResourcesRequest, Resource,
};
use prost_types::Timestamp;
use shared::time::UnixMillis;

use super::client::{Client, exists, failed, missing};
use crate::runtime::RuntimeError;

/// A lease ends by itself after this time, so that a node that never comes back leaks nothing.
const LIFE: Duration = Duration::from_secs(24 * 3600);
/// A lease found with less than this left is replaced.
const LEFT_MIN: Duration = Duration::from_secs(12 * 3600);
const EXPIRE: &str = "containerd.io/gc.expire";

/// A lease we hold. Dropping it does not release it: an unpacking that was cut off goes on under the same lease.
pub struct Lease {
    client: Client,
    id: String,
}

impl Lease {
    /// Takes the lease `id`, or continues it if an earlier life of the daemon left it and it lasts long enough.
    ///
    /// `now` is this machine's wall clock, the same that containerd compares with; if it is set right later, the lease
    /// may end early, and the work that it protected fails and is done again.
    pub async fn take(client: &Client, id: String, now: UnixMillis) -> Result<Self, RuntimeError> {
        let lease = Self { client: client.leased(&id)?, id };
        if lease.create(client, now).await? || lease.lasts(client, now).await? {
            return Ok(lease);
        }
        release(client, &lease.id).await?;
        lease.create(client, now).await?;
        Ok(lease)
    }

    /// The connection whose calls are held by this lease.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Holds the snapshot `name`, whether it exists yet or not.
    pub async fn hold(&self, snapshotter: &str, name: &str) -> Result<(), RuntimeError> {
        let resource = Resource { id: name.into(), r#type: kind(snapshotter) };
        let request = self.client.request(AddResourceRequest { id: self.id.clone(), resource: Some(resource) });
        match LeasesClient::new(self.client.channel()).add_resource(request).await {
            Err(status) if !exists(&status) => Err(failed("holding a layer")(status)),
            _ => Ok(()),
        }
    }

    /// The snapshots it holds.
    pub async fn snapshots(&self, snapshotter: &str) -> Result<Vec<String>, RuntimeError> {
        let request = self.client.request(ListResourcesRequest { id: self.id.clone() });
        let listed = LeasesClient::new(self.client.channel()).list_resources(request).await;
        let resources = listed.map_err(failed("reading a lease"))?.into_inner().resources;
        Ok(resources.into_iter().filter(|resource| resource.r#type == kind(snapshotter)).map(|resource| resource.id).collect())
    }

    /// Ends it.
    pub async fn release(self, client: &Client) -> Result<(), RuntimeError> {
        release(client, &self.id).await
    }

    /// Makes it; false when it is there already.
    async fn create(&self, client: &Client, now: UnixMillis) -> Result<bool, RuntimeError> {
        let expire = timestamp(now, LIFE).to_string();
        let request = CreateRequest { id: self.id.clone(), labels: [(EXPIRE.to_owned(), expire)].into() };
        match LeasesClient::new(client.channel()).create(client.request(request)).await {
            Ok(_) => Ok(true),
            Err(status) if exists(&status) => Ok(false),
            Err(status) => Err(failed("making a lease")(status)),
        }
    }

    async fn lasts(&self, client: &Client, now: UnixMillis) -> Result<bool, RuntimeError> {
        let request = client.request(ListRequest { filters: vec![format!("id=={}", self.id)] });
        let listed = LeasesClient::new(client.channel()).list(request).await.map_err(failed("reading a lease"))?;
        let ours = listed.into_inner().leases.into_iter().find(|lease| lease.id == self.id);
        let expire = ours.and_then(|lease| lease.labels.get(EXPIRE)?.parse::<Timestamp>().ok());
        Ok(expire.is_some_and(|expire| expire.seconds >= timestamp(now, LEFT_MIN).seconds))
    }
}

/// Ends the lease `id`; one that is not there is no error.
pub async fn release(client: &Client, id: &str) -> Result<(), RuntimeError> {
    end(client, id, false).await
}

/// Has containerd collect its garbage, and returns when it is gone. It does so on request only after the end of a lease.
pub async fn collect(client: &Client, now: UnixMillis) -> Result<(), RuntimeError> {
    let lease = Lease::take(client, "collect".into(), now).await?;
    end(client, &lease.id, true).await
}

async fn end(client: &Client, id: &str, sync: bool) -> Result<(), RuntimeError> {
    let request = client.request(DeleteRequest { id: id.into(), sync });
    match LeasesClient::new(client.channel()).delete(request).await {
        Err(status) if !missing(&status) => Err(failed("releasing a lease")(status)),
        _ => Ok(()),
    }
}

/// A snapshot as leases name it.
fn kind(snapshotter: &str) -> String {
    format!("snapshots/{snapshotter}")
}

fn timestamp(now: UnixMillis, after: Duration) -> Timestamp {
    let seconds = (now.0 / 1000).saturating_add(after.as_secs());
    Timestamp { seconds: i64::try_from(seconds).unwrap_or(i64::MAX), nanos: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        let time = timestamp(UnixMillis(1_700_000_000_999), LIFE);
        assert_eq!(time.to_string(), "2023-11-15T22:13:20Z");
        assert_eq!(time.to_string().parse(), Ok(time));
    }
}
