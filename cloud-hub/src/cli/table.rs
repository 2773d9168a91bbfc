//! Tables without lines, as `kubectl` shows them; columns stay in place while rows are added by a watch. Pure.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use shared::fault::Lang;

/// One column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    /// Its name in English.
    pub(super) en: &'static str,
    /// Its name in Chinese.
    pub(super) zh: &'static str,
    /// Shown with `-o wide` only.
    pub(super) wide: bool,
}

/// A column that is always shown.
pub(super) const fn col(en: &'static str, zh: &'static str) -> Column {
    Column { en, zh, wide: false }
}

/// A column of `-o wide`.
pub(super) const fn wide(en: &'static str, zh: &'static str) -> Column {
    Column { en, zh, wide: true }
}

/// Lays out rows under columns.
#[derive(Debug)]
pub(super) struct Sheet {
    columns: &'static [Column],
    lang: Lang,
    is_wide: bool,
    headers: bool,
    /// Width of each shown column so far, in cells of the terminal.
    widths: Vec<u16>,
}

impl Sheet {
    /// For rows with one cell per column of `columns`.
    pub(super) const fn new(columns: &'static [Column], lang: Lang, is_wide: bool, headers: bool) -> Self {
        Self { columns, lang, is_wide, headers, widths: Vec::new() }
    }

    /// The lines of some rows; the first call begins with the names of the columns.
    pub(super) fn lines(&mut self, rows: &[Vec<String>]) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        let first = self.widths.is_empty();
        if first && self.headers {
            table.add_row(self.shown(self.columns).map(|column| self.name(column)));
        }
        for row in rows {
            table.add_row(self.shown(row).map(|cell| if cell.is_empty() { "-".into() } else { super::plain::plain(cell) }));
        }
        if table.is_empty() {
            return String::new();
        }
        let wanted = table.column_max_content_widths();
        let before = self.widths.iter().copied().chain(std::iter::repeat(0));
        self.widths = wanted.iter().zip(before).map(|(new, old)| old.max(*new)).collect();
        // Absolute widths count the padding that every cell has.
        let gap = 3;
        let widths = self.widths.iter().map(|width| ColumnConstraint::Absolute(Width::Fixed(width.saturating_add(gap))));
        table.set_constraints(widths.collect::<Vec<_>>());
        for column in table.column_iter_mut() {
            column.set_padding((0, gap));
        }
        table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    /// The items that stand in shown columns.
    fn shown<'a, T>(&self, items: &'a [T]) -> impl Iterator<Item = &'a T> + use<'a, T> {
        let (columns, is_wide) = (self.columns, self.is_wide);
        items.iter().zip(columns).filter(move |(_, column)| is_wide || !column.wide).map(|(item, _)| item)
    }

    fn name(&self, column: &Column) -> String {
        if self.lang == Lang::Zh { column.zh.into() } else { column.en.into() }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    static COLUMNS: [Column; 3] = [col("NAME", "名称"), wide("LABELS", "标签"), col("STATUS", "状态")];

    fn rows(rows: &[[&str; 3]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect()
    }

    #[test]
    fn columns_are_aligned_by_what_a_terminal_shows() {
        let mut sheet = Sheet::new(&COLUMNS, Lang::Zh, true, true);
        expect![[r#"
            名称         标签        状态
            crane-7      site=宁波   已连接
            码头起重机   -           x·y
        "#]]
        .assert_eq(&sheet.lines(&rows(&[["crane-7", "site=宁波", "已连接"], ["码头起重机", "", "x\ny"]])));
    }

    #[test]
    fn a_watch_adds_rows_below_the_same_columns() {
        let mut sheet = Sheet::new(&COLUMNS, Lang::En, false, true);
        assert_eq!(sheet.lines(&rows(&[["crane-7", "a", "connected"]])), "NAME      STATUS\ncrane-7   connected\n");
        assert_eq!(sheet.lines(&rows(&[["c", "a", "offline"]])), "c         offline\n");
        assert_eq!(sheet.lines(&rows(&[["crane-7000", "a", "x"]])), "crane-7000   x\n");
        assert_eq!(sheet.lines(&[]), "");
    }

    #[test]
    fn without_names_and_without_rows() {
        assert_eq!(Sheet::new(&COLUMNS, Lang::En, false, false).lines(&rows(&[["a", "b", "c"]])), "a   c\n");
        assert_eq!(Sheet::new(&COLUMNS, Lang::En, false, true).lines(&[]), "NAME   STATUS\n");
    }
}
