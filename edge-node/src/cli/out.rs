//! The one writer of the command line.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::time::{Duration, Instant};

use serde::Serialize;
use shared::fault::{Fault, Lang, cli};
use shared::people::{self, Table};

use super::args::Output;
use super::exit::{Ended, Exit};

/// Where nobody sees a line move, progress is said this often.
const PROGRESS: Duration = Duration::from_secs(5);

/// Standard output and error, in one language and form.
pub struct Out {
    lang: Lang,
    output: Output,
    /// Whether results go to a terminal, which obeys what is written.
    is_terminal: bool,
    writer: BufWriter<StdoutLock<'static>>,
    /// Progress is drawn on a terminal.
    draws: bool,
    /// When progress was last said.
    said: Option<Instant>,
}

impl Out {
    /// Writes to this process's standard output.
    pub fn new(lang: Lang, output: Output) -> Self {
        let stdout = io::stdout();
        let writer = BufWriter::new(stdout.lock());
        Self { lang, output, is_terminal: stdout.is_terminal(), writer, draws: io::stderr().is_terminal(), said: None }
    }

    /// The reader's language.
    pub const fn lang(&self) -> Lang {
        self.lang
    }

    /// One of two texts.
    pub const fn pick(&self, en: &'static str, zh: &'static str) -> &'static str {
        match self.lang {
            Lang::En => en,
            Lang::Zh => zh,
        }
    }

    /// Whether a program reads.
    pub fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    /// One line, without tricks for a terminal.
    pub fn line(&mut self, text: &str) -> Result<(), Ended> {
        writeln!(self.writer, "{}", people::plain(text)).map_err(|error| ended(&error))
    }

    /// That something was done; for a program, the code of the sentence and what it speaks of.
    pub fn say(&mut self, said: &Fault) -> Result<(), Ended> {
        if self.is_json() { self.json(said) } else { self.line(&said.text(self.lang)) }
    }

    /// What is not as it should be, with its code, below a result.
    pub fn warn(&mut self, about: &str, fault: &Fault) -> Result<(), Ended> {
        self.line(&format!("! {about}{} [{}]", fault.text(self.lang), fault.code))
    }

    /// Whole lines from elsewhere: as they are for a program, without tricks for a terminal.
    pub fn lines(&mut self, lines: &[u8]) -> Result<(), Ended> {
        if self.is_terminal {
            return self.bytes(people::log(&String::from_utf8_lossy(lines)).as_bytes());
        }
        self.bytes(lines)
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        self.writer.write_all(bytes).map_err(|error| ended(&error))
    }

    /// Shows what was written so far.
    pub fn flush(&mut self) -> Result<(), Ended> {
        self.writer.flush().map_err(|error| ended(&error))
    }

    /// What was added to a table.
    pub fn table(&mut self, table: &mut Table) -> Result<(), Ended> {
        self.bytes(table.lines().as_bytes())
    }

    /// How far something is, on standard error: one line that is written over on a terminal, else a line now and then.
    pub fn progress(&mut self, so_far: &Fault) {
        let is_due = self.said.get_or_insert_with(Instant::now).elapsed() >= PROGRESS;
        if self.is_json() || (!self.draws && !is_due) {
            return;
        }
        self.said = Some(Instant::now());
        let text = people::plain(&so_far.text(self.lang));
        // Nobody who reads it: nothing to say.
        let _unread = if self.draws { write!(io::stderr(), "\r{text}\x1b[K") } else { writeln!(io::stderr(), "{text}") };
    }

    /// Nothing moves any more.
    pub fn end_progress(&mut self) {
        if self.draws && self.said.take().is_some() {
            let _unread = write!(io::stderr(), "\r\x1b[K");
        }
    }

    /// Indented JSON.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Ended> {
        let text = serde_json::to_string_pretty(value).map_err(|error| ended(&error.into()))?;
        self.lines(format!("{text}\n").as_bytes())
    }

    /// JSON on one line, for a stream of values.
    pub fn json_line(&mut self, value: &impl Serialize) -> Result<(), Ended> {
        let text = serde_json::to_string(value).map_err(|error| ended(&error.into()))?;
        self.lines(format!("{text}\n").as_bytes())?;
        self.flush()
    }

    /// Says on standard error why a command failed. When that is closed, the exit code has to do.
    pub fn complain(&mut self, faults: &[Fault]) {
        drop(self.writer.flush());
        for fault in faults {
            let text = format!("{} [{}]", fault.text(self.lang), fault.code);
            let _ = writeln!(io::stderr(), "edge-node: {}", people::plain(&text));
        }
    }
}

fn ended(error: &io::Error) -> Ended {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ended::Quietly;
    }
    Ended::failed(Exit::Error, Fault::new(&cli::OUTPUT_FAILED).with("cause", error))
}
