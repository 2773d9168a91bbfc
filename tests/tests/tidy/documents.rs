//! Documents say what is there: modules and paths that exist, commands that work, the same in both languages.

use std::fs;
use std::path::{Path, PathBuf};

use crate::files::{File, has_word, root};

/// Texts between single back quotes, outside blocks of code.
fn quoted(text: &str) -> Vec<&str> {
    let prose = text.split("\n```").step_by(2);
    prose.flat_map(|part| part.split('`').skip(1).step_by(2)).collect()
}

/// Blocks of code, without the lines of comments in a person's language.
fn blocks(text: &str) -> Vec<Vec<&str>> {
    let command = |line: &&str| !line.trim().is_empty();

    text.split("\n```").skip(1).step_by(2).map(|block| block.lines().skip(1).map(cut).filter(command).collect()).collect()
}

/// The line up to a comment.
fn cut(line: &str) -> &str {
    if line.trim_start().starts_with('#') { "" } else { line.split("  #").next().unwrap_or(line).trim_end() }
}

/// Whether `path`, such as `edge_node::held::Held::accept`, names a module or something in one.
fn exists(path: &str) -> bool {
    let mut parts = path.split("::");
    let Some(name) = parts.next() else { return false };
    let mut dir = root().join(if name == "scenarios" { "tests".into() } else { name.replace('_', "-") }).join("src");
    let mut files = vec![dir.join("lib.rs")];
    for part in parts {
        let (file, below) = (dir.join(format!("{part}.rs")), dir.join(part));
        if file.is_file() || below.join("mod.rs").is_file() {
            files = [file, below.join("mod.rs")].into_iter().filter(|file| file.is_file()).collect();
            dir = below;
        } else if !defines(&files, &dir, part) {
            return false;
        }
    }
    true
}

/// Whether one of `files`, or one below `dir`, defines `name`.
fn defines(files: &[PathBuf], dir: &Path, name: &str) -> bool {
    let below = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let all = files.iter().cloned().chain(below.filter(|path| path.extension().is_some_and(|e| e == "rs")));
    let kinds = ["fn", "struct", "enum", "trait", "type", "const"].map(|kind| format!("{kind} {name}"));
    all.filter_map(|file| fs::read_to_string(file).ok()).any(|text| kinds.iter().any(|kind| has_word(&text, kind)))
}

#[test]
fn the_architecture_names_what_exists() {
    let document = File::open("ARCHITECTURE.md");
    let mut modules = 0;
    for text in quoted(&document.text) {
        if ["shared/", "edge-node/", "cloud-hub/", "manifests/", "tests/", "cross/"].iter().any(|dir| text.starts_with(dir)) {
            assert!(root().join(text).exists(), "{text} does not exist");
        }
        if ["shared::", "edge_node::", "cloud_hub::", "scenarios::"].iter().any(|name| text.starts_with(name)) {
            assert!(exists(text), "{text} does not exist");
            modules += 1;
        }
    }
    assert!(modules > 50, "only {modules} modules were found");
}

#[test]
fn a_path_is_found_only_where_it_is() {
    for path in ["shared::plan::plan", "edge_node::held::Held::accept", "cloud_hub::gate", "shared::plan"] {
        assert!(exists(path), "{path}");
    }
    for path in ["shared::nothing", "edge_node::held::Held::refuse", "cloud_hub::gate::Door", "shared::plan::plans"] {
        assert!(!exists(path), "{path}");
    }
}

#[test]
fn documents_name_targets_and_files_that_exist() {
    let makefile = File::open("Makefile");
    for path in ["README.md", "README.zh.md", "ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md"] {
        let document = File::open(path);
        let code = quoted(&document.text).into_iter().chain(blocks(&document.text).into_iter().flatten());
        for target in code.filter_map(|text| text.strip_prefix("make ")) {
            let target = target.split_whitespace().next().expect("a target");
            assert!(makefile.text.contains(&format!("\n{target}:")), "{path} names make {target}");
        }
        for link in document.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let local = !link.contains("://") && !link.starts_with('#');
            assert!(!local || root().join(link).exists(), "{path} leads to {link}");
        }
    }
}

#[test]
fn both_readmes_say_the_same() {
    let [en, zh] = ["README.md", "README.zh.md"].map(File::open);
    let shape = |file: &File| -> Vec<String> {
        let is_shape = |line: &&str| line.starts_with('#') || line.starts_with('|');
        let lines = file.text.lines().filter(is_shape);
        lines
            .map(|line| {
                if line.starts_with('#') {
                    line.split(' ').next().unwrap_or_default().into()
                } else {
                    "|".repeat(line.matches('|').count())
                }
            })
            .collect()
    };
    assert_eq!(shape(&en), shape(&zh), "headings and tables");
    assert_eq!(blocks(&en.text), blocks(&zh.text), "commands");
}

#[test]
fn the_manifest_of_the_readme_can_be_published() {
    let readme = File::open("README.md");
    let manifest = readme.text.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a manifest");
    let read = shared::manifest::read("README.md", manifest, &shared::manifest::Outside::default());
    let manifest = read.unwrap_or_else(|refused| panic!("{refused}"));
    assert!(manifest.notices.is_empty(), "{:?}", manifest.notices);
}
