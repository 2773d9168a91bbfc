//! What a pair is: the text of `about.json`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::make::load;
use crate::demo::Failure;

/// A layer as it is unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tar {
    /// Its name in the directory of its image.
    pub file: String,
    /// What is in it, with versions.
    pub holds: String,
    /// Its size.
    pub bytes: u64,
    /// Its digest, which is the diff_id; hexadecimal.
    pub sha256: String,
}

/// Two images, lowest layers first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The pair's name.
    pub id: String,
    /// What happened between the two.
    pub story: String,
    /// As it was.
    pub old: Vec<Tar>,
    /// As it became.
    pub new: Vec<Tar>,
}

/// A layer that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What a node has in its place.
    pub old: PathBuf,
    /// What the node shall have.
    pub new: PathBuf,
    /// The new one.
    pub tar: Tar,
}

impl About {
    /// Reads that of the pair at `home`.
    ///
    /// # Errors
    /// It is not there, or not whole.
    pub fn open(home: &Path) -> Result<Self, Failure> {
        load(&home.join("about.json"))
    }

    /// The layers whose bytes differ, of the pair at `home`.
    pub fn changes(&self, home: &Path) -> Vec<Change> {
        let differ = self.old.iter().zip(&self.new).filter(|(old, new)| old.sha256 != new.sha256);
        let change = |(old, new): (&Tar, &Tar)| Change {
            old: home.join("old").join(&old.file),
            new: home.join("new").join(&new.file),
            tar: new.clone(),
        };
        differ.map(change).collect()
    }

    /// One line for a person.
    pub fn line(&self) -> String {
        let changed = self.changes(Path::new(""));
        let bytes: u64 = changed.iter().map(|change| change.tar.bytes).sum();
        let (of, mb) = (self.new.len(), bytes as f64 / 1e6);
        format!("{:<14} {} of {of} layers changed, {mb:.1} MB: {}", self.id, changed.len(), self.story)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn about() -> About {
        let tar =
            |file: &str, sha256: &str| Tar { file: file.into(), holds: "x 1".into(), bytes: 5_000_000, sha256: sha256.into() };
        About {
            id: "x".into(),
            story: "a story".into(),
            old: vec![tar("00-base.tar", "aa"), tar("01-app.tar", "bb")],
            new: vec![tar("00-base.tar", "aa"), tar("01-app.tar", "cc")],
        }
    }

    #[test]
    fn only_layers_that_differ_are_changes() {
        let changes = about().changes(Path::new("/p"));
        assert_eq!(changes.len(), 1);
        assert_eq!(
            (changes[0].old.as_path(), changes[0].new.as_path()),
            (Path::new("/p/old/01-app.tar"), Path::new("/p/new/01-app.tar"))
        );
        assert_eq!(about().line(), "x              1 of 2 layers changed, 5.0 MB: a story");
    }

    #[test]
    fn the_text_keeps_its_shape() {
        let value = serde_json::to_value(about()).expect("JSON");
        assert_eq!(value["new"][1], json!({"file": "01-app.tar", "holds": "x 1", "bytes": 5_000_000, "sha256": "cc"}));
        assert_eq!(value.as_object().expect("object").keys().collect::<Vec<_>>(), ["id", "new", "old", "story"]);
    }
}
