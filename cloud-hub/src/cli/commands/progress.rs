//! How far something is: bars on a terminal, a line now and then elsewhere, nothing with `--quiet`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::de::DeserializeOwned;
use shared::people::{bytes, plain};

use super::super::client::{ClientError, Objects};
use super::super::error::CliError;
use super::super::session::Session;
use crate::api::types::Problem;

/// Where nobody sees bars, at most one line in this time for each thing.
const QUIET: Duration = Duration::from_secs(5);
/// Most bars at the same time; of further ones nothing is seen.
const BARS_MAX: usize = 32;

/// Longest time in which the hub has nothing to tell about a layer: it packs and compares tens of gigabytes.
pub(super) const LAYER_IDLE: Duration = Duration::from_secs(3600);

/// What a line of an answer says.
pub(super) enum Said<T> {
    /// It goes on; how far it is was shown.
    More,
    /// What came of it.
    Done(T),
    /// It ended early.
    Failed(Problem),
}

/// Follows an answer whose lines `shown` shows, to its last one. `None` when the answer ended before.
pub(super) async fn follow<L: DeserializeOwned, T>(
    session: &mut Session,
    mut objects: Objects<'_>,
    mut shown: impl FnMut(&mut Session, &mut Progress, L) -> Said<T>,
) -> Result<Option<T>, CliError> {
    let mut progress = Progress::new(session);
    let end = loop {
        let Some(line) = objects.next().await? else { return Ok(None) };
        match shown(session, &mut progress, line) {
            Said::More => {}
            Said::Done(done) => break Ok(Some(done)),
            Said::Failed(problem) => break Err(ClientError::Refused { status: 422, problem }.into()),
        }
    };
    progress.finish();
    end
}

/// Shows progress on the standard error.
pub(super) struct Progress {
    bars: Option<MultiProgress>,
    shown: BTreeMap<String, Bar>,
    spinner: Option<ProgressBar>,
}

/// One thing that goes on.
struct Bar {
    bar: Option<ProgressBar>,
    said: Instant,
    is_done: bool,
}

impl Progress {
    pub(super) fn new(session: &Session) -> Self {
        let draws = session.env.stderr_terminal && !session.out.quiet;
        let bars = draws.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        Self { bars, shown: BTreeMap::new(), spinner: None }
    }

    /// `done` of `total` bytes of what is called `name`.
    pub(super) fn bytes(&mut self, session: &mut Session, name: &str, done: u64, total: u64) {
        if !self.shown.contains_key(name) {
            if self.shown.len() >= BARS_MAX {
                self.shown.retain(|_, bar| !bar.is_done);
            }
            let bar = self.bars.as_ref().filter(|_| self.shown.len() < BARS_MAX).map(|bars| bars.add(bar(name)));
            // The first line comes only when it takes a while, and the last one always.
            self.shown.insert(name.to_owned(), Bar { bar, said: Instant::now(), is_done: false });
        }
        let draws = self.bars.is_some();
        let Some(shown) = self.shown.get_mut(name) else { return };
        let is_end = done >= total && !shown.is_done;
        if let Some(bar) = &shown.bar {
            bar.set_length(total);
            bar.set_position(done.min(total));
            if is_end {
                bar.finish();
            }
        } else if !draws && (is_end || (done < total && shown.said.elapsed() >= QUIET)) {
            shown.said = Instant::now();
            session.out.remark(format_args!("{}: {} / {}", plain(name), bytes(done.min(total)), bytes(total)));
        }
        shown.is_done |= is_end;
    }

    /// Whether something of that name is shown.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.shown.contains_key(name)
    }

    /// What is waited for.
    pub(super) fn state(&mut self, session: &mut Session, line: &str) {
        match &self.bars {
            Some(bars) => {
                let spinner = self.spinner.get_or_insert_with(|| {
                    let spinner = bars.add(ProgressBar::new_spinner());
                    spinner.enable_steady_tick(Duration::from_millis(120));
                    spinner
                });
                spinner.set_message(plain(line));
            }
            None => session.out.remark(plain(line)),
        }
    }

    /// Clears what moves; finished bars stay.
    pub(super) fn finish(&mut self) {
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
        for bar in std::mem::take(&mut self.shown).into_values().filter_map(|shown| shown.bar) {
            bar.finish();
        }
    }
}

fn bar(name: &str) -> ProgressBar {
    let bar = ProgressBar::no_length();
    // A template that cannot be read would only look plainer.
    if let Ok(style) = ProgressStyle::with_template("{prefix:38!} {bar:24} {binary_bytes:>10} / {binary_total_bytes} {eta:>4}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(plain(name));
    bar
}
