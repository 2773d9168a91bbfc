//! Content: resumable uploads and ranged downloads.

use std::io;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use shared::fault::{Fault, hub};
use shared::id::Digest;
use shared::release::Blob;

use super::Api;
use super::extract::{Named, OCTETS, Params, expect_type};
use super::problem::ApiError;
use super::types::{Problem, Upload};
use crate::blobs::{self, BlobError, Blobs};

/// An upload that sends nothing for so long ends; what came is kept.
const IDLE: Duration = Duration::from_secs(30);
/// Bytes of one step of a download.
const STEP: u32 = 256 << 10;

/// Where the body goes.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Place {
    /// First byte of the body within the blob: what the hub holds already. Default 0.
    offset: u64,
    /// Bytes of the whole blob; when absent, the body must have a `Content-Length` and end the blob.
    size: Option<u64>,
}

/// Uploads a blob or the rest of it. What arrives is kept when the connection breaks: `HEAD` says where to go on.
#[utoipa::path(put, path = "/api/v1/blobs/{digest}", tag = "releases", params(("digest" = String, Path), Place),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, description = "Complete and verified", body = Upload), (status = 202, description = "A part", body = Upload),
        (status = 409, description = "It goes on at another byte, or somebody else uploads it", body = Problem),
        (status = 422, description = "The bytes do not fit the digest", body = Problem)))]
pub(super) async fn upload(
    State(api): State<Api>,
    Named(digest): Named<Digest>,
    Params(place): Params<Place>,
    request: Request,
) -> Result<(StatusCode, axum::Json<Upload>), ApiError> {
    expect_type(request.headers(), OCTETS)?;
    let size = whole_size(&place, request.headers())?;
    let body = patient(request.into_body().into_data_stream());
    let uploaded = api.hub.blobs.upload(Blob { digest, size }, place.offset, body).await?;
    Ok(match uploaded {
        blobs::Upload::Done => (StatusCode::CREATED, axum::Json(Upload { digest, offset: size, complete: true })),
        blobs::Upload::Partial(offset) => (StatusCode::ACCEPTED, axum::Json(Upload { digest, offset, complete: false })),
    })
}

/// Uploads a part of a blob; the same as `PUT`.
#[utoipa::path(patch, path = "/api/v1/blobs/{digest}", tag = "releases", params(("digest" = String, Path), Place),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, description = "Complete and verified", body = Upload), (status = 202, description = "A part", body = Upload),
        (status = 409, description = "It goes on at another byte, or somebody else uploads it", body = Problem),
        (status = 422, description = "The bytes do not fit the digest", body = Problem)))]
pub(super) async fn upload_part(
    api: State<Api>,
    digest: Named<Digest>,
    place: Params<Place>,
    request: Request,
) -> Result<(StatusCode, axum::Json<Upload>), ApiError> {
    upload(api, digest, place, request).await
}

fn whole_size(place: &Place, headers: &HeaderMap) -> Result<u64, ApiError> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let ends_blob = || length.and_then(|length| place.offset.checked_add(length));
    place.size.or_else(ends_blob).ok_or_else(|| {
        let fault = Fault::new(&hub::BAD_QUERY).with("why", "size is missing, and there is no Content-Length either");
        ApiError::new(StatusCode::LENGTH_REQUIRED, fault)
    })
}

/// The body, ended when nothing comes for [`IDLE`].
fn patient(body: BodyDataStream) -> impl Stream<Item = Result<Bytes, io::Error>> {
    stream::unfold(Some(body), |body| async {
        let mut body = body?;
        match tokio::time::timeout(IDLE, body.next()).await {
            Ok(Some(Ok(bytes))) => Some((Ok(bytes), Some(body))),
            Ok(Some(Err(error))) => Some((Err(io::Error::other(error)), None)),
            Ok(None) => None,
            Err(_) => Some((Err(io::ErrorKind::TimedOut.into()), None)),
        }
    })
}

/// Whether a blob is there, and how much of it. The header `upload-offset` says how many bytes the hub holds.
#[utoipa::path(head, path = "/api/v1/blobs/{digest}", tag = "releases", params(("digest" = String, Path)),
    responses((status = 200, description = "It is there"), (status = 404, description = "It is not, or not all of it")))]
