use std::os::unix::fs::PermissionsExt;

use super::*;

fn context(server: &str) -> Context {
    Context { server: server.into(), ca: Digest::of(server.as_bytes()), token: format!("token-of-{}", server.len()) }
}

/// A home with two contexts, the first one current.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let contexts = [("north", context("https://north:8443")), ("west", context("https://west.example:8443"))];
    let contexts = contexts.into_iter().map(|(name, context)| (name.to_owned(), context)).collect();
    let all = Contexts { current: Some("north".into()), contexts, ..Contexts::default() };
    all.save(&env(&home, &[])).unwrap();
    home
}

fn env(home: &tempfile::TempDir, vars: &[(&str, &str)]) -> Env {
    let mut all = vec![("XDG_CONFIG_HOME", home.path().to_str().unwrap())];
    all.extend_from_slice(vars);
    Env::of(&all)
}

#[test]
fn contexts_are_kept_private_and_read_back() {
    let home = home();
    let path = home.path().join("causeway/hubctl.toml");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let contexts = Contexts::load(&env(&home, &[])).unwrap();
    assert_eq!(contexts.named("west").unwrap(), &context("https://west.example:8443"));
    assert!(!format!("{contexts:?}").contains("token-of"), "tokens are never shown");
    assert_eq!(Contexts::load(&Env::of(&[("HOME", "/nowhere")])).unwrap(), Contexts::default());
    assert!(matches!(Contexts::load(&Env::of(&[("HOME", "relative")])), Err(ContextError::NoHome)));
}

#[test]
fn a_damaged_file_is_named_without_its_content() {
    let home = home();
    let path = home.path().join("causeway/hubctl.toml");
    for text in
        ["version = 1\ntoken-secret", "version = 2\n", "version = 1\n[contexts.a]\nserver = 'x'\ntoken = 'token-secret'\n"]
    {
        std::fs::write(&path, text).unwrap();
        let error = Contexts::load(&env(&home, &[])).unwrap_err();
        assert!(matches!(error, ContextError::Damaged { .. }), "{error:?}");
        assert!(!error.to_string().contains("token-secret"), "{error}");
    }
}

#[test]
fn flags_then_environment_then_file() {
    let home = home();
    let other = Digest::of(b"other").to_string();
    type Case<'a> = (Option<&'a str>, Option<&'a str>, &'a [(&'a str, &'a str)], Result<(&'a str, &'a str), &'a str>);
    let cases: &[Case<'_>] = &[
        (None, None, &[], Ok(("https://north:8443", "token-of-18"))),
        (Some("west"), None, &[], Ok(("https://west.example:8443", "token-of-25"))),
        (None, None, &[("CAUSEWAY_CONTEXT", "west")], Ok(("https://west.example:8443", "token-of-25"))),
        (Some("north"), None, &[("CAUSEWAY_CONTEXT", "west")], Ok(("https://north:8443", "token-of-18"))),
        (None, None, &[("CAUSEWAY_TOKEN", "mine")], Ok(("https://north:8443", "mine"))),
        (None, None, &[("CAUSEWAY_TOKEN", "")], Ok(("https://north:8443", "token-of-18"))),
        (None, None, &[("CAUSEWAY_CONTEXT", "east")], Err("cli-context-unknown")),
        // Another server gets neither the stored pin nor the stored token.
        (None, Some("https://evil"), &[], Err("cli-no-pin")),
        (None, Some("https://evil"), &[("CAUSEWAY_CA_FINGERPRINT", &other)], Err("cli-no-token")),
        (None, None, &[("CAUSEWAY_SERVER", "http://north:8443")], Err("cli-bad-url")),
        (
            None,
            None,
            &[("CAUSEWAY_SERVER", "new:1"), ("CAUSEWAY_CA_FINGERPRINT", &other), ("CAUSEWAY_TOKEN", "t")],
            Ok(("https://new:1", "t")),
        ),
    ];
    for (context, server, vars, expected) in cases {
        let chosen = choose(&env(&home, vars), *context, *server);
        let found = match &chosen {
            Ok(context) => Ok((context.server.as_str(), context.token.as_str())),
            Err(error) => Err(error.fault().code),
        };
        assert_eq!(found, expected.map_err(str::to_owned), "{context:?} {server:?} {vars:?}");
    }
}

#[test]
fn addresses_have_one_form() {
    for (text, expected) in [
        ("https://hub.example:8443", Some("https://hub.example:8443")),
        ("https://hub.example:8443/", Some("https://hub.example:8443")),
        ("HTTPS://Hub.Example", Some("https://hub.example")),
        ("hub:8443", Some("https://hub:8443")),
        ("[::1]:8443", Some("https://[::1]:8443")),
        ("http://hub", None),
        ("https://hub/api", None),
        ("https://user:pw@hub", None),
        ("https://hub?x", None),
        ("https://", None),
        ("", None),
        ("a b", None),
    ] {
        assert_eq!(server(text).ok().as_deref(), expected, "{text:?}");
    }
}

#[test]
fn fingerprints_in_the_forms_of_other_tools() {
    let digest = Digest::of(b"ca");
    let colons = digest.hex().as_bytes().chunks(2).map(|two| std::str::from_utf8(two).unwrap()).collect::<Vec<_>>().join(":");
    for text in [
        digest.to_string(),
        digest.hex(),
        colons.to_uppercase(),
        format!("SHA256:{colons}\n"),
        format!("sha256 Fingerprint={colons}\n"),
    ] {
        assert_eq!(fingerprint(&text).ok(), Some(digest), "{text}");
    }
    for text in ["", "sha256:", "sha1:00", &digest.hex()[1..]] {
        assert!(fingerprint(text).is_err(), "{text:?}");
    }
}

#[test]
fn tokens_are_one_word() {
    assert_eq!(token(" cwa1.admin.00\n").ok().as_deref(), Some("cwa1.admin.00"));
    for text in ["", " \n", "a b", "é", &"a".repeat(TOKEN_MAX + 1)] {
        assert!(token(text).is_err(), "{text:.20}");
    }
}
