//! One connection to containerd: namespace and lease headers, deadlines, errors by kind.

use std::path::Path;
use std::time::Duration;

use containerd_client::tonic::metadata::{Ascii, MetadataValue};
use containerd_client::tonic::transport::{Channel, Endpoint};
use containerd_client::tonic::{Code, Request, Status};

use crate::runtime::RuntimeError;

/// Every call but Wait and Subscribe ends within this time: a hung containerd must not hang the node.
pub const CALL_LIMIT: Duration = Duration::from_secs(60);

/// A connection for one namespace. Cheap to clone; reconnects by itself after containerd was restarted.
#[derive(Clone)]
pub struct Client {
    channel: Channel,
    namespace: MetadataValue<Ascii>,
    lease: Option<MetadataValue<Ascii>>,
}

impl Client {
    /// Connects now, and fails when nobody answers.
    pub async fn connect(socket: &Path, namespace: &str) -> Result<Self, RuntimeError> {
        let channel = containerd_client::connect(socket).await.map_err(|error| RuntimeError::Unreachable(chain(&error)))?;
        Ok(Self { channel, namespace: header(namespace)?, lease: None })
    }

    /// Connects with the first call: for the daemon, which may be up before containerd is.
    pub fn lazy(socket: &Path, namespace: &str) -> Result<Self, RuntimeError> {
        let socket = socket.to_owned();
        let connector = tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { Ok::<_, std::io::Error>(hyper_util::rt::TokioIo::new(tokio::net::UnixStream::connect(socket).await?)) }
        });
        // The address is for HTTP's Host header only.
        let channel = Endpoint::from_static("http://containerd").connect_with_connector_lazy(connector);
        Ok(Self { channel, namespace: header(namespace)?, lease: None })
    }

    /// The same connection, with everything it makes held by `lease` until the lease is deleted.
    pub fn leased(&self, lease: &str) -> Result<Self, RuntimeError> {
        Ok(Self { lease: Some(header(lease)?), ..self.clone() })
    }

    /// The channel, for `SomeServiceClient::new`.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// A request with our headers and the usual deadline.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = self.endless(message);
        request.set_timeout(CALL_LIMIT);
        request
    }

    /// A request with our headers and no deadline: for Wait and Subscribe only.
    pub fn endless<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("containerd-namespace", self.namespace.clone());
        if let Some(lease) = &self.lease {
            request.metadata_mut().insert("containerd-lease", lease.clone());
        }
        request
    }
}

fn header(text: &str) -> Result<MetadataValue<Ascii>, RuntimeError> {
    MetadataValue::try_from(text)
        .map_err(|error| RuntimeError::Failed { doing: "naming a namespace or lease", cause: error.to_string() })
}

/// Makes an error of a status. A lost connection shows as `Unavailable`, or as `Unknown` with a transport error
/// as its source (measured with containerd killed during a call).
pub fn failed(doing: &'static str) -> impl Fn(Status) -> RuntimeError {
    move |status| {
        let lost = status.code() == Code::Unavailable
            || (status.code() == Code::Unknown && std::error::Error::source(&status).is_some());
        if lost {
            RuntimeError::Unreachable(format!("{doing}: {}", status.message()))
        } else {
            RuntimeError::Failed { doing, cause: status.message().to_owned() }
        }
    }
}

/// Whether the call failed because the thing is already there.
pub fn exists(status: &Status) -> bool {
    status.code() == Code::AlreadyExists
}

/// Whether the call failed because the thing is not there.
pub fn missing(status: &Status) -> bool {
    status.code() == Code::NotFound
}

/// An error with its causes, outermost first.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
