//! Reading an image's config out of containerd's content store.

use containerd_client::services::v1::ReadContentRequest;
use containerd_client::services::v1::content_client::ContentClient;
use shared::id::Digest;
use shared::oci::{DOCUMENT_MAX, ImageConfig};
use shared::release::Image;

use super::client::{Client, failed};
use super::failed_to;
use crate::runtime::RuntimeError;

const DOING: &str = "read the image's config";

/// The config of `image`, checked against its digest.
pub async fn image_config(client: &Client, image: &Image) -> Result<ImageConfig, RuntimeError> {
    let wanted = image.config;
    let refused = |cause: &str| RuntimeError::Failed { doing: DOING, cause: format!("{}: {cause}", wanted.digest) };
    if wanted.size > DOCUMENT_MAX {
        return Err(refused("it is too large"));
    }
    let request = ReadContentRequest { digest: wanted.digest.to_string(), offset: 0, size: 0 };
    let answer = ContentClient::new(client.channel()).read(client.request(request)).await.map_err(failed(DOING))?;
    let (mut stream, mut bytes) = (answer.into_inner(), Vec::new());
    while let Some(part) = stream.message().await.map_err(failed(DOING))? {
        bytes.extend_from_slice(&part.data);
        if bytes.len() as u64 > DOCUMENT_MAX {
            return Err(refused("it is too large"));
        }
    }
    if Digest::of(&bytes) != wanted.digest {
        return Err(refused("the bytes do not fit the digest"));
    }
    serde_json::from_slice(&bytes).map_err(failed_to(DOING))
}
