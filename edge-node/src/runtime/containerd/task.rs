//! The process of a container: create, start, stop, delete.

use std::time::Duration;

use containerd_client::services::v1::tasks_client::TasksClient;
use containerd_client::services::v1::{
    CreateTaskRequest, DeleteTaskRequest, GetRequest, KillRequest, ListTasksRequest, StartRequest, WaitRequest,
};
use containerd_client::tonic::Code;
use containerd_client::tonic::transport::Channel;
use containerd_client::types::Mount;
use containerd_client::types::v1::{Process, Status};
use shared::state::InstanceId;

use super::client::{Client, exists, failed, missing};
use crate::runtime::RuntimeError;

const SIGKILL: u32 = 9;
/// A killed process that is still there after this time hangs in the kernel.
const KILL_LIMIT: Duration = Duration::from_secs(20);
/// How often, and how long apart, a task is created that containerd still thinks is there.
const CREATE_TRIES: u32 = 50;
const CREATE_EVERY: Duration = Duration::from_millis(100);
/// A list of all tasks of a node fits; the client's default of 4 MiB would not bound it better.
pub const LIST_MAX: usize = 64 << 20;

fn tasks(client: &Client) -> TasksClient<Channel> {
    TasksClient::new(client.channel()).max_decoding_message_size(LIST_MAX)
}

/// Every task of the namespace.
pub async fn list(client: &Client) -> Result<Vec<Process>, RuntimeError> {
    let answer = tasks(client).list(client.request(ListTasksRequest::default())).await;
    Ok(answer.map_err(failed("list tasks"))?.into_inner().tasks)
}

/// The task of one container; `None` when there is none.
pub async fn get(client: &Client, id: &str) -> Result<Option<Process>, RuntimeError> {
    let request = GetRequest { container_id: id.into(), exec_id: String::new() };
    match tasks(client).get(client.request(request)).await {
        Ok(answer) => Ok(answer.into_inner().process),
        Err(status) if missing(&status) => Ok(None),
        Err(status) => Err(failed("look at a task")(status)),
    }
}

/// Makes the process, not yet running. Both streams have the same URI: with one empty the shim panics (containerd 1.6
/// and 2.1).
pub async fn create(client: &Client, id: &InstanceId, rootfs: Vec<Mount>, log: &str) -> Result<(), RuntimeError> {
    let request = CreateTaskRequest {
        container_id: id.to_string(),
        rootfs,
        stdout: log.into(),
        stderr: log.into(),
        ..CreateTaskRequest::default()
    };
    let mut tries = 0;
    loop {
        tries += 1;
        match tasks(client).create(client.request(request.clone())).await {
            Ok(_) => return Ok(()),
            // containerd still clears up after a shim that was killed, although it shows no task any more.
            Err(status) if exists(&status) && tries < CREATE_TRIES => drop(delete(client, id).await),
            Err(status) => return Err(failed("create a task")(status)),
        }
        tokio::time::sleep(CREATE_EVERY).await;
    }
}

/// Starts the process that [`create`] made.
pub async fn start(client: &Client, id: &InstanceId) -> Result<(), RuntimeError> {
    let request = StartRequest { container_id: id.to_string(), exec_id: String::new() };
    tasks(client).start(client.request(request)).await.map_err(failed("start a task"))?;
    Ok(())
}

/// Whether a process runs, or may run: what is paused or in an unknown state is not touched.
pub fn is_running(process: &Process) -> bool {
    match process.status() {
        Status::Running | Status::Paused | Status::Pausing | Status::Unknown => true,
        Status::Created | Status::Stopped => false,
    }
}

/// Asks the process to end with `signal`, and kills everything in the container after `grace`.
pub async fn stop(client: &Client, id: &InstanceId, signal: u32, grace: Duration) -> Result<(), RuntimeError> {
    match get(client, id.as_str()).await? {
        Some(process) if is_running(&process) => {}
        _ => return Ok(()),
    }
    kill(client, id, signal, false).await?;
    if let Ok(ended) = tokio::time::timeout(grace, ended(client, id)).await {
        return ended;
    }
    kill(client, id, SIGKILL, true).await?;
    tokio::time::timeout(KILL_LIMIT, ended(client, id))
        .await
        .unwrap_or_else(|_| Err(RuntimeError::Failed { doing: "stop a task", cause: format!("{id} did not end after SIGKILL") }))
}

/// Removes the task of a process that ended or never ran; none is fine.
pub async fn delete(client: &Client, id: &InstanceId) -> Result<(), RuntimeError> {
    let request = DeleteTaskRequest { container_id: id.to_string() };
    match tasks(client).delete(client.request(request)).await {
        Err(status) if !missing(&status) => Err(failed("delete a task")(status)),
        _ => Ok(()),
    }
}

async fn kill(client: &Client, id: &InstanceId, signal: u32, all: bool) -> Result<(), RuntimeError> {
    let request = KillRequest { container_id: id.to_string(), exec_id: String::new(), signal, all };
    match tasks(client).kill(client.request(request)).await {
        // It ended in between.
        Err(status) if !missing(&status) && !exists(&status) && status.code() != Code::FailedPrecondition => {
            Err(failed("signal a task")(status))
        }
        _ => Ok(()),
    }
}

async fn ended(client: &Client, id: &InstanceId) -> Result<(), RuntimeError> {
    let request = WaitRequest { container_id: id.to_string(), exec_id: String::new() };
    match tasks(client).wait(client.endless(request)).await {
        Err(status) if !missing(&status) => Err(failed("wait for a task")(status)),
        _ => Ok(()),
    }
}
