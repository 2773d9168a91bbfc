//! Text to settings, with the line of everything that is wrong.

use std::fs::File;
use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use shared::id::Name;
use toml::de::{DeTable, DeValue};

use super::{Config, ConfigError, FILE_MAX};

/// Every setting. A test compares this with what [`Config`] has.
const KEYS: &[&str] = &[
    "state_dir",
    "run_dir",
    "socket",
    "bind_roots",
    "devices",
    "capabilities",
    "host_network",
    "runtime.kind",
    "runtime.socket",
    "runtime.namespace",
    "runtime.snapshotter",
    "network.bridge",
    "network.subnet",
    "network.cni_dirs",
    "limits.memory",
    "limits.pids",
    "limits.log_size",
    "disk.reserve",
    "neighbours.address",
    "log.format",
    "log.level",
];

/// Reads a file of at most [`FILE_MAX`] bytes.
pub fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(FILE_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_MAX {
        return Err(io::Error::other(format!("longer than {FILE_MAX} bytes")));
    }
    Ok(text)
}

/// Reads the settings in `text`; `file` is its name in errors.
pub fn parse(file: &str, text: &str) -> Result<Config, Vec<ConfigError>> {
    let place = Place { file, text };
    let table = DeTable::parse(text).map_err(|error| vec![place.syntax(&error)])?;
    let mut found = Vec::new();
    flatten("", table.get_ref(), &mut found);
    let mut errors: Vec<_> = found.iter().filter(|key| !key.is_known()).map(|key| place.unknown(key)).collect();
    if errors.is_empty() {
        match Config::deserialize(toml::de::Deserializer::from(table.clone())) {
            Err(error) => errors.push(place.bad_type(&error, &found)),
            Ok(config) => {
                errors.extend(problems(&config).into_iter().map(|(key, why)| place.bad_value(key, why, &found)));
                if errors.is_empty() {
                    return Ok(config);
                }
            }
        }
    }
    Err(errors)
}

/// A key of the file, and where it and its value stand.
struct Key {
    path: String,
    span: Range<usize>,
    value: Range<usize>,
    is_table: bool,
}

impl Key {
    fn is_known(&self) -> bool {
        if self.is_table {
            return KEYS.iter().any(|key| key.split_once('.').is_some_and(|(table, _)| table == self.path));
        }
        KEYS.contains(&self.path.as_str())
    }
}

fn flatten(prefix: &str, table: &DeTable<'_>, out: &mut Vec<Key>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
        let inner = if let DeValue::Table(inner) = value.get_ref() { Some(inner) } else { None };
        let known_table = Key { path: path.clone(), span: key.span(), value: value.span(), is_table: inner.is_some() };
        let known = known_table.is_known();
        out.push(known_table);
        if let Some(inner) = inner.filter(|_| known) {
            flatten(&path, inner, out);
        }
    }
}

/// Makes errors of this text.
struct Place<'a> {
    file: &'a str,
    text: &'a str,
}

impl Place<'_> {
    fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }

    fn syntax(&self, error: &toml::de::Error) -> ConfigError {
        let line = self.line(error.span().map_or(0, |span| span.start));
        ConfigError::Syntax { file: self.file.into(), line, why: one_line(error.message()) }
    }

    fn unknown(&self, key: &Key) -> ConfigError {
        let line = self.line(key.span.start);
        ConfigError::UnknownKey { file: self.file.into(), line, key: key.path.clone(), near: nearest(key).into() }
    }

    fn bad_type(&self, error: &toml::de::Error, found: &[Key]) -> ConfigError {
        let at = error.span().map_or(0, |span| span.start);
        let key = found.iter().filter(|key| key.value.contains(&at)).max_by_key(|key| key.path.len());
        let key = key.map_or_else(|| "?".to_owned(), |key| key.path.clone());
        ConfigError::BadValue { file: self.file.into(), line: self.line(at), key, why: one_line(error.message()) }
    }

    fn bad_value(&self, key: &str, why: String, found: &[Key]) -> ConfigError {
        let line = found.iter().find(|found| found.path == key).map_or(0, |found| self.line(found.span.start));
        ConfigError::BadValue { file: self.file.into(), line, key: key.into(), why }
    }
}

