//! `command: "a 'b c'"`: a line split into words as a shell does, without ever being one.

/// Why a line cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a quote or a backslash at the end is not closed")]
pub(super) struct Unclosed;

/// Splits at blanks; `'…'` keeps everything, `"…"` keeps all but `\"`, `\\`, `\$` and `` \` ``, a backslash
/// outside quotes keeps the next character. Nothing is expanded: `*`, `~` and `;` are letters.
pub(super) fn split(line: &str) -> Result<Vec<String>, Unclosed> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => single(&mut rest, word.get_or_insert_default())?,
            '"' => double(&mut rest, word.get_or_insert_default())?,
            '\\' => match rest.next().ok_or(Unclosed)? {
                '\n' => {}
                next => word.get_or_insert_default().push(next),
            },
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn single(rest: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), Unclosed> {
    loop {
        match rest.next().ok_or(Unclosed)? {
            '\'' => return Ok(()),
            c => word.push(c),
        }
    }
}

fn double(rest: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), Unclosed> {
    loop {
        match rest.next().ok_or(Unclosed)? {
            '"' => return Ok(()),
            '\\' => match rest.next().ok_or(Unclosed)? {
                '\n' => {}
                c @ ('"' | '\\' | '$' | '`') => word.push(c),
                c => word.extend(['\\', c]),
            },
            c => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_words() {
        for (line, words) in [
            ("", &[][..]),
            ("  ", &[]),
            ("a b\tc\n", &["a", "b", "c"]),
            ("a '' \"\"", &["a", "", ""]),
            ("sh -c 'echo \"x y\"; sleep 1'", &["sh", "-c", "echo \"x y\"; sleep 1"]),
            (r#"a"b c"'d e'\ f"#, &["ab cd e f"]),
            (r#""\"\\\n\$""#, &["\"\\\\n$"]),
            ("'a\\b'", &["a\\b"]),
            ("a \\\n b", &["a", "b"]),
            ("*.txt ~ ; | é", &["*.txt", "~", ";", "|", "é"]),
        ] {
            assert_eq!(split(line).expect(line), words, "{line:?}");
        }
        for line in ["'", "a \"b", "a\\", "\"\\"] {
            assert_eq!(split(line), Err(Unclosed), "{line:?}");
        }
    }
}
