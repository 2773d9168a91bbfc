//! Whatever comes in, the answer is a named problem with the right status, in two languages.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::id::Digest;
use shared::recipe::RecipeId;
use shared::sign::{Envelope, Purpose, SecretKey};

use crate::world::{World, answer, key, release, sample, signed};

fn check(what: &str, (status, problem): (StatusCode, Value), expected: (u16, &str)) {
    assert_eq!((status.as_u16(), problem["code"].as_str().unwrap_or_default()), expected, "{what}: {problem}");
    for text in ["message_en", "message_zh"] {
        let text = problem[text].as_str().unwrap();
        assert!(!text.is_empty() && !text.contains('{'), "{what}: {text}");
    }
}

#[tokio::test]
async fn addresses_methods_and_bodies() {
    let world = World::new().await;
    let url = |path: &str| format!("{}{path}", world.base);
    let request = |method: Method, path: &str| world.http.request(method, url(path)).bearer_auth(&world.token);
    let json_body = |method: Method, path: &str, body: &str| {
        request(method, path).header("content-type", "application/json").body(body.to_owned())
    };
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let huge = format!("{{\"name\": \"{}\"}}", "x".repeat(2 << 20));
    let long_request = format!("{{\"node\":\"n\",\"proof\":\"\",\"csr\":\"{}\"}}", "x".repeat(16 << 10));
    let (post, put, get) = (Method::POST, Method::PUT, Method::GET);
    let publishers = "/api/v1/publishers";
    for (what, request, expected) in [
        ("nothing there", request(get.clone(), "/nothing"), (404, "hub-no-route")),
        ("nothing there below the API", request(get.clone(), "/api/v1/nothing"), (404, "hub-no-route")),
        ("another API", request(get.clone(), "/api/v2/nodes"), (404, "hub-no-route")),
        ("wrong method", request(Method::DELETE, "/api/v1/nodes"), (405, "hub-no-method")),
        ("strange method", request(Method::from_bytes(b"BREW").unwrap(), "/api/v1/nodes"), (405, "hub-no-method")),
        ("no body", request(post.clone(), publishers), (415, "hub-wrong-media-type")),
        (
            "wrong type",
            request(post.clone(), publishers).header("content-type", "text/plain").body("{}"),
            (415, "hub-wrong-media-type"),
        ),
        ("empty body", json_body(post.clone(), publishers, ""), (400, "hub-bad-json")),
        ("half a body", json_body(post.clone(), publishers, "{\"name\":"), (400, "hub-bad-json")),
        ("not JSON", json_body(post.clone(), publishers, "name: x"), (400, "hub-bad-json")),
        ("another shape", json_body(post.clone(), publishers, "[1]"), (400, "hub-bad-json")),
        ("deep", json_body(post.clone(), publishers, &deep), (400, "hub-bad-json")),
        ("huge", json_body(post.clone(), publishers, &huge), (413, "hub-body-too-large")),
        ("a stranger's", json_body(post.clone(), "/api/v1/enroll", &long_request), (413, "hub-body-too-large")),
        ("unknown field", json_body(post.clone(), publishers, "{\"name\":\"a\",\"key\":\"b\",\"x\":1}"), (400, "hub-bad-json")),
        ("bad name", json_body(post.clone(), publishers, "{\"name\":\"A b\",\"key\":\"b\"}"), (400, "hub-bad-json")),
        ("bad key", json_body(post.clone(), publishers, "{\"name\":\"a\",\"key\":\"ed25519:00\"}"), (400, "hub-bad-json")),
        ("bad query", request(get.clone(), "/api/v1/nodes?limit=x"), (400, "hub-bad-query")),
        ("unknown query", request(get.clone(), "/api/v1/nodes?selecter=a"), (400, "hub-bad-query")),
        ("bad selector", request(get.clone(), "/api/v1/nodes?selector=a%20in"), (400, "hub-bad-selector")),
        ("bad after", request(get.clone(), "/api/v1/nodes?after=.."), (400, "hub-bad-query")),
        ("bad name in path", request(get.clone(), "/api/v1/nodes/A"), (400, "hub-bad-path")),
        ("climbing path", request(get.clone(), "/api/v1/nodes/..%2f..%2fetc"), (400, "hub-bad-path")),
        ("not UTF-8 in path", request(get.clone(), "/api/v1/nodes/%ff"), (400, "hub-bad-path")),
        ("no such node", request(get.clone(), "/api/v1/nodes/n1"), (404, "hub-node-not-found")),
        ("no such deployment", request(get.clone(), "/api/v1/deployments/d"), (404, "hub-deployment-not-found")),
        ("no such release", request(get.clone(), "/api/v1/releases/web@1"), (404, "hub-release-not-found")),
        ("not a release", request(get.clone(), "/api/v1/releases/web"), (400, "hub-release-bad-reference")),
        ("no such publisher", request(Method::DELETE, "/api/v1/publishers/x"), (404, "hub-publisher-not-found")),
        ("no such join token", request(Method::DELETE, "/api/v1/tokens/x"), (404, "hub-join-token-not-found")),
        ("logs without app", request(get.clone(), "/api/v1/nodes/n1/logs"), (400, "hub-bad-query")),
        ("logs of nobody", request(get.clone(), "/api/v1/nodes/n1/logs?app=web"), (404, "hub-node-not-found")),
        ("watch of what", request(get.clone(), "/api/v1/watch?kind=secrets"), (400, "hub-bad-query")),
        (
            "token for long",
            json_body(post.clone(), "/api/v1/tokens", "{\"node\":\"n\",\"ttlSeconds\":7776001}"),
            (422, "hub-bad-ttl"),
        ),
        (
            "token, bad label",
            json_body(post.clone(), "/api/v1/tokens", "{\"node\":\"n\",\"labels\":{\"a b\":\"\"}}"),
            (422, "hub-bad-label"),
        ),
        (
            "platform",
            json_body(post.clone(), "/api/v1/images:ingest", "{\"reference\":\"x\",\"platforms\":[\"linux\"]}"),
            (400, "hub-bad-platform"),
        ),
        (
            "deploy nothing",
            json_body(put.clone(), "/api/v1/deployments/d", "{\"app\":\"web\",\"release\":\"1\",\"target\":{\"nodes\":[\"n\"]}}"),
            (404, "hub-release-not-found"),
        ),
        (
            "deploy to both",
            json_body(
                put.clone(),
                "/api/v1/deployments/d",
                "{\"app\":\"web\",\"release\":\"1\",\"target\":{\"nodes\":[],\"selector\":{}}}",
            ),
            (400, "hub-bad-json"),
        ),
        ("bad If-Match", json_body(put.clone(), "/api/v1/deployments/d", "{}").header("if-match", "*"), (400, "hub-bad-header")),
        ("rollback of nothing", request(post.clone(), "/api/v1/deployments/d/rollback"), (404, "hub-deployment-not-found")),
        ("revoke nobody", request(post.clone(), "/api/v1/nodes/n1/revoke"), (404, "hub-node-not-found")),
    ] {
        check(what, answer(request).await, expected);
    }
}

