//! Texts from elsewhere on somebody's terminal: what a node, an app or a registry wrote must not move the cursor, set the
//! window's title or hide a line. Pure.

/// A text for a table or a message: control characters become a middle dot, so that one line stays one line.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if is_harmful(c) { '·' } else { c }).collect()
}

/// A line of an app's log for a terminal: tabs and colours (`ESC [ … m`) stay, every other control character goes.
pub(super) fn log_line(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let taken = colour(rest).unwrap_or(c.len_utf8());
        let (head, tail) = rest.split_at(taken);
        if taken > c.len_utf8() || c == '\t' || !is_harmful(c) {
            out.push_str(head);
        }
        rest = tail;
    }
    out
}

/// Control characters, and those that turn the direction of writing (CVE-2021-42574).
fn is_harmful(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// The length of the colour sequence that `text` begins with.
fn colour(text: &str) -> Option<usize> {
    let digits = text.strip_prefix("\u{1b}[")?;
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    (digits.get(end..)?.starts_with('m') && end <= 32).then_some(end + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor() {
        for (text, shown) in
            [("web 中文", "web 中文"), ("a\nb\u{1b}[2J", "a·b·[2J"), ("a\u{202e}b", "a·b"), ("\t\0", "··"), ("\u{9b}2J", "·2J")]
        {
            assert_eq!(plain(text), shown);
        }
        for (line, shown) in [
            ("a\tb", "a\tb"),
            ("\u{1b}[1;31mred\u{1b}[0m", "\u{1b}[1;31mred\u{1b}[0m"),
            ("\u{1b}[2Jx\r", "[2Jx"),
            ("\u{1b}]0;title\u{7}x", "]0;titlex"),
            ("\u{1b}[", "["),
            ("\u{1b}", ""),
        ] {
            assert_eq!(log_line(line), shown);
        }
    }
}
