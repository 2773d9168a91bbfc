//! The normal form as YAML for people. [`super::read`] makes the same App of it.

use serde_json::Value;

use super::App;

impl App {
    /// The App document as YAML; `$` is written `$$`, so that reading it needs no variable.
    pub fn to_yaml(&self) -> String {
        let mut out = String::new();
        // A manifest is plain data with string keys: it always has a JSON form.
        value(&mut out, &serde_json::to_value(self).unwrap_or_default(), 0);
        out
    }
}

/// Writes `node` at the end of a line whose block stands at `indent`.
fn value(out: &mut String, node: &Value, indent: usize) {
    match node {
        Value::Object(map) if !map.is_empty() => {
            for (key, node) in map {
                out.push_str(&"  ".repeat(indent));
                out.push_str(&text(key));
                out.push(':');
                below(out, node, indent + 1);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                out.push_str(&"  ".repeat(indent));
                out.push('-');
                below(out, item, indent + 1);
            }
        }
        Value::Object(_) => out.push_str("{}\n"),
        Value::Array(_) => out.push_str("[]\n"),
        Value::String(string) => {
            out.push_str(&text(string).replace('$', "$$"));
            out.push('\n');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            out.push_str(&node.to_string());
            out.push('\n');
        }
    }
}

/// Writes `node` after `key:` or `-`: a scalar on the same line, a block on lines of its own.
fn below(out: &mut String, node: &Value, indent: usize) {
    let block = match node {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    out.push(if block { '\n' } else { ' ' });
    value(out, node, indent);
}

/// A text as it stands where nothing else could be meant, else in double quotes.
fn text(text: &str) -> String {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'/');
    let rest = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/' | b'_' | b'-'));
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    if first && rest && !reserved { text.to_owned() } else { quoted(text) }
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
            // What YAML does not count as printable, and line ends that it would fold.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}') => {
                out.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
