//! Which pairs there are, and of which layers they are made. Data only.
//!
//! A layer is made once and shared by all pairs that name it: a pair is two images, and what differs between them.

/// An image as it was, and as it became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Its name: of the directory, and in all figures.
    pub id: &'static str,
    /// What happened between the two.
    pub story: &'static str,
    /// Lowest first.
    pub(super) old: &'static [Layer],
    /// As many as in `old`: a layer is compared with the one in its place.
    pub(super) new: &'static [Layer],
}

/// One of two states of what a layer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Old,
    New,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }
}

/// A run of a build server. What a build copies or compiles gets its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Build {
    First,
    Second,
}

impl Build {
    /// Seconds since 1970.
    pub(super) const fn time(self) -> u64 {
        match self {
            Self::First => 1_780_000_000,
            Self::Second => 1_780_000_000 + 14 * 86_400,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
        }
    }
}

/// What one layer holds, and thereby how it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layer {
    /// A small Debian: as the point release has it, or with its updates.
    Base(State),
    /// Python, as if compiled by that build.
    Python(Build),
    /// Wheels of a vision service in `site-packages`, with this onnxruntime, installed by that build.
    Wheels(&'static str, Build),
    /// Python sources, copied by that build; in the new state two files changed.
    Sources(State, Build),
    /// `node_modules`; in the new state five packages are newer.
    Modules(State),
    /// A Debian package of Go programs in two revisions.
    Package(State),
    /// A Rust program of this workspace with symbols; in the new state one function changed.
    Program(State),
    /// The same without symbols.
    Stripped(State),
}

impl Layer {
    /// What it is, in file names.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Base(_) => "base",
            Self::Python(_) => "python",
            Self::Wheels(..) => "wheels",
            Self::Sources(..) => "sources",
            Self::Modules(_) => "modules",
            Self::Package(_) => "package",
            Self::Program(_) => "program",
            Self::Stripped(_) => "stripped",
        }
    }

    /// Which one it is, in file names.
    pub(super) fn key(self) -> String {
        let name = self.name();
        match self {
            Self::Base(state) | Self::Modules(state) | Self::Package(state) | Self::Program(state) | Self::Stripped(state) => {
                format!("{name}-{}", state.word())
            }
            Self::Python(build) => format!("{name}-{}", build.word()),
            Self::Wheels(version, build) => format!("{name}-{version}-{}", build.word()),
            Self::Sources(state, build) => format!("{name}-{}-{}", state.word(), build.word()),
        }
    }
}

const BASE: Layer = Layer::Base(State::New);
const PYTHON: Layer = Layer::Python(Build::First);
const WHEELS: Layer = Layer::Wheels("1.20.1", Build::First);
const SOURCES: Layer = Layer::Sources(State::Old, Build::First);

/// All pairs.
pub const PAIRS: [Pair; 9] = [
    Pair {
        id: "base",
        story: "Debian's point release gets its updates and security fixes",
        old: &[Layer::Base(State::Old)],
        new: &[BASE],
    },
    Pair {
        id: "py-minor",
        story: "one wheel of a pip layer, one minor version up; installed again",
        old: &[BASE, PYTHON, Layer::Wheels("1.19.2", Build::First), SOURCES],
        new: &[BASE, PYTHON, WHEELS, SOURCES],
    },
    Pair {
        id: "py-patch",
        story: "one wheel of a pip layer, one patch version up; installed again",
        old: &[BASE, PYTHON, Layer::Wheels("1.20.0", Build::First), SOURCES],
        new: &[BASE, PYTHON, WHEELS, SOURCES],
    },
    Pair {
        id: "full-rebuild",
        story: "the base got its updates, and everything above was built again from the same sources",
        old: &[Layer::Base(State::Old), PYTHON, WHEELS, SOURCES],
        new: &[
            BASE,
            Layer::Python(Build::Second),
            Layer::Wheels("1.20.1", Build::Second),
            Layer::Sources(State::Old, Build::Second),
        ],
    },
    Pair {
        id: "node",
        story: "five packages of node_modules are newer; a fresh npm ci",
        old: &[Layer::Modules(State::Old)],
        new: &[Layer::Modules(State::New)],
    },
    Pair {
        id: "ctd",
        story: "a Debian package of Go programs, rebuilt with a security fix",
        old: &[Layer::Package(State::Old)],
        new: &[Layer::Package(State::New)],
    },
    Pair {
        id: "rust",
        story: "a Rust program with symbols, one function changed",
        old: &[Layer::Program(State::Old)],
        new: &[Layer::Program(State::New)],
    },
    Pair {
        id: "rust-stripped",
        story: "the same without symbols",
        old: &[Layer::Stripped(State::Old)],
        new: &[Layer::Stripped(State::New)],
    },
    Pair {
        id: "app",
        story: "two files of a layer of Python sources changed",
        old: &[BASE, PYTHON, WHEELS, SOURCES],
        new: &[BASE, PYTHON, WHEELS, Layer::Sources(State::New, Build::First)],
    },
];

/// The pairs of these names; all when none is named.
///
/// # Errors
/// A name that is none, and those that are.
pub fn chosen(ids: &[String]) -> Result<Vec<Pair>, String> {
    let all = || PAIRS.iter().map(|pair| pair.id).collect::<Vec<_>>().join(", ");
    let find =
        |id: &String| PAIRS.into_iter().find(|pair| pair.id == id).ok_or_else(|| format!("no pair is named {id}: {}", all()));
    if ids.is_empty() { Ok(PAIRS.to_vec()) } else { ids.iter().map(find).collect() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn pairs_have_names_of_their_own_and_compare_like_with_like() {
        let ids: BTreeSet<_> = PAIRS.iter().map(|pair| pair.id).collect();
        assert_eq!(ids.len(), PAIRS.len());
        for pair in PAIRS {
            assert_eq!(pair.old.len(), pair.new.len(), "{}", pair.id);
            assert_ne!(pair.old, pair.new, "{}", pair.id);
            assert!(pair.old.iter().zip(pair.new).all(|(old, new)| old.name() == new.name()), "{}", pair.id);
        }
    }

    #[test]
    fn layers_have_names_of_their_own() {
        let layers: BTreeSet<Layer> = PAIRS.iter().flat_map(|pair| pair.old.iter().chain(pair.new)).copied().collect();
        let keys: BTreeSet<String> = layers.iter().map(|layer| layer.key()).collect();
        assert_eq!(keys.len(), layers.len());
    }

    #[test]
    fn nothing_chosen_is_everything() {
        assert_eq!(chosen(&[]), Ok(PAIRS.to_vec()));
        assert_eq!(chosen(&["app".into()]).map(|pairs| pairs.len()), Ok(1));
        assert!(chosen(&["apps".into()]).is_err_and(|failure| failure.contains("no pair is named apps: base, py-minor")));
    }
}
