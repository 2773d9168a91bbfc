//! What CNI plugins leave in the firewall, and its removal.

use std::path::Path;
use std::process::{Command, Stdio};

/// The plugins keep their rules in these tables.
const TABLES: [&str; 2] = ["nat", "filter"];

/// Removes what CNI plugins left of one network: the bridge, and rules that name it or its addresses.
pub fn remove_network(bridge: &str, subnet: &str) {
    if !Path::new("/sys/class/net").join(bridge).exists() {
        return;
    }
    drop(Command::new("ip").args(["link", "delete", bridge]).stderr(Stdio::null()).status());
    let (name, addresses) = (format!("\\\"{bridge}\\\""), subnet.trim_end_matches("0/24"));
    for table in TABLES {
        let ours: Vec<_> = rules(table, |line| line.contains(&name) || line.contains(addresses));
        ours.iter().for_each(|rule| delete(table, rule));
        for chain in ours.iter().filter_map(|rule| rule.last()).filter(|chain| is_of_one_network(chain)) {
            remove_chain(table, chain);
        }
    }
}

/// The chains that all networks of a machine share. Plugins make them and never remove them; when this is dropped, those
/// are removed that were not there when it was made. Nothing else may use CNI plugins meanwhile.
pub struct SharedChains {
    before: Vec<String>,
}

impl SharedChains {
    /// Remembers the chains that are there.
    pub fn remember() -> Self {
        Self { before: TABLES.iter().flat_map(|table| chains(table)).collect() }
    }
}

impl Drop for SharedChains {
    fn drop(&mut self) {
        for table in TABLES {
            let made: Vec<_> = chains(table).into_iter().filter(|chain| !self.before.contains(chain)).collect();
            let jumps = rules(table, |_| true);
            for rule in jumps.iter().filter(|rule| rule.last().is_some_and(|chain| made.contains(chain))) {
                delete(table, rule);
            }
            made.iter().for_each(|chain| remove_chain(table, chain));
        }
    }
}

/// The plugins' chains of a table.
fn chains(table: &str) -> Vec<String> {
    let chains = said(table).lines().filter_map(|line| line.strip_prefix("-N ").map(str::to_owned)).collect::<Vec<_>>();
    chains.into_iter().filter(|chain| chain.starts_with("CNI-")).collect()
}

fn is_of_one_network(chain: &str) -> bool {
    chain.starts_with("CNI-") && !["CNI-FORWARD", "CNI-ADMIN"].contains(&chain)
}

/// The words of every rule of a table whose line fits.
fn rules(table: &str, fits: impl Fn(&str) -> bool) -> Vec<Vec<String>> {
    said(table).lines().filter(|line| line.starts_with("-A ") && fits(line)).map(words).collect()
}

fn said(table: &str) -> String {
    let output = Command::new("iptables").args(["-w", "-t", table, "-S"]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

fn delete(table: &str, rule: &[String]) {
    let words = rule.iter().skip(1).map(String::as_str);
    iptables(["-w", "-t", table, "-D"].into_iter().chain(words));
}

fn remove_chain(table: &str, chain: &str) {
    for action in ["-F", "-X"] {
        iptables(["-w", "-t", table, action, chain]);
    }
}

/// What is gone already is as good as removed.
fn iptables<'a>(words: impl IntoIterator<Item = &'a str>) {
    drop(Command::new("iptables").args(words).stderr(Stdio::null()).status());
}

/// The words of a rule as `iptables -S` prints it, with its quotes resolved.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut quoted, mut chars) = (vec![String::new()], false, line.chars());
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            _ => {
                let c = if c == '\\' { chars.next().unwrap_or(c) } else { c };
                words.last_mut().expect("at least one word").push(c);
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_split_as_iptables_quotes_them() {
        let line = r#"-A POSTROUTING -m comment --comment "name: \"cw\" id: \"a-b\"" -j CNI-1"#;
        assert_eq!(words(line), ["-A", "POSTROUTING", "-m", "comment", "--comment", r#"name: "cw" id: "a-b""#, "-j", "CNI-1"]);
    }
}
