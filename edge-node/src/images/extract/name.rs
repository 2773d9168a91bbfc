//! Paths of entries: what they may be, and what their names mean in a layer.

use super::{DEPTH_MAX, PATH_MAX, Rule};

/// Where an entry goes: directory and name, both relative to the root and free of `.`, `..` and empty parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The directory; empty for the root.
    pub(super) parent: Vec<u8>,
    /// The name in it.
    pub(super) name: Vec<u8>,
}

impl Place {
    /// Reads a path as tars write it: `./a/b`, `/a/b`, `a//b/`. `None` is the root itself.
    pub(super) fn of(raw: &[u8]) -> Result<Option<Self>, Rule> {
        if raw.len() > PATH_MAX {
            return Err(Rule::TooLong);
        }
        let mut parts: Vec<&[u8]> = raw.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
        if raw.contains(&0) || parts.contains(&&b".."[..]) {
            return Err(Rule::Escapes);
        }
        if parts.len() > DEPTH_MAX {
            return Err(Rule::TooDeep);
        }
        Ok(parts.pop().map(|name| Self { parent: parts.join(&b'/'), name: name.into() }))
    }
}

/// What a name means (image specification, "Whiteouts").
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning<'a> {
    /// A file of that name.
    Itself,
    /// The layers below have nothing of this name.
    Hides(&'a [u8]),
    /// The layers below have nothing in this directory.
    Opaque,
    /// Book-keeping of AUFS, which no other file system reads.
    Aufs,
}

/// The meaning of `name`.
pub(super) fn meaning(name: &[u8]) -> Result<Meaning<'_>, Rule> {
    match name.strip_prefix(b".wh.") {
        None => Ok(Meaning::Itself),
        Some(b".wh..opq") => Ok(Meaning::Opaque),
        Some(hidden) if hidden.starts_with(b".wh.") => Ok(Meaning::Aufs),
        Some(b"" | b"." | b"..") => Err(Rule::Whiteout),
        Some(hidden) => Ok(Meaning::Hides(hidden)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_or_refused() {
        let place = |parent: &[u8], name: &[u8]| Ok(Some(Place { parent: parent.into(), name: name.into() }));
        let (long, deep) = (vec![b'a'; PATH_MAX + 1], b"a/".repeat(DEPTH_MAX + 1));
        for (raw, expected) in [
            (&b"a"[..], place(b"", b"a")),
            (b"./a/b", place(b"a", b"b")),
            (b"/etc//x/", place(b"etc", b"x")),
            (b"a/./b/c", place(b"a/b", b"c")),
            (b"...", place(b"", b"...")),
            (b"\xff\xfe\n", place(b"", b"\xff\xfe\n")),
            (b"", Ok(None)),
            (b"./", Ok(None)),
            (b"/", Ok(None)),
            (b"..", Err(Rule::Escapes)),
            (b"a/../b", Err(Rule::Escapes)),
            (b"../../etc/passwd", Err(Rule::Escapes)),
            (b"a\0b", Err(Rule::Escapes)),
            (&long, Err(Rule::TooLong)),
            (&deep, Err(Rule::TooDeep)),
            (&deep[2..], place(&deep[..2 * DEPTH_MAX - 3], b"a")),
        ] {
            assert_eq!(Place::of(raw), expected, "{}", raw.escape_ascii());
        }
    }

    #[test]
    fn names_have_meanings() {
        for (name, expected) in [
            (&b"a"[..], Ok(Meaning::Itself)),
            (b".wh", Ok(Meaning::Itself)),
            (b".wh.a", Ok(Meaning::Hides(b"a"))),
            (b".wh..a", Ok(Meaning::Hides(b".a"))),
            (b".wh..wh..opq", Ok(Meaning::Opaque)),
            (b".wh..wh.plnk", Ok(Meaning::Aufs)),
            (b".wh.", Err(Rule::Whiteout)),
            (b".wh..", Err(Rule::Whiteout)),
            (b".wh...", Err(Rule::Whiteout)),
        ] {
            assert_eq!(meaning(name), expected, "{}", name.escape_ascii());
        }
    }
}
