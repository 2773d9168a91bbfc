//! The one place where `hubctl` writes: results to the standard output, everything else to the standard error.

use std::fmt::Display;
use std::io::{self, Write};

use shared::fault::{Fault, Lang};
use shared::people;

/// Where results and remarks go.
pub struct Out {
    results: Box<dyn Write>,
    remarks: Box<dyn Write>,
    /// The reader's language.
    pub lang: Lang,
    /// No remarks but errors.
    pub quiet: bool,
    /// Results go to a terminal.
    pub results_on_terminal: bool,
    /// Remarks go to a terminal that shows colours.
    pub colour: bool,
}

impl Out {
    /// Writes results to `results`, remarks to `remarks`.
    pub fn new(results: impl Write + 'static, remarks: impl Write + 'static, lang: Lang) -> Self {
        let (results, remarks) = (Box::new(results), Box::new(remarks));
        Self { results, remarks, lang, quiet: false, results_on_terminal: false, colour: false }
    }

    /// A text of the result as it is, at once.
    ///
    /// # Errors
    /// What the system says; a reader that went away is [`io::ErrorKind::BrokenPipe`], which is no failure.
    pub fn write(&mut self, text: &str) -> io::Result<()> {
        self.results.write_all(text.as_bytes())?;
        self.results.flush()
    }

    /// Whole lines from elsewhere: as they are for a program, without tricks for a terminal.
    ///
    /// # Errors
    /// Those of [`Self::write`].
    pub fn lines(&mut self, lines: &str) -> io::Result<()> {
        if self.results_on_terminal { self.write(&people::log(lines)) } else { self.write(lines) }
    }

    /// A line of the result.
    pub fn line(&mut self, line: impl Display) -> io::Result<()> {
        self.write(&format!("{line}\n"))
    }

    /// A sentence of the result, in the reader's language.
    pub fn say(&mut self, fault: &Fault) -> io::Result<()> {
        self.line(people::plain(&fault.text(self.lang)))
    }

    /// A remark, unless nobody wants any. That it cannot be written harms no result.
    pub fn remark(&mut self, line: impl Display) {
        if !self.quiet {
            drop(writeln!(self.remarks, "{line}"));
        }
    }

    /// What went wrong, with its code.
    pub fn error(&mut self, text: &str, code: &str) {
        let word = match self.lang {
            Lang::En => "error:",
            Lang::Zh => "错误：",
        };
        let (red, end) = if self.colour { ("\u{1b}[1;31m", "\u{1b}[0m") } else { ("", "") };
        let space = if self.lang == Lang::En { " " } else { "" };
        drop(writeln!(self.remarks, "{red}{word}{end}{space}{} [{code}]", people::plain(text)));
    }

    /// A question, which stays on its line.
    pub fn ask(&mut self, question: &str) {
        drop(write!(self.remarks, "{question}").and_then(|()| self.remarks.flush()));
    }
}
