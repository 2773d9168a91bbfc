//! A page about one object: fields with their names aligned, sections, tables. Pure.

use shared::fault::Lang;
use shared::people::plain;

use super::table::{Column, Sheet, col};

/// Builds the text.
pub(super) struct Page {
    lang: Lang,
    text: String,
    fields: Vec<Vec<String>>,
    indent: usize,
}

static FIELD: [Column; 2] = [col("", ""), col("", "")];

impl Page {
    pub(super) const fn new(lang: Lang) -> Self {
        Self { lang, text: String::new(), fields: Vec::new(), indent: 0 }
    }

    /// `Name:   value`.
    pub(super) fn field(&mut self, en: &str, zh: &str, value: impl ToString) {
        let name = if self.lang == Lang::Zh { zh } else { en };
        let colon = if self.lang == Lang::Zh { "：" } else { ":" };
        self.fields.push(vec![format!("{name}{colon}"), value.to_string()]);
    }

    /// A field, if there is a value.
    pub(super) fn field_some(&mut self, en: &str, zh: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.field(en, zh, value);
        }
    }

    /// A heading; what follows is indented.
    pub(super) fn section(&mut self, en: &str, zh: &str) {
        self.flush();
        self.text.push_str(if self.lang == Lang::Zh { zh } else { en });
        self.text.push_str(if self.lang == Lang::Zh { "：\n" } else { ":\n" });
        self.indent = 2;
    }

    /// A table below the last heading.
    pub(super) fn table(&mut self, columns: &'static [Column], rows: &[Vec<String>]) {
        self.flush();
        let lines = Sheet::new(columns, self.lang, true, true).lines(rows);
        self.indented(&lines);
    }

    /// Lines of their own below the last heading.
    pub(super) fn lines(&mut self, lines: impl IntoIterator<Item = String>) {
        self.flush();
        let text: String = lines.into_iter().map(|line| format!("{}\n", plain(&line))).collect();
        self.indented(&text);
    }

    fn flush(&mut self) {
        let fields = std::mem::take(&mut self.fields);
        let lines = Sheet::new(&FIELD, self.lang, true, false).lines(&fields);
        self.indented(&lines);
    }

    fn indented(&mut self, lines: &str) {
        for line in lines.lines() {
            self.text.extend(std::iter::repeat_n(' ', self.indent));
            self.text.push_str(line);
            self.text.push('\n');
        }
    }

    /// The whole page.
    pub(super) fn finish(mut self) -> String {
        self.flush();
        self.text
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_page_is_aligned_in_both_languages() {
        let page = |lang| {
            let mut page = Page::new(lang);
            page.field("Name", "名称", "crane-7");
            page.field("Connected", "连接状态", "\u{1b}[2J");
            page.field_some("Seen", "最近联系", None::<String>);
            page.section("Apps", "应用");
            page.table(&FIELDS, &[vec!["web".into(), "1".into()]]);
            page.lines(["more".to_owned()]);
            page.finish()
        };
        expect![[r#"
            Name:        crane-7
            Connected:   ·[2J
            Apps:
              NAME   VERSION
              web    1
              more
        "#]]
        .assert_eq(&page(Lang::En));
        expect![[r#"
            名称：       crane-7
            连接状态：   ·[2J
            应用：
              名称   版本
              web    1
              more
        "#]]
        .assert_eq(&page(Lang::Zh));
    }

    static FIELDS: [Column; 2] = [col("NAME", "名称"), col("VERSION", "版本")];
}
