//! Health checks: by HTTP or TCP from the node, which costs no process, or by a command in the container.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use containerd_client::services::v1::tasks_client::TasksClient;
use containerd_client::services::v1::{DeleteProcessRequest, ExecProcessRequest, KillRequest, StartRequest, WaitRequest};
use prost_types::Any;
use serde_json::{Value, json};
use shared::manifest::Probe;
use shared::state::InstanceId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{Client, failed};
use super::container;
use crate::runtime::ProbeFailure;

const PROCESS_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/Process";
/// A killed probe that is still there after this time stays for the container's end.
const CLEAN_LIMIT: Duration = Duration::from_secs(5);
/// Enough for a status line.
const STATUS_MAX: u64 = 64;

/// Asks once; an answer later than `limit` is none. `reach` is where the instance answers the node.
pub async fn run(
    client: &Client,
    reach: Option<IpAddr>,
    instance: &InstanceId,
    probe: &Probe,
    limit: Duration,
) -> Result<(), ProbeFailure> {
    let late = |_| Err(ProbeFailure(format!("no answer within {limit:?}")));
    let address = |port| reach.map(|ip| SocketAddr::new(ip, port)).ok_or_else(|| ProbeFailure("it has no address".into()));
    match probe {
        Probe::Http { port, path } => tokio::time::timeout(limit, http(address(*port)?, path)).await.unwrap_or_else(late),
        Probe::Tcp { port } => tokio::time::timeout(limit, tcp(address(*port)?)).await.unwrap_or_else(late),
        Probe::Exec(arguments) => exec(client, instance, arguments.clone(), limit).await,
        Probe::Shell(line) => exec(client, instance, vec!["/bin/sh".into(), "-c".into(), line.clone()], limit).await,
    }
}

async fn tcp(address: SocketAddr) -> Result<(), ProbeFailure> {
    let connected = TcpStream::connect(address).await;
    connected.map(drop).map_err(|error| ProbeFailure(format!("{address}: {error}")))
}

