//! Problems and notices: what a manifest's author is told, with place and way out.

use std::fmt;

use super::bounds::PROBLEMS_MAX;
use crate::fault::{Fault, Faulty, manifest};

/// A place in a text, counted from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// Line.
    pub line: usize,
    /// Character in the line.
    pub column: usize,
}

impl Mark {
    /// The first character of a text.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// One thing that is wrong, or that the author should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where in the text; `None` when a normal form was checked, which has no lines.
    pub mark: Option<Mark>,
    /// What, and the way out. Its parameter `place` is `file:line:column`, or the path in the normal form.
    pub fault: Fault,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.fault, f)
    }
}

/// A manifest that is not accepted, with all that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The first [`PROBLEMS_MAX`] problems, by place. Never empty.
    pub problems: Vec<Problem>,
    /// How many more there are.
    pub more: usize,
}

impl Refused {
    /// The problems as faults, for an API or a report.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.problems.iter().map(|problem| &problem.fault)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            fmt::Display::fmt(problem, f)?;
        }
        if self.more > 0 { write!(f, "\n… and {} more", self.more) } else { Ok(()) }
    }
}

impl std::error::Error for Refused {}

impl Faulty for Refused {
    /// The first problem stands for all; [`faults`](Refused::faults) gives each.
    fn fault(&self) -> Fault {
        self.problems.first().map_or_else(|| Fault::new(&manifest::REFUSED), |problem| problem.fault.clone())
    }
}

/// Collects the problems of one text.
pub(super) struct Problems<'a> {
    file: &'a str,
    list: Vec<Problem>,
    more: usize,
}

/// So many are kept for sorting; a text with more is not worth a longer answer.
const KEPT_MAX: usize = 20 * PROBLEMS_MAX;

impl<'a> Problems<'a> {
    pub(super) const fn new(file: &'a str) -> Self {
        Self { file, list: Vec::new(), more: 0 }
    }

    /// Adds `fault`, found at `mark`.
    pub(super) fn add(&mut self, mark: Mark, fault: Fault) {
        if self.is_full() {
            self.skip();
        } else {
            let place = format!("{}:{}:{}", self.file, mark.line, mark.column);
            self.list.push(Problem { mark: Some(mark), fault: fault.with("place", place) });
        }
    }

    /// Whether further problems are only counted.
    pub(super) const fn is_full(&self) -> bool {
        self.list.len() >= KEPT_MAX
    }

    /// Counts a problem that nobody will read.
    pub(super) const fn skip(&mut self) {
        self.more += 1;
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All problems by place, or `None` when there are none.
    pub(super) fn refused(mut self) -> Option<Refused> {
        self.list.sort_by_key(|problem| problem.mark);
        refused(self.list, self.more)
    }

    /// The same list as notices.
    pub(super) fn notices(mut self) -> Vec<Problem> {
        self.list.sort_by_key(|problem| problem.mark);
        self.list
    }
}

/// Cuts a list of problems to what one answer names; what is said twice in a row is said once.
pub(super) fn refused(mut problems: Vec<Problem>, more: usize) -> Option<Refused> {
    problems.dedup();
    let cut = problems.len().saturating_sub(PROBLEMS_MAX);
    problems.truncate(PROBLEMS_MAX);
    if problems.is_empty() { None } else { Some(Refused { problems, more: more + cut }) }
}

/// A text as an error shows it: its first 80 characters, without control characters.
pub(super) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(80).map(|c| if c.is_control() { '·' } else { c }).collect();
    if text.chars().nth(80).is_some() { format!("{cut}…") } else { cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_sorted_by_place_and_cut() {
        let mut problems = Problems::new("a.yaml");
        for line in (1..=60).rev().chain([7]) {
            problems.add(Mark { line, column: 1 }, Fault::new(&manifest::EMPTY));
        }
        let refused = problems.refused().expect("problems");
        assert_eq!((refused.problems.len(), refused.more), (50, 10));
        assert_eq!(refused.fault().params.get("place").map(String::as_str), Some("a.yaml:1:1"));
        assert!(refused.to_string().ends_with("… and 10 more"));
    }
}
