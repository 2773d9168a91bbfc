//! Masquerade rules that CNI leaves behind: DEL after the namespace is gone frees address and ports, but the bridge
//! plugin keeps its rule and chain (plugins 1.1.1). They are found by the name that the plugin puts into the comment.

use std::collections::BTreeSet;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

const LIMIT: Duration = Duration::from_secs(10);

/// A rule of a container that is gone.
#[derive(Debug, PartialEq, Eq)]
struct Leftover {
    /// The rule's words, after `-A`.
    rule: Vec<String>,
    /// The chain it jumps to, which is its own.
    chain: String,
}

/// Removes the rules of `network` whose CNI id is not in `used`. Without iptables there is nothing to remove.
pub async fn sweep(network: &str, used: &BTreeSet<String>) {
    let Some(listed) = iptables(&["-S", "POSTROUTING"]).await else { return };
    for Leftover { rule, chain } in leftovers(&String::from_utf8_lossy(&listed.stdout), network, used) {
        let delete: Vec<&str> = std::iter::once("-D").chain(rule.iter().map(String::as_str)).collect();
        for arguments in [delete.as_slice(), &["-F", &chain], &["-X", &chain]] {
            iptables(arguments).await;
        }
    }
}

async fn iptables(arguments: &[&str]) -> Option<Output> {
    let run = Command::new("iptables")
        .args(["-w", "5", "-t", "nat"])
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(LIMIT, run).await.ok()?.ok()
}

fn leftovers(listed: &str, network: &str, used: &BTreeSet<String>) -> Vec<Leftover> {
    let ours = |line: &str| {
        let rule: Vec<String> = words(line.strip_prefix("-A ")?);
        let comment = rule.iter().position(|word| word == "--comment").and_then(|at| rule.get(at + 1))?;
        let id = comment.strip_prefix(&format!("name: \"{network}\" id: \""))?.strip_suffix('"')?;
        let chain = rule.last().filter(|chain| chain.starts_with("CNI-"))?.clone();
        (!used.contains(id)).then_some(Leftover { rule, chain })
    };
    listed.lines().filter_map(ours).collect()
}

/// The words of a rule as `iptables -S` prints it, without its quotes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut chars) = (Vec::new(), String::new(), false, line.chars());
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            '\\' => word.extend(chars.next()),
            _ => word.push(c),
        }
    }
    words.push(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rules_of_our_dead_are_found() {
        let listed = concat!(
            "-P POSTROUTING ACCEPT\n",
            "-A POSTROUTING -s 10.231.0.2/32 -m comment --comment \"name: \\\"causeway0\\\" id: \\\"a-b-1-1\\\"\" -j CNI-aa\n",
            "-A POSTROUTING -s 10.231.0.3/32 -m comment --comment \"name: \\\"causeway0\\\" id: \\\"a-b-2-2\\\"\" -j CNI-bb\n",
            "-A POSTROUTING -s 10.88.0.3/32 -m comment --comment \"name: \\\"podman\\\" id: \\\"a-b-1-1\\\"\" -j CNI-cc\n",
            "-A POSTROUTING -m comment --comment \"name: \\\"causeway0\\\" id: \\\"x\\\"\" -j MASQUERADE\n",
        );
        let found = leftovers(listed, "causeway0", &BTreeSet::from(["a-b-2-2".to_owned()]));
        let chains: Vec<&str> = found.iter().map(|leftover| leftover.chain.as_str()).collect();
        assert_eq!(chains, ["CNI-aa"]);
        assert_eq!(
            found[0].rule,
            [
                "POSTROUTING",
                "-s",
                "10.231.0.2/32",
                "-m",
                "comment",
                "--comment",
                r#"name: "causeway0" id: "a-b-1-1""#,
                "-j",
                "CNI-aa"
            ]
        );
    }
}
