//! JSON as YAML 1.2 for people. Block style, two spaces, keys in their order; a text that any YAML reader could take for
//! something else is quoted, so that what is written is what is read back.

use serde_json::Value;

use super::terminal::is_harmful;

/// What becomes of `$` in values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dollars {
    /// It is written `$$`, as a manifest wants it: reading it needs no variable.
    Doubled,
    /// It stays.
    Plain,
}

/// The document, ending in a newline. It does no harm to a terminal.
pub fn yaml(value: &Value, dollars: Dollars) -> String {
    let mut out = String::new();
    block(&mut out, value, dollars, 0);
    out
}

/// Writes `value` where a line begins, or after `- ` for the first line of a list's item.
fn block(out: &mut String, value: &Value, dollars: Dollars, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (n, (key, value)) in map.iter().enumerate() {
                pad(out, if n == 0 { 0 } else { indent });
                out.push_str(&text(key));
                out.push(':');
                match value {
                    Value::Object(inner) if !inner.is_empty() => nested(out, value, dollars, indent + 2),
                    Value::Array(inner) if !inner.is_empty() => nested(out, value, dollars, indent),
                    Value::Object(_) | Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                        out.push(' ');
                        block(out, value, dollars, indent);
                    }
                }
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (n, item) in items.iter().enumerate() {
                pad(out, if n == 0 { 0 } else { indent });
                out.push_str("- ");
                block(out, item, dollars, indent + 2);
            }
        }
        Value::Object(_) => out.push_str("{}\n"),
        Value::Array(_) => out.push_str("[]\n"),
        Value::String(string) => {
            let text = text(string);
            out.push_str(&if dollars == Dollars::Doubled { text.replace('$', "$$") } else { text });
            out.push('\n');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            out.push_str(&value.to_string());
            out.push('\n');
        }
    }
}

/// Writes `value` on the lines after `key:`.
fn nested(out: &mut String, value: &Value, dollars: Dollars, indent: usize) {
    out.push('\n');
    pad(out, indent);
    block(out, value, dollars, indent);
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// A text, plain where it can only be a text, else in double quotes (which are those of JSON).
fn text(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// Letters, or a path, and nothing that YAML 1.1 or 1.2 reads as another type or as syntax.
fn is_plain(text: &str) -> bool {
    let begins = text.chars().next().is_some_and(|c| c.is_alphabetic() || c == '/' || c == '_');
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '/' | '_' | '-' | '+' | '@' | '(' | ')');
    // A space or colon inside is harmless unless it could be taken for the end of a key or begin a comment.
    let inner = |c: char| plain(c) || matches!(c, ' ' | ':' | ',' | '=');
    let ends = text.chars().last().is_some_and(plain);
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    begins && ends && !reserved && text.chars().all(inner) && !text.contains(": ")
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            // What YAML does not count as printable, line ends that it would fold, and what a terminal obeys.
            c if is_harmful(c) || matches!(c, '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}') => {
                out.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifest::{Outside, read};

    #[test]
    fn blocks_and_scalars() {
        let value = json!({
            "metadata": {"labels": {}, "name": "crane-7"},
            "list": [1, "two", [3], {"a": null, "b": {"c": [true]}}, []],
            "empty": "",
        });
        expect_test::expect![[r#"
            empty: ""
            list:
            - 1
            - two
            - - 3
            - a: null
              b:
                c:
                - true
            - []
            metadata:
              labels: {}
              name: crane-7
        "#]]
        .assert_eq(&yaml(&value, Dollars::Plain));
    }

    #[test]
    fn dollars_are_doubled_for_a_manifest_only() {
        let value = json!({"$a": "${b} $c"});
        assert_eq!(yaml(&value, Dollars::Plain), "\"$a\": \"${b} $c\"\n");
        assert_eq!(yaml(&value, Dollars::Doubled), "\"$a\": \"$${b} $$c\"\n");
    }

    #[test]
    fn what_could_be_something_else_is_quoted() {
        for plain in ["web", "/etc/x", "counter@1.0.0", "a b", "sha256:00", "名称", "linux/amd64", "A sentence (short)"] {
            assert_eq!(text(plain), plain);
        }
        for other in [
            "",
            "no",
            "ON",
            "null",
            "~",
            "1",
            "1e3",
            "0x1f",
            ".5",
            "-",
            "- a",
            "a: b",
            "a:",
            "a #b",
            "#",
            "&a",
            "*a",
            "!t",
            "@x",
            "%",
            "[a]",
            "{a}",
            " a",
            "a ",
            "a\nb",
            "\u{2028}",
            "'a'",
            "\"",
            "a\tb",
            "?",
            "1:30",
            "2026-11-20",
        ] {
            assert!(text(other).starts_with('"'), "{other:?} is written {}", text(other));
        }
    }

    /// The manifest reader is a strict YAML reader with marks: whatever text went in must come out.
    #[test]
    fn the_manifest_reader_reads_the_same_texts() {
        let texts = [
            "",
            "no",
            "a: b",
            "a #b",
            "- a",
            "x\n  y\n",
            "\"q\" 'q' \\",
            "tab\t",
            "名称：值",
            "\u{85}\u{2028}\u{202e}\u{1b}[2J",
            "$HOME ${TAG} $$",
            "a, b=c",
            " lead",
            "1e3",
        ];
        let configs: serde_json::Map<String, Value> =
            texts.iter().enumerate().map(|(n, text)| (format!("c{n}"), json!({"content": text}))).collect();
        let app = json!({
            "apiVersion": "causeway/v1", "kind": "App", "metadata": {"name": "a", "version": "1.0"},
            "spec": {"services": {"web": {"image": "r.example/x:1"}}, "configs": configs},
        });
        let manifest = read("a.yaml", &yaml(&app, Dollars::Doubled), &Outside::default()).expect("manifest");
        for (n, text) in texts.iter().enumerate() {
            let name = crate::id::Name::new(&format!("c{n}")).expect("name");
            assert_eq!(manifest.app.spec.configs[&name].content, *text);
        }
    }
}
