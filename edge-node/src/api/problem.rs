//! Errors of the API: the fault in both languages, and the status that fits it.

use axum::extract::FromRequestParts;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::{StatusCode, request::Parts};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shared::fault::{Fault, Faulty, Lang, node};

/// An error on its way to the caller.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    fault: Fault,
}

/// Its form on the wire.
#[derive(Debug, Serialize, Deserialize)]
pub struct ProblemBody {
    /// Code and parameters.
    #[serde(flatten)]
    pub fault: Fault,
    /// For people, in English.
    pub message_en: String,
    /// For people, in Chinese.
    pub message_zh: String,
}

/// What every handler returns.
pub type Answer<T> = Result<T, Problem>;

impl Problem {
    /// A fault with a status of its own.
    pub const fn new(status: StatusCode, fault: Fault) -> Self {
        Self { status, fault }
    }

    /// There is no such thing.
    pub const fn not_found(fault: Fault) -> Self {
        Self::new(StatusCode::NOT_FOUND, fault)
    }

    /// The request makes no sense.
    pub fn bad_request(cause: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Fault::new(&node::API_BAD_REQUEST).with("cause", cause))
    }

    /// The daemon could not do it.
    pub fn failed(error: &impl Faulty) -> Self {
        error.fault().into()
    }
}

/// The daemon could not do it.
impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, fault)
    }
}

impl From<Fault> for ProblemBody {
    fn from(fault: Fault) -> Self {
        let (message_en, message_zh) = (fault.text(Lang::En), fault.text(Lang::Zh));
        Self { fault, message_en, message_zh }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, axum::Json(ProblemBody::from(self.fault))).into_response()
    }
}

/// Path parameters whose errors have our form.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0)).map_err(|error: PathRejection| Problem::bad_request(error.body_text()))
    }
}

/// Query parameters whose errors have our form.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        query.map(|query| Self(query.0)).map_err(|error: QueryRejection| Problem::bad_request(error.body_text()))
    }
}
