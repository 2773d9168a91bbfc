//! Images from a registry into the hub.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use shared::fault::{Fault, Faulty, hub};
use shared::oci::Platform;

use super::extract::Json;
use super::problem::ApiError;
use super::types::{IngestLine, IngestRequest, Problem};
use super::{Api, INGESTS_MAX, lines, permit};
use crate::images::pull::{Pulled, pull};
use crate::images::{Progress, Step, Wanted};
use crate::registry::{Auth, Source, Transport};

/// Most platforms of one request.
const PLATFORMS_MAX: usize = 16;

/// Reads `os/architecture` or `os/architecture/variant`.
pub(super) fn platform(text: &str) -> Result<Platform, ApiError> {
    let part = |part: &str| (1..=32).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let made = |os: &str, architecture: &str, variant: &str| Platform {
        os: os.to_owned(),
        architecture: architecture.to_owned(),
        variant: variant.to_owned(),
    };
    let parts: Vec<&str> = text.split('/').collect();
    match parts.as_slice() {
        [os, architecture] if part(os) && part(architecture) => Ok(made(os, architecture, "")),
        [os, architecture, variant] if part(os) && part(architecture) && part(variant) => Ok(made(os, architecture, variant)),
        _ => {
            let shown: String = text.chars().take(80).collect();
            Err(ApiError::bad_request(Fault::new(&hub::BAD_PLATFORM).with("platform", shown)))
        }
    }
}

/// Fetches an image from a registry. The answer is lines of JSON while it goes on; the last one is `done` or `failed`.
#[utoipa::path(post, path = "/api/v1/images:ingest", tag = "releases", request_body = IngestRequest,
    responses((status = 200, description = "Lines of JSON", body = IngestLine, content_type = "application/x-ndjson"),
        (status = 400, body = Problem), (status = 429, description = "Too many at once", body = Problem)))]
pub(super) async fn ingest(State(api): State<Api>, Json(asked): Json<IngestRequest>) -> Result<Response, ApiError> {
    if asked.platforms.len() > PLATFORMS_MAX {
        let fault = Fault::new(&hub::TOO_MANY).with("what", "platforms").with("max", PLATFORMS_MAX);
        return Err(ApiError::bad_request(fault));
    }
    let platforms = asked.platforms.iter().map(|text| platform(text)).collect::<Result<_, _>>()?;
    let wanted = Wanted { name: None, platforms };
    let source = source(&api, asked);
    let permit = permit(&api.ingests, "ingests", INGESTS_MAX)?;
    Ok(lines::answer(permit, |told| async move {
        let progress = Arc::new(move |progress| told.say(line(progress)));
        match pull(&source, &wanted, &api.hub.blobs, &api.limits, progress).await {
            Ok(Pulled { reference, images }) => {
                api.hub.remember_verified(&images).await;
                IngestLine::Done { reference, images }
            }
            Err(error) => IngestLine::Failed { problem: error.fault().into() },
        }
    }))
}

fn line(progress: Progress) -> IngestLine {
    let Progress { step, blob, done, total } = progress;
    let step = match step {
        Step::Fetch => "fetch",
        Step::Check => "check",
    };
    IngestLine::Progress { step: step.into(), blob, done, total }
}

fn source(api: &Api, asked: IngestRequest) -> Source {
    let registry = asked.reference.split('/').next().unwrap_or_default();
    let transport = if api.plain_http.contains(registry) { Transport::PlainHttp } else { Transport::Auto };
    let auth = match (asked.username, asked.password) {
        (Some(user), password) => Auth::Basic { user, password: password.unwrap_or_default() },
        (None, _) => Auth::Anonymous,
    };
    Source { reference: asked.reference, auth, transport }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_have_two_or_three_parts() {
        for (text, shown) in [
            ("linux/amd64", Some("linux/amd64")),
            ("linux/arm/v7", Some("linux/arm/v7")),
            ("linux", None),
            ("linux/", None),
            ("linux/arm/v7/x", None),
            ("linux/a b", None),
            ("", None),
        ] {
            assert_eq!(platform(text).ok().map(|p| p.to_string()).as_deref(), shown, "{text}");
        }
    }
}