pub(super) async fn head(State(api): State<Api>, Named(digest): Named<Digest>) -> Result<Response, ApiError> {
    let (status, offset) = match api.hub.blobs.upload_offset(&digest).await? {
        blobs::Upload::Done => (StatusCode::OK, api.hub.blobs.size(&digest).await?.unwrap_or_default()),
        blobs::Upload::Partial(offset) => (StatusCode::NOT_FOUND, offset),
    };
    let mut response = (status, [("upload-offset", HeaderValue::from(offset))]).into_response();
    if status == StatusCode::OK {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(offset));
    }
    Ok(response)
}

/// The bytes of a blob, or the range of them that `Range` asks for.
#[utoipa::path(get, path = "/api/v1/blobs/{digest}", tag = "releases",
    params(("digest" = String, Path), ("Range" = Option<String>, Header, description = "bytes=FIRST-LAST, one range")),
    responses((status = 200, description = "All bytes", content_type = "application/octet-stream"),
        (status = 206, description = "Some bytes", content_type = "application/octet-stream"), (status = 404, body = Problem),
        (status = 416, description = "No such bytes", body = Problem)))]
pub(super) async fn download(
    State(api): State<Api>,
    Named(digest): Named<Digest>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let size = api.hub.blobs.size(&digest).await?.ok_or(BlobError::Missing { digest })?;
    let asked = headers.get(header::RANGE).map(|value| value.to_str().unwrap_or_default());
    let (from, until) = match asked.map(|text| range(text, size)) {
        None => (0, size),
        Some(Some(range)) => range,
        Some(None) => {
            let fault = Fault::new(&hub::BAD_HEADER).with("header", "Range").with("expected", format!("bytes=0-{size}"));
            return Err(ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, fault));
        }
    };
    let body = Body::from_stream(read(api.hub.blobs.clone(), digest, from, until));
    let status = if asked.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut response = (status, [(header::CONTENT_TYPE, OCTETS)], body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(until - from));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if asked.is_some()
        && let Ok(value) = HeaderValue::from_str(&format!("bytes {from}-{}/{size}", until.saturating_sub(1)))
    {
        headers.insert(header::CONTENT_RANGE, value);
    }
    Ok(response)
}

/// First byte and the byte behind the last one of `bytes=a-b`, `bytes=a-` or `bytes=-n` (RFC 9110, section 14.1.2).
fn range(text: &str, size: u64) -> Option<(u64, u64)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let (from, until) = match (first.trim(), last.trim()) {
        ("", suffix) => (size.saturating_sub(suffix.parse().ok()?), size),
        (first, "") => (first.parse().ok()?, size),
        (first, last) => (first.parse().ok()?, last.parse::<u64>().ok()?.saturating_add(1).min(size)),
    };
    (from < until && from < size).then_some((from, until))
}

fn read(blobs: Blobs, digest: Digest, from: u64, until: u64) -> impl Stream<Item = Result<Bytes, BlobError>> {
    stream::unfold((blobs, from), move |(blobs, at)| async move {
        let length = u32::try_from(until.saturating_sub(at)).unwrap_or(STEP).min(STEP);
        if length == 0 {
            return None;
        }
        let bytes = blobs.read(&digest, at, length).await;
        // A blob never changes its size; an empty read must not be asked for without end.
        let next = bytes.as_ref().map_or(until, |bytes| if bytes.is_empty() { until } else { at + bytes.len() as u64 });
        Some((bytes, (blobs, next)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_rfc_9110() {
        for (text, found) in [
            ("bytes=0-9", Some((0, 10))),
            ("bytes=5-", Some((5, 100))),
            ("bytes=-10", Some((90, 100))),
            ("bytes=-1000", Some((0, 100))),
            ("bytes=90-1000", Some((90, 100))),
            ("bytes=100-", None),
            ("bytes=9-5", None),
            ("bytes=-0", None),
            ("bytes=0-1,5-6", None),
            ("items=0-1", None),
            ("bytes=a-b", None),
            ("", None),
        ] {
            assert_eq!(range(text, 100), found, "{text}");
        }
        assert_eq!(range("bytes=0-", 0), None);
    }
}
