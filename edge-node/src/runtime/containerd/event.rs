//! containerd's events, as a hint to look again.
//!
//! Nothing is replayed, so after every (new) subscription everything is looked at. containerd sends no headers before
//! the first event, and `subscribe` does not return before headers: an event of our own is published until it does.

use std::sync::Arc;
use std::time::Duration;

use containerd_client::events::{TaskExit, TaskOom, TaskResumed};
use containerd_client::services::v1::events_client::EventsClient;
use containerd_client::services::v1::{PublishRequest, SubscribeRequest};
use containerd_client::tonic::{Response, Status, Streaming};
use containerd_client::types::Envelope;
use prost::Message;
use prost_types::Any;
use shared::state::InstanceId;
use tokio::sync::Notify;

use super::client::Client;
use super::exits::Exits;

const BARRIER_EVERY: Duration = Duration::from_millis(20);
const BACKOFF_FIRST: Duration = Duration::from_millis(250);
const BACKOFF_LAST: Duration = Duration::from_secs(5);
/// A barrier that does not come back within this time goes to a containerd that hangs.
const SUBSCRIBE_LIMIT: Duration = Duration::from_secs(60);

/// Listens for ever; wakes at every end of a process and whenever containerd went or came.
pub async fn listen(client: Client, namespace: String, exits: Arc<Exits>, wake: Arc<Notify>) {
    let mut backoff = BACKOFF_FIRST;
    loop {
        match tokio::time::timeout(SUBSCRIBE_LIMIT, subscribe(&client, &namespace)).await {
            Ok(Ok(mut stream)) => {
                backoff = BACKOFF_FIRST;
                wake.notify_one();
                while let Ok(Some(envelope)) = stream.message().await {
                    if matters(&envelope, &exits) {
                        wake.notify_one();
                    }
                }
                wake.notify_one();
            }
            Ok(Err(status)) => tracing::debug!(%status, "no events from containerd"),
            Err(_) => tracing::debug!("containerd does not answer a subscription"),
        }
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(BACKOFF_LAST);
    }
}

async fn subscribe(client: &Client, namespace: &str) -> Result<Streaming<Envelope>, Status> {
    let mut events = EventsClient::new(client.channel());
    let filters = vec![format!("namespace=={namespace},topic~=^/tasks/")];
    let subscribed = events.subscribe(client.endless(SubscribeRequest { filters }));
    tokio::select! {
        stream = subscribed => stream.map(Response::into_inner),
        status = barrier(client) => Err(status),
    }
}

/// Publishes until it fails.
async fn barrier(client: &Client) -> Status {
    let mut events = EventsClient::new(client.channel());
    let value = TaskResumed { container_id: "barrier".into() }.encode_to_vec();
    let event = Some(Any { type_url: "containerd.events.TaskResumed".into(), value });
    let request = PublishRequest { topic: "/tasks/barrier".into(), event };
    loop {
        tokio::time::sleep(BARRIER_EVERY).await;
        if let Err(status) = events.publish(client.request(request.clone())).await {
            return status;
        }
    }
}

/// Whether an event changes what can be observed: the end of a container's own process, not of a health check in it.
fn matters(envelope: &Envelope, exits: &Exits) -> bool {
    let value = envelope.event.as_ref().map(|event| event.value.as_slice()).unwrap_or_default();
    match envelope.topic.as_str() {
        "/tasks/oom" => {
            let id = TaskOom::decode(value).ok().and_then(|oom| InstanceId::parse(&oom.container_id));
            id.map(|id| exits.out_of_memory(id)).is_some()
        }
        "/tasks/exit" => TaskExit::decode(value).is_ok_and(|exit| exit.id == exit.container_id),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(topic: &str, message: &impl Message) -> Envelope {
        let event = Some(Any { type_url: String::new(), value: message.encode_to_vec() });
        Envelope { topic: topic.into(), event, ..Envelope::default() }
    }

    #[test]
    fn only_ends_of_containers_wake() {
        let exits = Exits::default();
        let exit = |id: &str| TaskExit { container_id: "a-b-1".into(), id: id.into(), ..TaskExit::default() };
        assert!(matters(&envelope("/tasks/exit", &exit("a-b-1")), &exits));
        assert!(!matters(&envelope("/tasks/exit", &exit("probe-1")), &exits));
        assert!(!matters(&envelope("/tasks/barrier", &exit("a-b-1")), &exits));
        let id = InstanceId::parse("a-b-1").expect("id");
        assert!(!exits.was_out_of_memory(&id));
        assert!(matters(&envelope("/tasks/oom", &TaskOom { container_id: "a-b-1".into() }), &exits));
        assert!(exits.was_out_of_memory(&id));
        assert!(!matters(&envelope("/tasks/oom", &TaskOom { container_id: "../x".into() }), &exits));
    }
}
