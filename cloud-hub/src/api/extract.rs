//! How handlers read requests: every bound and every strictness is here, and every refusal is a [`Problem`].
//!
//! [`Problem`]: super::types::Problem

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use shared::fault::{Fault, hub};
use shared::id::{Digest, Name};

use super::problem::ApiError;
use crate::access::Principal;

/// Largest JSON body, in bytes: a deployment that names 10,000 nodes fits.
const JSON_MAX: usize = 1 << 20;
/// A whole body must arrive within this time.
const PATIENCE: Duration = Duration::from_secs(60);

/// A JSON body of at most `MAX` bytes, read strictly.
pub(super) struct Json<T, const MAX: usize = JSON_MAX>(pub T);

impl<S: Send + Sync, T: DeserializeOwned, const MAX: usize> FromRequest<S> for Json<T, MAX> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        expect_type(request.headers(), "application/json")?;
        let bytes = read_body(request, MAX).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let why: String = error.to_string().chars().take(300).collect();
            ApiError::bad_request(Fault::new(&hub::BAD_JSON).with("line", line).with("column", column).with("why", why))
        })
    }
}

/// A JSON body that may be left out.
pub(super) struct MaybeJson<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for MaybeJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let is_empty = request.headers().get(header::CONTENT_TYPE).is_none()
            && request.headers().get(header::CONTENT_LENGTH).is_none_or(|length| length.as_bytes() == b"0")
            && !request.headers().contains_key(header::TRANSFER_ENCODING);
        if is_empty { Ok(Self(T::default())) } else { Json::<T>::from_request(request, state).await.map(|Json(body)| Self(body)) }
    }
}

/// A body of plain bytes, at most `MAX` of them.
pub(super) struct Octets<const MAX: usize>(pub Bytes);

impl<S: Send + Sync, const MAX: usize> FromRequest<S> for Octets<MAX> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        expect_type(request.headers(), OCTETS)?;
        read_body(request, MAX).await.map(Self)
    }
}

/// The media type of blobs and releases.
pub(super) const OCTETS: &str = "application/octet-stream";

/// Whether the body is of the type `expected`; parameters such as a charset do not matter.
pub(super) fn expect_type(headers: &HeaderMap, expected: &str) -> Result<(), ApiError> {
    let found = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = found.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    let found: String = if found.is_empty() { "?".into() } else { found.chars().take(100).collect() };
    let fault = Fault::new(&hub::WRONG_MEDIA_TYPE).with("found", found).with("expected", expected);
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, fault))
}

async fn read_body(request: Request, max: usize) -> Result<Bytes, ApiError> {
    let too_large = || ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, Fault::new(&hub::BODY_TOO_LARGE).with("max", max));
    let promised = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if promised.is_some_and(|promised| promised > max) {
        return Err(too_large());
    }
    match tokio::time::timeout(PATIENCE, to_bytes(request.into_body(), max)).await {
        Err(_) => {
            let fault = Fault::new(&hub::BODY_TOO_SLOW).with("seconds", PATIENCE.as_secs());
            Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, fault))
        }
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_too_long(&error) => Err(too_large()),
        Ok(Err(error)) => Err(ApiError::bad_request(Fault::new(&hub::BODY_BROKEN).with("why", error))),
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    let mut causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.any(|error| error.is::<http_body_util::LengthLimitError>())
}

/// The part of the address behind `?`.
pub(super) struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(error) => {
                let why: String = error.body_text().chars().take(300).collect();
                Err(ApiError::bad_request(Fault::new(&hub::BAD_QUERY).with("why", why)))
            }
        }
    }
}

/// The variable part of the path, read as a `T`.
pub(super) struct Named<T>(pub T);

/// What a path can name.
pub(super) trait PathPart: Sized {
    /// For people: what is expected.
    const EXPECTED: &'static str;
    /// Reads it.
    fn read(text: &str) -> Option<Self>;
}

impl PathPart for Name {
    const EXPECTED: &'static str = "1-63 × a-z 0-9 -";
    fn read(text: &str) -> Option<Self> {
        Self::new(text).ok()
    }
}

impl PathPart for Digest {
    const EXPECTED: &'static str = "sha256:<64 × 0-9 a-f>";
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl PathPart for String {
    const EXPECTED: &'static str = "UTF-8";
    fn read(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl<S: Send + Sync, T: PathPart> FromRequestParts<S> for Named<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = Path::<String>::from_request_parts(parts, state).await.map(|Path(text)| text);
        let found = text.as_deref().ok().and_then(T::read);
        found.map(Self).ok_or_else(|| {
            let shown: String = text.unwrap_or_default().chars().take(100).collect();
            ApiError::bad_request(Fault::new(&hub::BAD_PATH).with("value", shown).with("expected", T::EXPECTED))
        })
    }
}

/// The revision in `If-Match`, which must still be the present one: `7` or `"7"`.
pub(super) struct Seen(pub Option<u64>);

impl<S: Send + Sync> FromRequestParts<S> for Seen {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else { return Ok(Self(None)) };
        let revision = value.to_str().ok().and_then(|text| text.trim().trim_matches('"').parse().ok());
        let bad = || Fault::new(&hub::BAD_HEADER).with("header", "If-Match").with("expected", "metadata.revision");
        revision.map(|revision| Self(Some(revision))).ok_or_else(|| ApiError::bad_request(bad()))
    }
}

/// Who calls, as the guard found out.
pub(super) struct By(pub Principal);

impl<S: Send + Sync> FromRequestParts<S> for By {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let found = parts.extensions.get::<Principal>().cloned();
        found.map(Self).ok_or_else(|| crate::access::AuthError::Missing.into())
    }
}

/// Which part of a list.
#[derive(Debug, Clone, Default, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// At most so many; 500 unless said otherwise, never more than 5000.
    pub limit: Option<usize>,
    /// Behind this one: the `next` of the page before.
    pub after: Option<String>,
}

impl Page {
    /// Most objects of one page.
    pub const MAX: usize = 5000;

    /// At most so many.
    pub fn limit(&self) -> usize {
        limit(self.limit)
    }
}

/// A limit within its bounds.
pub(super) fn limit(limit: Option<usize>) -> usize {
    limit.unwrap_or(500).clamp(1, Page::MAX)
}
