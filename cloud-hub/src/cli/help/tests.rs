use std::collections::BTreeSet;

use expect_test::expect;

use super::*;

fn args(line: &str) -> Vec<String> {
    std::iter::once("hubctl").chain(line.split_whitespace()).map(str::to_owned).collect()
}

/// Every command and argument, by its key in the table.
fn keys(command: &Command, path: &str, keys: &mut BTreeSet<String>) {
    keys.insert(path.to_owned());
    let everywhere = ["help", "version", "context", "server", "lang", "quiet"];
    for arg in command.get_arguments() {
        let id = arg.get_id().as_str();
        let at = if everywhere.contains(&id) { "" } else { path };
        keys.insert(format!("{at}.{id}"));
    }
    for sub in command.get_subcommands() {
        let path = if path.is_empty() { sub.get_name().to_owned() } else { format!("{path} {}", sub.get_name()) };
        self::keys(sub, &path, keys);
    }
}

#[test]
fn the_command_line_is_sound() {
    for lang in [Lang::En, Lang::Zh] {
        command(lang).debug_assert();
    }
}

#[test]
fn everything_has_a_chinese_text_and_nothing_else_has() {
    let mut wanted = BTreeSet::new();
    keys(&command(Lang::En), "", &mut wanted);
    let table: BTreeSet<String> = ZH.iter().map(|(key, _)| (*key).to_owned()).collect();
    assert_eq!(table.len(), ZH.len(), "a key stands twice");
    assert_eq!(wanted.difference(&table).collect::<Vec<_>>(), Vec::<&String>::new(), "without a Chinese text");
    assert_eq!(table.difference(&wanted).collect::<Vec<_>>(), Vec::<&String>::new(), "a text for nothing");
    for (key, text) in ZH {
        assert!(text.chars().any(|c| c > '\u{2E80}') && !text.ends_with('。'), "{key}: {text}");
    }
}

#[test]
fn everything_has_an_english_text() {
    fn check(command: &Command) {
        assert!(command.get_about().is_some(), "{}", command.get_name());
        for arg in command.get_arguments() {
            assert!(arg.get_help().is_some(), "{} {}", command.get_name(), arg.get_id());
        }
        command.get_subcommands().for_each(check);
    }
    check(&command(Lang::En));
}

fn text(line: &str, lang: Lang) -> String {
    match read(&args(line), lang) {
        Read::Text(text) => text,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn the_top_level_help_in_both_languages() {
    expect![[""]].assert_eq(&text("--help", Lang::En));
    expect![[""]].assert_eq(&text("-h", Lang::Zh));
    expect![[""]].assert_eq(&text("node label --help", Lang::Zh));
}

#[test]
fn mistakes_are_named_with_the_way_out() {
    for (line, en, zh) in [
        ("gett", "gett is not known here; nearest: get. All of them: hubctl --help", "gett"),
        ("get nodes --wach", "--wach is not known here; nearest: --watch. All of them: hubctl get --help", "--watch"),
        ("frobnicate", "frobnicate is not known here. What is: hubctl --help", "不认识"),
        ("get", "<KIND> is missing. See: hubctl get --help", "缺少"),
        ("", "A command is missing. All of them: hubctl --help", "缺少命令"),
        ("node", "A command is missing. All of them: hubctl node --help", "缺少命令"),
        ("get nodes -o xml", "xml does not fit --output <FORM>. Possible are: table, wide, json, yaml, name", "可选值"),
        ("get nodes -o", "--output <FORM> needs a value. See: hubctl get --help", "需要一个值"),
        ("logs n1 web --tail x", "x does not fit --tail <N>: invalid digit found in string. See: hubctl logs --help", "不适用于"),
        ("deploy a@1 --all-nodes -l a=b", "--all-nodes does not go together with --selector <SELECTOR>. Leave one out", "不能与"),
        ("undeploy a b", "b is not known here. What is: hubctl undeploy --help", "不认识"),
    ] {
        let wrong = |lang| match read(&args(line), lang) {
            Read::Wrong(fault) => fault.text(lang),
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(wrong(Lang::En), en, "{line}");
        assert!(wrong(Lang::Zh).contains(zh), "{line}: {}", wrong(Lang::Zh));
    }
}

#[test]
fn the_version_is_a_text() {
    assert_eq!(text("--version", Lang::Zh), format!("hubctl {}\n", env!("CARGO_PKG_VERSION")));
}
