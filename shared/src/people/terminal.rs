//! Texts on somebody's terminal: what a node, an app or a registry wrote must not move the cursor, set the window's title
//! or hide a line.

/// A text for a table or a message: harmful characters become a middle dot, so that one line stays one line.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if is_harmful(c) { '·' } else { c }).collect()
}

/// Lines of an app's log: line ends, tabs and colours (`ESC [ … m`) stay, every other harmful character goes.
pub fn log(lines: &str) -> String {
    let mut out = String::with_capacity(lines.len());
    let mut rest = lines;
    while let Some(c) = rest.chars().next() {
        let taken = colour(rest).unwrap_or(c.len_utf8());
        let (head, tail) = rest.split_at(taken);
        if taken > c.len_utf8() || matches!(c, '\t' | '\n') || !is_harmful(c) {
            out.push_str(head);
        }
        rest = tail;
    }
    out
}

/// Control characters, line ends of Unicode, and its `Bidi_Control` characters, which turn the direction of writing
/// (CVE-2021-42574).
pub(super) fn is_harmful(c: char) -> bool {
    let is_bidi = matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    c.is_control() || is_bidi || matches!(c, '\u{2028}' | '\u{2029}')
}

/// The length of the colour sequence that `text` begins with.
fn colour(text: &str) -> Option<usize> {
    let digits = text.strip_prefix("\u{1b}[")?;
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    (digits.get(end..)?.starts_with('m') && end <= 32).then_some(end + 3)
}

/// Columns that `text` takes.
pub fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// Wide characters by Unicode's East Asian Width (UAX #11), as far as our texts, names and versions use them.
const fn columns(c: char) -> usize {
    match c {
        '\u{0300}'..='\u{036F}' | '\u{200B}'..='\u{200F}' | '\u{FE00}'..='\u{FE0F}' => 0,
        '\u{1100}'..='\u{115F}'
        | '\u{2E80}'..='\u{303E}'
        | '\u{3041}'..='\u{A4CF}'
        | '\u{AC00}'..='\u{D7A3}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{FE30}'..='\u{FE6F}'
        | '\u{FF00}'..='\u{FF60}'
        | '\u{FFE0}'..='\u{FFE6}'
        | '\u{1F300}'..='\u{1FAFF}'
        | '\u{20000}'..='\u{3FFFD}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_moves_no_cursor() {
        for (text, shown) in [
            ("web 中文", "web 中文"),
            ("a\nb\u{1b}[2J", "a·b·[2J"),
            ("\u{1b}[31mred", "·[31mred"),
            ("a\u{202e}b\u{2066}c\u{200f}", "a·b·c·"),
            ("\t\0", "··"),
            ("\u{9b}2J", "·2J"),
        ] {
            assert_eq!(plain(text), shown);
        }
    }

    #[test]
    fn a_log_keeps_its_colours_and_nothing_else() {
        for (lines, shown) in [
            ("a\tb\nc\n", "a\tb\nc\n"),
            ("\u{1b}[1;31mred\u{1b}[0m", "\u{1b}[1;31mred\u{1b}[0m"),
            ("\u{1b}[2Jx\r", "[2Jx"),
            ("\u{1b}]0;title\u{7}x", "]0;titlex"),
            ("\u{1b}]8;;http://evil\u{1b}\\x", "]8;;http://evil\\x"),
            ("\u{9b}2Jx", "2Jx"),
            ("a\u{202e}b\u{2069}\u{2028}", "ab"),
            ("\u{1b}[", "["),
            ("\u{1b}", ""),
        ] {
            assert_eq!(log(lines), shown);
        }
    }

    #[test]
    fn widths_are_those_of_a_terminal() {
        for (text, wide) in
            [("", 0), ("web", 3), ("运行中", 6), ("（a）", 5), ("é", 1), ("e\u{301}", 1), ("…", 1), ("🚢", 2), ("한글", 4)]
        {
            assert_eq!(width(text), wide, "{text}");
        }
    }
}
