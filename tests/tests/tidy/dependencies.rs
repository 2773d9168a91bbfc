//! What is linked in: who depends on whom, under which licence, from where.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;
use toml::Table;

use crate::files::{File, has_word, nothing, root, rust};
use crate::spdx;

/// Crates that do I/O or read clocks. Where `shared` ends, they begin.
const IMPURE: &[&str] = &["tokio", "mio", "socket2", "hyper", "reqwest", "rustix", "rumqttc-v4-next", "tracing", "redb"];

/// What cargo resolved for this platform. Needs no network: whoever runs this has built it.
struct Graph {
    packages: BTreeMap<String, Package>,
}

struct Package {
    name: String,
    licence: String,
    source: Option<String>,
    /// Ids of what is linked in, and of what is needed to build or test.
    links: Vec<String>,
    all: Vec<String>,
}

impl Graph {
    fn read() -> Self {
        let host = host();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", &host]);
        let output = command.current_dir(root()).output().expect("cargo");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let mut packages: BTreeMap<String, Package> = list(&metadata["packages"]).map(package).collect();
        for node in list(&metadata["resolve"]["nodes"]) {
            let package = packages.get_mut(text(&node["id"])).expect("a package of every node");
            for dependency in list(&node["deps"]) {
                let id = text(&dependency["pkg"]).to_owned();
                if list(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null()) {
                    package.links.push(id.clone());
                }
                package.all.push(id);
            }
        }
        Self { packages }
    }

    fn member(&self, name: &str) -> &Package {
        self.packages.values().find(|package| package.name == name && package.source.is_none()).expect("a member")
    }

    /// The names of everything that is linked into `name`.
    fn linked(&self, name: &str) -> BTreeSet<&str> {
        let mut open = vec![self.member(name)];
        let mut seen = BTreeSet::new();
        while let Some(package) = open.pop() {
            for id in &package.links {
                let next = &self.packages[id];
                if seen.insert(next.name.as_str()) {
                    open.push(next);
                }
            }
        }
        seen
    }

    fn foreign(&self) -> impl Iterator<Item = &Package> {
        self.packages.values().filter(|package| package.source.is_some())
    }
}

fn package(value: &Value) -> (String, Package) {
    let licence = value["license"].as_str().unwrap_or_default().to_owned();
    let source = value["source"].as_str().map(String::from);
    let package = Package { name: text(&value["name"]).into(), licence, source, links: Vec::new(), all: Vec::new() };
    (text(&value["id"]).into(), package)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("the host").to_owned()
}

fn table(path: &str) -> Table {
    File::open(path).text.parse().unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn shared_does_no_io() {
    let graph = Graph::read();
    let linked = graph.linked("shared");
    let impure: Vec<_> = IMPURE.iter().filter(|name| linked.contains(**name)).collect();
    assert!(impure.is_empty(), "shared links {impure:?}");
}

#[test]
fn hub_and_node_never_see_each_other() {
    let graph = Graph::read();
    for (one, others) in
        [("shared", &["edge-node", "cloud-hub"][..]), ("edge-node", &["cloud-hub"]), ("cloud-hub", &["edge-node"])]
    {
        let package = graph.member(one);
        let names: BTreeSet<&str> = package.all.iter().map(|id| graph.packages[id].name.as_str()).collect();
        assert!(others.iter().all(|other| !names.contains(other)), "{one} depends on one of {others:?}");
    }
}

#[test]
fn licences_bans_and_sources_are_as_deny_toml_says() {
    let (graph, deny) = (Graph::read(), table("deny.toml"));
    let strings = |value: &toml::Value| -> BTreeSet<String> {
        value.as_array().expect("a list").iter().map(|v| v.as_str().expect("a text").to_owned()).collect()
    };
    let allowed = strings(&deny["licenses"]["allow"]);
    for package in graph.foreign() {
        let Package { name, licence, source, .. } = package;
        assert_eq!(spdx::is_met(licence, &allowed), Some(true), "{name} is under {licence:?}, which deny.toml does not allow");
        let registry = source.as_ref().is_some_and(|source| source.starts_with("registry+"));
        assert!(registry, "{name} comes from {source:?}: only crates from the registry");
    }
    for ban in deny["bans"]["deny"].as_array().expect("a list") {
        let name = ban["crate"].as_str().expect("a name");
        let wrappers = ban.get("wrappers").map(&strings).unwrap_or_default();
        let uses = |package: &&Package| package.all.iter().any(|id| graph.packages[id].name == name);
        let others: Vec<&str> = graph.packages.values().filter(uses).map(|p| p.name.as_str()).collect();
        let wrong: Vec<_> = others.into_iter().filter(|user| !wrappers.contains(*user)).collect();
        assert!(wrong.is_empty(), "{name} is banned ({}), and {wrong:?} bring it", ban["reason"]);
    }
}

#[test]
fn every_dependency_is_used() {
    let workspace = table("Cargo.toml");
    let all = workspace["workspace"]["dependencies"].as_table().expect("a table");
    let mut nobodys: BTreeSet<&str> = all.keys().map(String::as_str).collect();
    let (files, mut found) = (rust(), Vec::new());
    for member in workspace["workspace"]["members"].as_array().expect("a list") {
        let member = member.as_str().expect("a path");
        let (manifest, below) = (table(&format!("{member}/Cargo.toml")), format!("{member}/"));
        let sections = ["dependencies", "dev-dependencies"].map(|section| manifest.get(section).and_then(toml::Value::as_table));
        for name in sections.into_iter().flatten().flat_map(Table::keys) {
            nobodys.remove(name.as_str());
            let word = name.replace('-', "_");
            if !files.iter().any(|file| file.path.starts_with(&below) && has_word(&file.text, &word)) {
                found.push(format!("{member}/Cargo.toml names {name}, and nothing there uses it"));
            }
        }
    }
    found.extend(nobodys.iter().map(|name| format!("Cargo.toml names {name}, and no crate uses it")));
    nothing(&found);
}