fn one_line(text: &str) -> String {
    text.trim().replace('\n', "; ")
}

/// What is wrong with values that have the right type: the key and why.
pub fn problems(config: &Config) -> Vec<(&'static str, String)> {
    let mut list = Vec::new();
    let mut path = |key, path: &Path| {
        if !path.is_absolute() || path.components().any(|part| part == std::path::Component::ParentDir) {
            list.push((key, format!("{} is not an absolute path without '..'", path.display())));
        }
    };
    path("state_dir", &config.state_dir);
    path("run_dir", &config.run_dir);
    path("runtime.socket", &config.runtime.socket);
    config.socket.iter().for_each(|socket| path("socket", socket));
    config.bind_roots.iter().for_each(|root| path("bind_roots", root));
    config.network.cni_dirs.iter().for_each(|dir| path("network.cni_dirs", dir));
    config.devices.iter().map(PathBuf::from).for_each(|device| path("devices", &device));
    let mut must = |ok: bool, key, why: &str| {
        if !ok {
            list.push((key, why.to_owned()));
        }
    };
    must(config.bind_roots.iter().all(|root| root != Path::new("/")), "bind_roots", "/ would allow everything");
    must(
        config.devices.iter().all(|device| device.starts_with("/dev/") && device.len() > 5),
        "devices",
        "begins with /dev/ and more",
    );
    must(config.capabilities.iter().all(|name| is_capability(name)), "capabilities", "names without CAP_, in capitals: NET_RAW");
    must(Name::new(&config.runtime.namespace).is_ok(), "runtime.namespace", "1 to 63 of a-z, 0-9 and '-'");
    must(Name::new(&config.runtime.snapshotter).is_ok(), "runtime.snapshotter", "1 to 63 of a-z, 0-9 and '-'");
    must(is_interface(&config.network.bridge), "network.bridge", "1 to 15 of a-z, 0-9 and '-' (IFNAMSIZ)");
    must(is_subnet(&config.network.subnet), "network.subnet", "an IPv4 network such as 10.231.0.0/16, from /8 to /28");
    must(!config.network.cni_dirs.is_empty(), "network.cni_dirs", "at least one directory");
    must((4 << 20..=1 << 50).contains(&config.limits.memory.0), "limits.memory", "at least 4m");
    must((16..=1 << 22).contains(&config.limits.pids), "limits.pids", "16 to 4194304");
    must((64 << 10..=4 << 30).contains(&config.limits.log_size.0), "limits.log_size", "64k to 4g");
    let port = config.neighbours.address.map(|address| address.port());
    must(port != Some(0), "neighbours.address", "a port from 1 to 65535");
    must(config.disk.reserve.0 <= 1 << 40, "disk.reserve", "at most 1t");
    list
}

fn is_capability(name: &str) -> bool {
    !name.is_empty() && !name.starts_with("CAP_") && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
}

fn is_interface(name: &str) -> bool {
    name.len() <= 15 && Name::new(name).is_ok()
}

/// A network address whose host bits are zero.
fn is_subnet(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    match (address.parse::<Ipv4Addr>(), bits.parse::<u32>()) {
        (Ok(address), Ok(bits @ 8..=28)) => u32::from(address) << bits == 0,
        _ => false,
    }
}

/// The setting, or the table, with the fewest letters to change; the last part counts most, because tables are
/// forgotten first. Something cut short is nearer than anything misspelt.
fn nearest(key: &Key) -> &'static str {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().replace('-', "_");
    let far = |known: &str| {
        let (ours, theirs) = (last(&key.path), last(known));
        let letters = if theirs.starts_with(&ours) { 1 } else { distance(&ours, &theirs) };
        letters * 100 + distance(&key.path, known)
    };
    let tables = KEYS.iter().filter_map(|known| known.split_once('.')).map(|(table, _)| table);
    let near =
        if key.is_table { tables.min_by_key(|known| far(known)) } else { KEYS.iter().copied().min_by_key(|known| far(known)) };
    near.unwrap_or_default()
}

