//! Tables of text whose columns line up, Chinese included: its characters are two columns wide.

/// A head and rows. The last column is never padded.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with this head.
    pub fn new<const N: usize>(head: [&str; N]) -> Self {
        Self { rows: vec![head.map(str::to_owned).into()] }
    }

    /// A table without a head.
    pub fn plain() -> Self {
        Self::default()
    }

    /// One more row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| clean(&cell)).into());
    }

    /// The text, a newline after each row.
    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width_of = |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max();
        let widths: Vec<usize> = (0..columns).map(|column| width_of(column).unwrap_or(0)).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, wide) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', wide.saturating_sub(width(cell)) + 2));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// What would break a row or reach the terminal as a command becomes visible.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

/// Columns that `text` takes on a terminal.
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
    fn widths_are_those_of_a_terminal() {
        for (text, wide) in
            [("", 0), ("web", 3), ("运行中", 6), ("（a）", 5), ("é", 1), ("e\u{301}", 1), ("…", 1), ("🚢", 2), ("한글", 4)]
        {
            assert_eq!(width(text), wide, "{text}");
        }
    }

    #[test]
    fn columns_line_up_in_both_languages() {
        let mut table = Table::new(["应用", "状态", "VERSION"]);
        table.row(["shop".into(), "运行中".into(), "1.0".into()]);
        table.row(["a-long-name".into(), "ok".into(), String::new()]);
        table.row(["evil\x1b[2J\n".into(), "x".into(), "y".into()]);
        let expected = "应用         状态    VERSION\n\
                        shop         运行中  1.0\n\
                        a-long-name  ok\n\
                        evil\u{FFFD}[2J\u{FFFD}    x       y\n";
        assert_eq!(table.render(), expected);
        assert_eq!(Table::plain().render(), "");
    }
}