/// GET in HTTP/1.0, which every server speaks and which ends with the connection. Only the status line is read.
async fn http(address: SocketAddr, path: &str) -> Result<(), ProbeFailure> {
    let failure = |error: std::io::Error| ProbeFailure(format!("{address}{path}: {error}"));
    let mut stream = TcpStream::connect(address).await.map_err(failure)?;
    let request =
        format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nUser-Agent: causeway\r\nAccept: */*\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(failure)?;
    let (mut said, mut head) = (stream.take(STATUS_MAX), Vec::new());
    while !head.contains(&b'\n') && said.read_buf(&mut head).await.map_err(failure)? > 0 {}
    match status(&head) {
        Some(200..=399) => Ok(()),
        Some(status) => Err(ProbeFailure(format!("{address}{path} answered {status}"))),
        None => Err(ProbeFailure(format!("{address}{path} did not answer in HTTP"))),
    }
}

/// The number in `HTTP/1.1 200 OK`.
fn status(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head.split(|byte| *byte == b'\n').next()?).ok()?;
    let mut words = line.split_ascii_whitespace();
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next().filter(|code| code.len() == 3)?.parse().ok()
}

/// Runs a command as the container's own user, with its environment and rights; its output is not kept. The process is
/// always removed again, whatever happened.
async fn exec(client: &Client, id: &InstanceId, arguments: Vec<String>, limit: Duration) -> Result<(), ProbeFailure> {
    let failure = |error: &dyn std::fmt::Display| ProbeFailure(format!("{} could not be run: {error}", first(&arguments)));
    let spec = process(client, id, &arguments).await?;
    let unique = getrandom::u64().map_err(|error| failure(&error))?;
    let (container_id, exec_id) = (id.to_string(), format!("probe-{unique:016x}"));
    let mut tasks = TasksClient::new(client.channel());
    let request = ExecProcessRequest {
        container_id: container_id.clone(),
        exec_id: exec_id.clone(),
        spec: Some(Any { type_url: PROCESS_TYPE.into(), value: spec.to_string().into_bytes() }),
        ..ExecProcessRequest::default()
    };
    let added = tasks.exec(client.request(request)).await.map_err(failed("add a process"));
    added.map_err(|error| failure(&error))?;
    let ran = tokio::time::timeout(limit, start_and_wait(client, &container_id, &exec_id)).await;
    // A task of its own, so that it happens although the caller may give up.
    let cleaned = tokio::spawn(clean(client.clone(), container_id, exec_id, ran.is_err()));
    let result = match ran {
        Ok(Ok(0)) => Ok(()),
        Ok(Ok(code)) => Err(ProbeFailure(format!("{} exited with {code}", first(&arguments)))),
        Ok(Err(error)) => Err(failure(&error)),
        Err(_) => Err(ProbeFailure(format!("{} did not end within {limit:?}", first(&arguments)))),
    };
    drop(cleaned.await);
    result
}

async fn start_and_wait(client: &Client, container_id: &str, exec_id: &str) -> Result<u32, crate::runtime::RuntimeError> {
    let mut tasks = TasksClient::new(client.channel());
    let (container_id, exec_id) = (container_id.to_owned(), exec_id.to_owned());
    let start = StartRequest { container_id: container_id.clone(), exec_id: exec_id.clone() };
    tasks.start(client.request(start)).await.map_err(failed("start a process"))?;
    let wait = WaitRequest { container_id, exec_id };
    Ok(tasks.wait(client.endless(wait)).await.map_err(failed("wait for a process"))?.into_inner().exit_status)
}

async fn clean(client: Client, container_id: String, exec_id: String, alive: bool) {
    let mut tasks = TasksClient::new(client.channel());
    if alive {
        let kill = KillRequest { container_id: container_id.clone(), exec_id: exec_id.clone(), signal: 9, all: false };
        drop(tasks.kill(client.request(kill)).await);
        let wait = WaitRequest { container_id: container_id.clone(), exec_id: exec_id.clone() };
        drop(tokio::time::timeout(CLEAN_LIMIT, tasks.wait(client.endless(wait))).await);
    }
    drop(tasks.delete_process(client.request(DeleteProcessRequest { container_id, exec_id })).await);
}

/// The container's own process with other arguments.
async fn process(client: &Client, id: &InstanceId, arguments: &[String]) -> Result<Value, ProbeFailure> {
    let found = container::find(client, id).await.map_err(|error| ProbeFailure(error.to_string()))?;
    let spec = found.and_then(|container| container.spec).ok_or_else(|| ProbeFailure("the container is gone".into()))?;
    let mut spec: Value = serde_json::from_slice(&spec.value).map_err(|error| ProbeFailure(error.to_string()))?;
    let mut process = spec.get_mut("process").map(Value::take).unwrap_or_default();
    if let Some(process) = process.as_object_mut() {
        process.insert("args".into(), json!(arguments));
    }
    Ok(process)
}

fn first(arguments: &[String]) -> &str {
    arguments.first().map(String::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn only_a_status_line_is_an_answer() {
        for (head, expected) in [
            ("HTTP/1.0 200 OK\r\n", Some(200)),
            ("HTTP/1.1 301 Moved", Some(301)),
            ("HTTP/1.1 503\n", Some(503)),
            ("HTTP/2 200\n", None),
            ("HTTP/1.1 20\n", None),
            ("SSH-2.0-x\r\n", None),
            ("", None),
        ] {
            assert_eq!(status(head.as_bytes()), expected, "{head:?}");
        }
    }

    #[tokio::test]
    async fn http_reads_no_more_than_the_status() {
        for (answer, good) in [("HTTP/1.1 204 No\r\n", true), ("HTTP/1.1 500 No\r\n", false), ("", false), ("x", false)] {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("listener");
            let address = listener.local_addr().expect("address");
            let server = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.expect("a client");
                let mut request = [0; 16];
                stream.read_exact(&mut request).await.expect("a request");
                assert_eq!(&request, b"GET /health HTTP");
                drop(stream.write_all(answer.as_bytes()).await);
            });
            assert_eq!(http(address, "/health").await.is_ok(), good, "{answer:?}");
            server.await.expect("the server");
        }
        assert!(tcp("127.0.0.1:1".parse().expect("address")).await.is_err());
    }
}