/// Letters to insert, delete or replace (Levenshtein); only the first 64 count.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(&b) {
            let best = (diagonal + usize::from(x != *y)).min(left + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NeighboursConfig;
    use shared::fault::{Faulty, Lang};

    fn errors(text: &str) -> String {
        let errors = parse("node.toml", text).expect_err(text);
        errors.iter().map(|error| error.fault().text(Lang::En)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn nothing_is_needed_and_the_defaults_are_sound() {
        assert_eq!(parse("f", "").expect("empty"), Config::default());
        assert_eq!(problems(&Config::default()), []);
    }

    #[test]
    fn the_list_of_keys_is_the_struct() {
        let neighbours = NeighboursConfig { address: Some(([0, 0, 0, 0], 7448).into()) };
        let with_all = Config { socket: Some("/s".into()), neighbours, ..Config::default() };
        let text = toml::to_string(&with_all).expect("written");
        let mut found = Vec::new();
        flatten("", DeTable::parse(&text).expect("read").get_ref(), &mut found);
        let mut found: Vec<_> = found.iter().filter(|key| !key.is_table).map(|key| key.path.as_str()).collect();
        let mut known = KEYS.to_vec();
        found.sort_unstable();
        known.sort_unstable();
        assert_eq!(found, known);
        assert_eq!(parse("f", &text).expect("own text"), with_all);
    }

    #[test]
    fn every_error_names_file_line_key_and_the_way_out() {
        for (text, expected) in [
            ("state_dirr = \"/x\"", "node.toml:1: state_dirr is not a setting. Nearest setting: state_dir"),
            ("\n[runtime]\nsocet = \"/x\"", "node.toml:3: runtime.socet is not a setting. Nearest setting: runtime.socket"),
            ("[net]\nsubnet = \"10.0.0.0/8\"", "node.toml:1: net is not a setting. Nearest setting: network"),
            ("memory = \"64m\"", "node.toml:1: memory is not a setting. Nearest setting: limits.memory"),
            ("log-level = \"info\"", "Nearest setting: log.level"),
            ("runtime = 3", "node.toml:1: runtime is not a setting"),
            ("[limits]\npids = \"many\"", "node.toml:2: limits.pids is not right: invalid type: string"),
            ("[limits]\nmemory = \"64 potatoes\"", "node.toml:2: limits.memory is not right:"),
            ("[runtime]\nkind = \"docker\"", "node.toml:2: runtime.kind is not right: unknown variant"),
            ("[runtime]\nnamespace = \"a/b\"", "node.toml:2: runtime.namespace is not right:"),
            ("x = [1,\n\n", "node.toml:"),
            ("a = 1\na = 2", "node.toml:2:"),
            ("\nrun_dir = \"run\"", "node.toml:2: run_dir is not right: run is not an absolute path"),
            ("bind_roots = [\"/srv/../etc\"]", "bind_roots is not right"),
            ("bind_roots = [\"/\"]", "/ would allow everything"),
            ("devices = [\"/etc/passwd\"]", "devices is not right"),
            ("capabilities = [\"CAP_SYS_ADMIN\"]", "capabilities is not right"),
            ("host_network = \"yes\"", "node.toml:1: host_network is not right: invalid type: string"),
            ("[network]\nsubnet = \"10.231.0.1/16\"", "node.toml:2: network.subnet is not right"),
            ("[network]\nsubnet = \"10.0.0.0/31\"", "network.subnet"),
            ("[network]\nbridge = \"a-very-long-bridge-name\"", "network.bridge"),
            ("[disk]\nreserve = \"2t\"", "node.toml:2: disk.reserve"),
            ("[limits]\npids = 1\nlog_size = \"1\"", "node.toml:3: limits.log_size"),
        ] {
            let said = errors(text);
            assert!(said.contains(expected), "{text:?} says {said:?}");
        }
        assert_eq!(errors("a = 1\nb = 2").lines().count(), 2, "all unknown keys at once");
    }
}
