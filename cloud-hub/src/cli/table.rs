//! Tables whose columns have names in both languages, and some only with `-o wide`. Pure.

use shared::fault::Lang;
use shared::people::Table;

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
    /// Whether the names of the columns are still to come.
    headers: bool,
    table: Table,
}

impl Sheet {
    /// For rows with one cell per column of `columns`.
    pub(super) fn new(columns: &'static [Column], lang: Lang, is_wide: bool, headers: bool) -> Self {
        Self { columns, lang, is_wide, headers, table: Table::default() }
    }

    /// The lines of some rows; the first call begins with the names of the columns.
    pub(super) fn lines(&mut self, rows: &[Vec<String>]) -> String {
        if std::mem::take(&mut self.headers) {
            let names = self.columns.iter().map(|column| if self.lang == Lang::Zh { column.zh } else { column.en });
            self.table.row(self.shown(names));
        }
        for row in rows {
            let cells = row.iter().map(|cell| if cell.is_empty() { "-" } else { cell });
            self.table.row(self.shown(cells));
        }
        self.table.lines()
    }

    /// The cells that stand in shown columns.
    fn shown<'a>(&self, cells: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        let shown = cells.zip(self.columns).filter(|(_, column)| self.is_wide || !column.wide);
        shown.map(|(cell, _)| cell).collect()
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
