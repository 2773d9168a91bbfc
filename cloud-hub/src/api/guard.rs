//! What happens to every request before its handler: it is counted, its caller is found, and its right is checked.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::ApiError;
use super::{Access, Api, ROUTES, Route};
use crate::access::{AuthError, is_allowed};
use crate::gate::latch::Latch;
use crate::metrics::Answered;

/// Where a request came from; the listener puts it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// What is known of whoever holds a connection; the listener puts it there, too.
#[derive(Default)]
pub(super) struct Caller {
    /// It sent the head of a request.
    pub asked: Latch,
    /// It showed a good token.
    pub known: Latch,
}

/// The address of whoever sent `request`; a request that did not come through the listener counts as its own place.
pub(super) fn peer(request: &Request) -> IpAddr {
    request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip())
}

fn route_of(request: &Request) -> Option<&'static Route> {
    let path = request.extensions().get::<MatchedPath>()?.as_str();
    let of_method = |method: &Method| ROUTES.iter().find(|route| route.path == path && route.method == *method);
    // axum answers HEAD with GET's handler where there is no other.
    of_method(request.method()).or_else(|| if *request.method() == Method::HEAD { of_method(&Method::GET) } else { None })
}

/// Lets a request through to its handler when its caller may do this.
pub(super) async fn guard(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    // A path with another method has no handler that could run: the answer is 405.
    let Some(route) = route_of(&request) else { return next.run(request).await };
    let Access::Needs(verb, resource) = route.access else { return next.run(request).await };
    let bearer = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
    let principal = match api.hub.authenticate(bearer, peer(&request)).await {
        Ok(principal) => principal,
        Err(error) => return ApiError::from(error).into_response(),
    };
    if !is_allowed(principal.role, verb, resource) {
        return ApiError::from(AuthError::Denied { name: principal.name }).into_response();
    }
    if let Some(caller) = request.extensions().get::<Arc<Caller>>() {
        caller.known.set();
    }
    request.extensions_mut().insert(principal);
    next.run(request).await
}

/// The token of an `Authorization` header (RFC 6750, section 2.1; the scheme's case does not matter).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Counts the answer by its route.
pub(super) async fn count(State(api): State<Api>, request: Request, next: Next) -> Response {
    let method = known_method(request.method());
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = path.and_then(|path| ROUTES.iter().find(|route| route.path == path)).map_or("other", |route| route.path);
    let response = next.run(request).await;
    let status = response.status().as_u16();
    api.hub.metrics.requests.get_or_create(&Answered { method, route, status }).inc();
    response
}

/// Anybody can invent methods; a metric's label must not grow by it.
fn known_method(method: &Method) -> &'static str {
    ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"].into_iter().find(|known| method == *known).unwrap_or("other")
}

/// Headers of every answer: nothing of it is cached or guessed at by a browser.
pub(super) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_is_read_as_rfc_6750_says() {
        for (header, token) in
            [("Bearer abc", Some("abc")), ("bearer  abc ", Some("abc")), ("Basic abc", None), ("Bearer", None), ("", None)]
        {
            assert_eq!(bearer(header), token, "{header:?}");
        }
    }
}
