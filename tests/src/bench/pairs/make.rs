//! Makes the layers and puts them together, in one directory. What is there is never made again.
//!
//! ```text
//! layers/<key>.tar, <key>.json    each layer once; the JSON is written last and says that the tar is whole
//! <id>/{old,new}/<nn>-<name>.tar  the same files by other names
//! <id>/about.json                 what they are
//! work                            lock files, packages, built programs
//! ```

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::about::{About, Tar};
use super::archive::{self, Times};
use super::catalog::{Layer, Pair};
use super::tool::at;
use super::{debian, modules, program, python};
use crate::demo::{Failure, say};

/// Makes one pair below `dir`, unless it is there.
///
/// # Errors
/// The layer that could not be made, and why.
pub fn make(dir: &Path, pair: &Pair) -> Result<About, Failure> {
    let home = dir.join(pair.id);
    let path = home.join("about.json");
    if path.exists() {
        return load(&path);
    }
    let about = About {
        id: pair.id.into(),
        story: pair.story.into(),
        old: side(dir, &home.join("old"), pair.old)?,
        new: side(dir, &home.join("new"), pair.new)?,
    };
    store(&path, &about)?;
    Ok(about)
}

/// Reads a file of JSON.
pub(super) fn load<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let bytes = at(path, std::fs::read(path))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", path.display()))
}

/// Writes a file of JSON, whole or not at all.
pub(super) fn store<T: Serialize>(path: &Path, value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| format!("{}: {error}", path.display()))?;
    let new = path.with_extension("new");
    at(&new, std::fs::write(&new, text + "\n"))?;
    at(path, std::fs::rename(&new, path))
}

/// One image: its layers by number.
fn side(dir: &Path, home: &Path, layers: &[Layer]) -> Result<Vec<Tar>, Failure> {
    at(home, std::fs::create_dir_all(home))?;
    let mut tars = Vec::new();
    for (number, layer) in layers.iter().enumerate() {
        let mut tar = tar(dir, *layer)?;
        tar.file = format!("{number:02}-{}.tar", layer.name());
        let (from, to) = (file(dir, *layer), home.join(&tar.file));
        if to.exists() {
            at(&to, std::fs::remove_file(&to))?;
        }
        at(&to, std::fs::hard_link(from, &to))?;
        tars.push(tar);
    }
    Ok(tars)
}

fn file(dir: &Path, layer: Layer) -> PathBuf {
    dir.join("layers").join(format!("{}.tar", layer.key()))
}

fn tar(dir: &Path, layer: Layer) -> Result<Tar, Failure> {
    let path = file(dir, layer);
    let about = path.with_extension("json");
    if about.exists() {
        return load(&about);
    }
    say(&format!("… {}", layer.key()));
    let tree = dir.join("tree").join(layer.key());
    clear(&tree)?;
    at(&tree, std::fs::create_dir_all(&tree))?;
    let (holds, times) = fill(layer, &dir.join("work"), &tree)?;
    at(&path, std::fs::create_dir_all(dir.join("layers")))?;
    at(&path, write(&tree, times, &path))?;
    clear(&tree)?;
    let (bytes, sha256) = at(&path, archive::digest(&path))?;
    let tar = Tar { file: String::new(), holds, bytes, sha256 };
    store(&about, &tar)?;
    Ok(tar)
}

fn write(tree: &Path, times: Times, path: &Path) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    archive::write(tree, times, &mut out)?;
    out.flush()
}

fn clear(tree: &Path) -> Result<(), Failure> {
    if tree.exists() { at(tree, std::fs::remove_dir_all(tree)) } else { Ok(()) }
}

/// Puts into `tree` what the layer holds; in words, and with which times it is packed.
fn fill(layer: Layer, work: &Path, tree: &Path) -> Result<(String, Times), Failure> {
    let kept = |holds| (holds, Times::Kept);
    let work = &work.join(layer.name());
    match layer {
        Layer::Base(state) => debian::base(state, tree).map(kept),
        Layer::Python(build) => debian::python(work, tree).map(|holds| (holds, Times::All(build.time()))),
        Layer::Wheels(onnxruntime, _) => python::wheels(onnxruntime, tree).map(kept),
        Layer::Sources(state, build) => python::sources(state, build, tree).map(kept),
        Layer::Modules(state) => modules::modules(state, work, tree).map(kept),
        Layer::Package(state) => debian::package(state, &work.join(layer.key()), tree).map(kept),
        Layer::Program(state) => program::program(state, true, work, tree).map(kept),
        Layer::Stripped(state) => program::program(state, false, &work.with_file_name("program"), tree).map(kept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_json_are_whole() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("x.json");
        store(&path, &vec![1, 2]).expect("stored");
        assert_eq!(load::<Vec<u32>>(&path), Ok(vec![1, 2]));
        assert!(load::<String>(&path).is_err_and(|failure| failure.contains("x.json")));
        assert_eq!(std::fs::read_dir(dir.path()).expect("directory").count(), 1);
    }
}