#[tokio::test]
async fn blobs_must_be_what_they_claim() {
    let world = World::new().await;
    let digest = Digest::of(b"hello world");
    let path = |query: &str| format!("/api/v1/blobs/{digest}{query}");
    let put = |query: &str, bytes: &[u8]| world.bytes(Method::PUT, Box::leak(path(query).into_boxed_str()), bytes.to_vec());

    check("bad digest", world.bytes(Method::PUT, "/api/v1/blobs/md5:00", vec![1]).await, (400, "hub-bad-path"));
    check("other bytes", put("", b"HELLO WORLD").await, (422, "hub-blob-wrong-digest"));
    check("an offset from nowhere", put("?offset=5&size=11", b" world").await, (409, "hub-blob-offset"));
    check("too much", put("?size=11", b"hello world and more").await, (422, "hub-blob-wrong-size"));
    check("far too large", put("?size=99999999999999", b"x").await, (413, "hub-blob-too-large"));
    check("not there", world.call(Method::GET, &path(""), None).await, (404, "hub-blob-missing"));

    let (status, upload) = world.bytes(Method::PATCH, &path("?size=11"), b"hello".to_vec()).await;
    assert_eq!((status, &upload["offset"], &upload["complete"]), (StatusCode::ACCEPTED, &json!(5), &json!(false)));
    let head = world.http.head(format!("{}{}", world.base, path(""))).bearer_auth(&world.token).send().await.unwrap();
    assert_eq!((head.status(), &head.headers()["upload-offset"]), (StatusCode::NOT_FOUND, &"5".parse().unwrap()));
    let (status, upload) = put("?offset=5", b" world").await;
    assert_eq!((status, &upload["complete"]), (StatusCode::CREATED, &json!(true)));
    assert_eq!(put("", b"hello world").await.0, StatusCode::CREATED, "again is no error");

    let get = world.http.get(format!("{}{}", world.base, path(""))).bearer_auth(&world.token);
    let part = get.try_clone().unwrap().header("range", "bytes=6-8").send().await.unwrap();
    assert_eq!(
        (part.status(), &part.headers()["content-range"]),
        (StatusCode::PARTIAL_CONTENT, &"bytes 6-8/11".parse().unwrap())
    );
    assert_eq!(part.text().await.unwrap(), "wor");
    check("no such range", answer(get.try_clone().unwrap().header("range", "bytes=11-")).await, (416, "hub-bad-header"));
    assert_eq!(get.send().await.unwrap().text().await.unwrap(), "hello world");
}

