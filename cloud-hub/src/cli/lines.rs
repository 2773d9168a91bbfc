//! Lines out of pieces, and server-sent events out of lines. Pure.

/// Longest line, in bytes: an object of the API, or a line of a log.
pub(super) const LINE_MAX: usize = 4 << 20;

/// Cuts pieces into lines. What exceeds [`LINE_MAX`] is given out as a line of its own, so that memory stays bounded.
#[derive(Debug, Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
    /// Bytes of `rest` that hold no line end.
    seen: usize,
}

impl Lines {
    /// Adds a piece.
    pub(super) fn add(&mut self, piece: &[u8]) {
        self.rest.extend_from_slice(piece);
    }

    /// The next whole line, without its end.
    pub(super) fn next(&mut self) -> Option<String> {
        let unseen = self.rest.get(self.seen..).unwrap_or_default();
        let Some(end) = unseen.iter().position(|b| *b == b'\n').map(|at| self.seen + at) else {
            self.seen = self.rest.len();
            return (self.seen >= LINE_MAX).then(|| self.take(self.seen, 0));
        };
        Some(self.take(end, 1))
    }

    /// What is left when no more pieces come.
    pub(super) fn last(&mut self) -> Option<String> {
        (!self.rest.is_empty()).then(|| self.take(self.rest.len(), 0))
    }

    fn take(&mut self, end: usize, separator: usize) -> String {
        let line: Vec<u8> = self.rest.drain(..end + separator).take(end).collect();
        self.seen = 0;
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        String::from_utf8_lossy(line).into_owned()
    }
}

/// Joins lines to the data of server-sent events (WHATWG HTML, 9.2.6); names and ids are not needed here, because the
/// data itself carries the revision.
#[derive(Debug, Default)]
pub(super) struct Events {
    data: String,
}

impl Events {
    /// Takes a line; the data of an event when the line ends one.
    pub(super) fn line(&mut self, line: &str) -> Option<String> {
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            return (!data.is_empty()).then_some(data);
        }
        if let Some(data) = line.strip_prefix("data:")
            && self.data.len() + data.len() <= LINE_MAX
        {
            if !self.data.is_empty() {
                self.data.push('\n');
            }
            self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pieces: &[&str]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        for piece in pieces {
            lines.add(piece.as_bytes());
            out.extend(std::iter::from_fn(|| lines.next()));
        }
        out.extend(lines.last());
        out
    }

    #[test]
    fn lines_do_not_depend_on_pieces() {
        let cases: [(&[&str], &[&str]); 5] = [
            (&[], &[]),
            (&["a\nb"], &["a", "b"]),
            (&["a", "b\r", "\n", "\n", "c\n"], &["ab", "", "c"]),
            (&["中", "\n"], &["中"]),
            (&["a\n\nb\n"], &["a", "", "b"]),
        ];
        for (pieces, lines) in cases {
            assert_eq!(all(pieces), lines, "{pieces:?}");
        }
        let endless = "x".repeat(LINE_MAX + 10);
        assert_eq!(all(&[&endless]).iter().map(String::len).sum::<usize>(), LINE_MAX + 10);
    }

    #[test]
    fn events_are_their_data() {
        let mut events = Events::default();
        let text = ": ping\n\nid: 5\nevent: x\ndata: {\"a\":\ndata:1}\n\n\ndata: b\n\ndata: cut";
        let data: Vec<String> = text.lines().filter_map(|line| events.line(line)).collect();
        assert_eq!(data, ["{\"a\":\n1}", "b"]);
    }
}
