//! Tables without lines, as `kubectl` shows them; columns line up, Chinese included.

use super::terminal::{plain, width};

/// Columns of blanks between two cells.
const GAP: usize = 3;

/// Rows one below the other. Widths stay, so that a watch goes on below the same columns.
#[derive(Debug, Default)]
pub struct Table {
    widths: Vec<usize>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with this head; one without is [`Self::default`].
    pub fn new<const N: usize>(head: [&str; N]) -> Self {
        let mut table = Self::default();
        table.row(head);
        table
    }

    /// One more row; what would break it or reach the terminal as a command is replaced.
    pub fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(|cell| plain(cell.as_ref())).collect());
    }

    /// The rows since the last call, a newline after each.
    pub fn lines(&mut self) -> String {
        let rows = std::mem::take(&mut self.rows);
        for row in &rows {
            self.widths.resize(self.widths.len().max(row.len()), 0);
            self.widths.iter_mut().zip(row).for_each(|(wide, cell)| *wide = (*wide).max(width(cell)));
        }
        rows.iter().map(|row| format!("{}\n", self.line(row).trim_end())).collect()
    }

    fn line(&self, row: &[String]) -> String {
        let mut line = String::new();
        for (cell, wide) in row.iter().zip(&self.widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', wide.saturating_sub(width(cell)) + GAP));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn columns_line_up_in_both_languages() {
        let mut table = Table::new(["应用", "状态", "VERSION"]);
        table.row(["shop", "运行中", "1.0"]);
        table.row(["a-long-name", "ok", ""]);
        table.row(["evil\x1b[2J\n", "x\u{202e}", "y"]);
        expect![[r#"
            应用          状态     VERSION
            shop          运行中   1.0
            a-long-name   ok
            evil·[2J·     x·       y
        "#]]
        .assert_eq(&table.lines());
    }

    #[test]
    fn a_watch_adds_rows_below_the_same_columns() {
        let mut table = Table::new(["NAME", "STATUS"]);
        table.row(["crane-7", "connected"]);
        assert_eq!(table.lines(), "NAME      STATUS\ncrane-7   connected\n");
        assert_eq!(table.lines(), "");
        table.row(["c", "offline"]);
        assert_eq!(table.lines(), "c         offline\n");
        table.row(["crane-7000", "x"]);
        assert_eq!(table.lines(), "crane-7000   x\n");
    }
}