#[tokio::test]
async fn releases_must_be_signed_whole_and_new() {
    let world = World::new().await;
    let publish = |bytes: Vec<u8>| world.bytes(Method::POST, "/api/v1/releases", bytes);
    let sample = sample("1", "linux/amd64");
    let good = release("web", "1", vec![sample.expected()]);

    check("nobody's", publish(signed(&good)).await, (422, "trust-unknown-key"));
    world.publisher().await;
    check("nothing", publish(Vec::new()).await, (400, "hub-release-unreadable"));
    check("noise", publish(vec![1; 1000]).await, (400, "hub-release-unreadable"));
    check("huge", publish(vec![1; 3 << 20]).await, (413, "hub-body-too-large"));
    let mut changed = Envelope::from_bytes(&signed(&good)).unwrap();
    changed.payload.push(0);
    check("changed", publish(changed.to_bytes()).await, (422, "trust-wrong-signature"));
    let other = Envelope::sign(Purpose::Release, good.to_bytes(), &[&SecretKey::from_seed(&[6; 32])]);
    check("another's", publish(other.to_bytes()).await, (422, "trust-unknown-key"));
    let desired = Envelope::sign(Purpose::Desired, good.to_bytes(), &[&key()]);
    check("for another purpose", publish(desired.to_bytes()).await, (422, "trust-wrong-signature"));
    check(
        "signed noise",
        publish(Envelope::sign(Purpose::Release, vec![1, 2, 3], &[&key()]).to_bytes()).await,
        (400, "hub-release-unreadable"),
    );

    check("no blobs", publish(signed(&good)).await, (422, "hub-blobs-missing"));
    world.upload(&sample).await;
    let unfit = |change: fn(&mut shared::release::Release)| {
        let mut release = good.clone();
        change(&mut release);
        signed(&release)
    };
    check("no image", publish(unfit(|r| r.images.clear())).await, (422, "hub-release-unfit"));
    check("no version", publish(unfit(|r| r.manifest.metadata.version = "1/2".into())).await, (422, "hub-release-unfit"));
    let twice = unfit(|r| r.images.values_mut().for_each(|images| images.push(images[0].clone())));
    check("a platform twice", publish(twice).await, (422, "hub-release-unfit"));
    let foreign = unfit(|r| drop(r.images.insert(crate::world::name("db"), r.images.values().next().unwrap().clone())));
    check("an image for nobody", publish(foreign).await, (422, "hub-release-unfit"));
    let lie = unfit(|r| r.images.values_mut().for_each(|images| images[0].layers[0].tar.digest = Digest::of(b"else")));
    check("a lie about a layer", publish(lie).await, (422, "hub-image-differs"));
    let cut = unfit(|r| r.images.values_mut().for_each(|images| images[0].layers[0].recipe = RecipeId::of(b"else")));
    check("a lie about what a layer is made of", publish(cut).await, (422, "hub-image-differs"));
    let rule = unfit(|r| r.manifest.spec.services.values_mut().for_each(|s| s.working_dir = Some("relative".into())));
    let (status, problem) = publish(rule).await;
    assert_eq!(status.as_u16(), 422, "{problem}");
    assert!(problem["code"].as_str().unwrap().starts_with("manifest-"), "{problem}");

    let (status, made) = publish(signed(&good)).await;
    assert_eq!((status, &made["metadata"]["name"]), (StatusCode::CREATED, &json!("web@1")));
    assert_eq!(made["status"]["signedBy"], json!(["team"]));
    assert_eq!(publish(signed(&good)).await.0, StatusCode::OK, "again changes nothing");
    let other = unfit(|r| r.manifest.metadata.description = "other".into());
    check("another content", publish(other).await, (409, "hub-version-taken"));
    assert_eq!(world.get("/api/v1/releases").await["items"].as_array().unwrap().len(), 1, "nothing half-applied");
}
