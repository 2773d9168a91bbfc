//! Image references: `[registry[:port]/]repository[:tag][@sha256:…]`, by the grammar of the distribution project
//! (github.com/distribution/reference).

use super::super::bounds::IMAGE_MAX;
use crate::id::Digest;

/// Whether `text` is an image reference.
pub(super) fn is_reference(text: &str) -> bool {
    let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
    let (repository, tag) = match rest.rsplit_once(':') {
        // A colon before a slash belongs to the registry's port.
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (rest, None),
    };
    text.len() <= IMAGE_MAX
        && digest.is_none_or(|digest| digest.parse::<Digest>().is_ok())
        && tag.is_none_or(is_tag)
        && is_repository(repository)
}

/// Whether the reference says which image once and for all, or at least with a tag of its own.
pub(super) fn is_floating(text: &str) -> bool {
    let last = text.rsplit('/').next().unwrap_or(text);
    !text.contains('@') && last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= 128 && tag.bytes().next().is_some_and(word) && tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

fn is_repository(text: &str) -> bool {
    let mut parts = text.split('/');
    let first = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let registry = !rest.is_empty() && (first.contains(['.', ':']) || first == "localhost");
    if registry {
        is_host(first) && rest.iter().all(|part| is_part(part))
    } else {
        is_part(first) && rest.iter().all(|part| is_part(part))
    }
}

fn is_host(text: &str) -> bool {
    let (host, port) = text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    port.is_none_or(|port| port.parse::<u16>().is_ok()) && host.split('.').all(label)
}

/// Lower-case letters and digits, with `.`, `_`, `__` or dashes between them.
fn is_part(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let separated = text.split(word_char).all(|gap| matches!(gap, "" | "." | "_" | "__") || gap.bytes().all(|b| b == b'-'));
    text.bytes().next().is_some_and(word) && text.bytes().last().is_some_and(word) && separated
}

fn word_char(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let digest = format!("nginx@{}", Digest::of(b""));
        let tagged = format!("registry.example:5000/a/b:1@{}", Digest::of(b""));
        for good in [
            "nginx",
            "nginx:1.27",
            "library/nginx",
            "localhost/x",
            "localhost:5000/x",
            "registry.example/a/b_c/d--e:v1.0_x",
            &digest,
            &tagged,
        ] {
            assert!(is_reference(good), "{good}");
        }
        for bad in [
            "",
            ":",
            "Nginx",
            "nginx:",
            "nginx:-x",
            "/nginx",
            "nginx/",
            "a//b",
            "a b",
            "http://x/y",
            "nginx@sha256:00",
            "é",
            "a..b",
            "-a",
            "registry.example:99999/x",
            "-x.y/z",
            "a\nb",
            "a:b:c",
        ] {
            assert!(!is_reference(bad), "{bad:?}");
        }
        assert!(!is_reference(&"a".repeat(IMAGE_MAX + 1)));
    }

    #[test]
    fn floating_references() {
        for (text, floating) in
            [("nginx", true), ("nginx:latest", true), ("localhost:5000/nginx", true), ("nginx:1", false), ("x/y@sha256:0", false)]
        {
            assert_eq!(is_floating(text), floating, "{text}");
        }
    }
}
