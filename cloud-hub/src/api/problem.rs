//! Errors as the API says them: a [`Problem`] in JSON with the fitting status, whatever went wrong.

use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use shared::fault::{Fault, hub};

use super::types::Problem;
use crate::refusal::{Kind, Refusal};

/// An error of the API.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    fault: Fault,
}

impl ApiError {
    /// With its own status.
    pub const fn new(status: StatusCode, fault: Fault) -> Self {
        Self { status, fault }
    }

    /// The request cannot be read as what it should be.
    pub const fn bad_request(fault: Fault) -> Self {
        Self::new(StatusCode::BAD_REQUEST, fault)
    }

    /// What is wrong.
    pub fn problem(self) -> Problem {
        self.fault.into()
    }
}

const fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Malformed => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Denied => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Stale => StatusCode::PRECONDITION_FAILED,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Unfit => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl<E: Refusal> From<E> for ApiError {
    fn from(error: E) -> Self {
        let (kind, fault) = (error.kind(), error.fault());
        if kind == Kind::Internal {
            tracing::error!(code = %fault.code, cause = %chain(&error), "a request failed");
        }
        Self::new(status(kind), fault)
    }
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let seconds = self.fault.params.get("seconds").and_then(|seconds| HeaderValue::from_str(seconds).ok());
        let status = self.status;
        let mut response = (status, axum::Json(self.problem())).into_response();
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"causeway\""));
            }
            StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(header::RETRY_AFTER, seconds.unwrap_or(HeaderValue::from_static("10")));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}

/// The answer where nothing is.
pub(super) async fn no_route(uri: Uri) -> ApiError {
    let path: String = uri.path().chars().take(200).collect();
    ApiError::new(StatusCode::NOT_FOUND, Fault::new(&hub::NO_ROUTE).with("path", path))
}

/// The answer where something else is possible.
pub(super) async fn no_method(method: Method, uri: Uri) -> ApiError {
    let path: String = uri.path().chars().take(200).collect();
    let fault = Fault::new(&hub::NO_METHOD).with("method", method).with("path", path);
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, fault)
}
