//! The files of the workspace.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the workspace is.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// A text file of the workspace.
pub struct File {
    /// Below the root, with `/`.
    pub path: String,
    /// Its whole text.
    pub text: String,
}

impl File {
    /// One file, which must be there.
    pub fn open(path: &str) -> Self {
        let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path: path.into(), text }
    }

    /// The text without the tests at its end.
    pub fn shipped(&self) -> &str {
        self.text.split("#[cfg(test)]\nmod tests {").next().expect("the first part")
    }

    /// Whether it is Rust that ships: neither a test nor a helper of tests.
    pub fn ships(&self) -> bool {
        let of_tests = |part: &str| ["tests", "testing.rs", "tests.rs", "conformance.rs"].contains(&part);
        self.path.ends_with(".rs") && !self.path.split('/').any(of_tests)
    }
}

/// Whether `word` stands in `text` by itself, not inside a longer one.
pub fn has_word(text: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].chars().next_back().is_some_and(inside) && !text[at + word.len()..].chars().next().is_some_and(inside)
    })
}

/// Fails with everything that was found, not only the first.
pub fn nothing(found: &[String]) {
    assert!(found.is_empty(), "{} found:\n  {}", found.len(), found.join("\n  "));
}

/// Every text file of the workspace, in order; what is built or belongs to git is left out.
pub fn all() -> Vec<File> {
    let (root, mut files) = (root(), Vec::new());
    walk(&root, &root, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(files.len() > 100, "only {} files were found", files.len());
    files
}

/// Every Rust file.
pub fn rust() -> Vec<File> {
    all().into_iter().filter(|file| file.path.ends_with(".rs")).collect()
}

fn walk(root: &Path, dir: &Path, files: &mut Vec<File>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name == ".git" || path.join("CACHEDIR.TAG").exists() || name == "target" || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, files);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root).expect("below the root").to_str().expect("a path in UTF-8").to_owned();
            files.push(File { path, text });
        }
    }
}
