//! YAML as a small tree that knows where everything stands.
//!
//! saphyr-parser gives events; this file makes nodes of them, with line and column, and refuses what has no
//! place in a manifest: duplicate keys, tags, a second document, control characters. Anchors, aliases and
//! merge keys (`<<`) are written out under a budget, so that no text grows beyond what it looks like. Nothing
//! here is recursive in the input: depth is bounded before a node is made.
//!
//! Scalars follow YAML 1.2's core schema: `no` and `on` are texts, `1e400` is a number that stays a text.

mod scalar;

use std::collections::{BTreeMap, BTreeSet};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

pub(super) use scalar::{Kind, Scalar};

use super::bounds::{DEPTH_MAX, EXPANDED_MAX, NODES_MAX, TEXT_MAX};
use super::problem::{Mark, Problems, shown};
use crate::fault::{Fault, Text, manifest};

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) mark: Mark,
    pub(super) value: Value,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) mark: Mark,
    pub(super) key: String,
    pub(super) node: Node,
}

impl Node {
    /// The value of `key`, if this is a map that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node),
            Value::Scalar(_) | Value::List(_) => None,
        }
    }

    /// Nodes and bytes of scalars in this subtree.
    fn weight(&self) -> (usize, usize) {
        let add = |a: (usize, usize), b: (usize, usize)| (a.0 + b.0, a.1 + b.1);
        match &self.value {
            Value::Scalar(scalar) => (1, scalar.text.len()),
            Value::List(items) => items.iter().map(Self::weight).fold((1, 0), add),
            Value::Map(entries) => entries.iter().map(|entry| add((1, entry.key.len()), entry.node.weight())).fold((1, 0), add),
        }
    }
}

/// Reads one document. What is wrong goes to `problems`; `None` when no tree could be made.
pub(super) fn parse(text: &str, problems: &mut Problems<'_>) -> Option<Node> {
    match build(text, problems) {
        Ok(Some(root)) => Some(root),
        Ok(None) => {
            problems.add(Mark::START, Fault::new(&manifest::EMPTY));
            None
        }
        Err(Broken { mark, fault }) => {
            problems.add(mark, fault);
            None
        }
    }
}

/// A problem after which reading cannot go on.
struct Broken {
    mark: Mark,
    fault: Fault,
}

fn broken(mark: Mark, text: &'static Text) -> Broken {
    Broken { mark, fault: Fault::new(text) }
}

fn build(text: &str, problems: &mut Problems<'_>) -> Result<Option<Node>, Broken> {
    if text.len() > TEXT_MAX {
        let fault = Fault::new(&manifest::TOO_LARGE).with("size", text.len()).with("max", TEXT_MAX);
        return Err(Broken { mark: Mark::START, fault });
    }
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    refuse_control_characters(text)?;
    let mut builder = Builder::new(problems);
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| syntax(&error))?;
        builder.event(event, mark_of(span))?;
    }
    Ok(builder.root)
}

fn mark_of(span: Span) -> Mark {
    Mark { line: span.start.line().max(1), column: span.start.col() + 1 }
}

fn syntax(error: &ScanError) -> Broken {
    let mark = Mark { line: error.marker().line().max(1), column: error.marker().col() + 1 };
    Broken { mark, fault: Fault::new(&manifest::SYNTAX).with("cause", shown(error.info())) }
}

/// The parser takes NUL for the end of the text: what follows it would be dropped in silence.
fn refuse_control_characters(text: &str) -> Result<(), Broken> {
    let mut mark = Mark::START;
    for c in text.chars() {
        match c {
            '\n' => mark = Mark { line: mark.line + 1, column: 0 },
            '\t' | '\r' => {}
            '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}' => return Err(control(mark, c)),
            c if c.is_control() => return Err(control(mark, c)),
            _ => {}
        }
        mark.column += 1;
    }
    Ok(())
}

fn control(mark: Mark, c: char) -> Broken {
    Broken { mark, fault: Fault::new(&manifest::CONTROL_CHARACTER).with("char", format_args!("U+{:04X}", u32::from(c))) }
}

/// A list or map that is not closed yet.
struct Open {
    mark: Mark,
    anchor: usize,
    items: Items,
}

enum Items {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, seen: BTreeSet<String>, key: Option<Key>, merged: Vec<Node> },
}

/// A key that waits for its value.
struct Key {
    mark: Mark,
    text: String,
    /// A plain `<<`.
    merge: bool,
}

struct Builder<'p, 'f> {
    problems: &'p mut Problems<'f>,
    stack: Vec<Open>,
    anchors: BTreeMap<usize, (Node, (usize, usize))>,
    root: Option<Node>,
    documents: usize,
    nodes: usize,
    bytes: usize,
}

impl<'p, 'f> Builder<'p, 'f> {
    const fn new(problems: &'p mut Problems<'f>) -> Self {
        Self { problems, stack: Vec::new(), anchors: BTreeMap::new(), root: None, documents: 0, nodes: 0, bytes: 0 }
    }

    fn event(&mut self, event: Event<'_>, mark: Mark) -> Result<(), Broken> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 { Err(broken(mark, &manifest::SECOND_DOCUMENT)) } else { Ok(()) }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(mark, tag.as_deref());
                self.spend(mark, (1, text.len()))?;
                let scalar = Scalar::new(text.into_owned(), style == ScalarStyle::Plain);
                self.close(Node { mark, value: Value::Scalar(scalar) }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(mark, tag.as_deref());
                self.open(mark, anchor, Items::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(mark, tag.as_deref());
                let items = Items::Map { entries: Vec::new(), seen: BTreeSet::new(), key: None, merged: Vec::new() };
                self.open(mark, anchor, items)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(mark, anchor),
        }
    }

    fn refuse_tag(&mut self, mark: Mark, tag: Option<&saphyr_parser::Tag>) {
        if let Some(tag) = tag {
            self.problems.add(mark, Fault::new(&manifest::TAG).with("tag", shown(&tag.to_string())));
        }
    }

    fn spend(&mut self, mark: Mark, (nodes, bytes): (usize, usize)) -> Result<(), Broken> {
        self.nodes = self.nodes.saturating_add(nodes);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.nodes > NODES_MAX || self.bytes > EXPANDED_MAX {
            let fault = Fault::new(&manifest::TOO_MUCH).with("nodes", NODES_MAX).with("bytes", EXPANDED_MAX);
            return Err(Broken { mark, fault });
        }
        Ok(())
    }

    fn open(&mut self, mark: Mark, anchor: usize, items: Items) -> Result<(), Broken> {
        if self.stack.len() >= DEPTH_MAX {
            return Err(Broken { mark, fault: Fault::new(&manifest::TOO_DEEP).with("max", DEPTH_MAX) });
        }
        self.spend(mark, (1, 0))?;
        self.stack.push(Open { mark, anchor, items });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Broken> {
        let Some(Open { mark, anchor, items }) = self.stack.pop() else { return Ok(()) };
        let value = match items {
            Items::List(items) => Value::List(items),
            Items::Map { mut entries, mut seen, merged, .. } => {
                for entry in merged.into_iter().flat_map(entries_of) {
                    // An explicit key wins over a merged one, an earlier merge over a later one.
                    if seen.insert(entry.key.clone()) {
                        entries.push(entry);
                    }
                }
                Value::Map(entries)
            }
        };
        self.close(Node { mark, value }, anchor)
    }

    fn alias(&mut self, mark: Mark, anchor: usize) -> Result<(), Broken> {
        // The anchor of a node that is still open is not known yet: `&a [*a]` ends here.
        let (node, weight) = self.anchors.get(&anchor).cloned().ok_or_else(|| broken(mark, &manifest::ALIAS_LOOP))?;
        self.spend(mark, weight)?;
        if self.stack.len() + depth(&node) > DEPTH_MAX {
            return Err(Broken { mark, fault: Fault::new(&manifest::TOO_DEEP).with("max", DEPTH_MAX) });
        }
        self.place(node)
    }

    /// A node is complete: its anchor is known from now on.
    fn close(&mut self, node: Node, anchor: usize) -> Result<(), Broken> {
        if anchor != 0 {
            let weight = node.weight();
            self.spend(node.mark, weight)?;
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        self.place(node)
    }

    /// Puts a node where it belongs.
    fn place(&mut self, node: Node) -> Result<(), Broken> {
        match self.stack.last_mut().map(|open| &mut open.items) {
            None => self.root = Some(node),
            Some(Items::List(items)) => items.push(node),
            Some(Items::Map { key: key @ None, .. }) => *key = Some(key_of(node)?),
            Some(Items::Map { entries, seen, key, merged }) => {
                let Some(Key { mark, text, merge }) = key.take() else { return Ok(()) };
                if !seen.insert(text.clone()) {
                    self.problems.add(mark, Fault::new(&manifest::DUPLICATE_KEY).with("key", shown(&text)));
                } else if merge {
                    merged.extend(merged_maps(node)?);
                } else {
                    entries.push(Entry { mark, key: text, node });
                }
            }
        }
        Ok(())
    }
}

fn key_of(node: Node) -> Result<Key, Broken> {
    match node.value {
        Value::Scalar(scalar) if scalar.kind() != Kind::Null => {
            let merge = scalar.plain && scalar.text == "<<";
            Ok(Key { mark: node.mark, text: scalar.text, merge })
        }
        Value::Scalar(_) | Value::List(_) | Value::Map(_) => Err(broken(node.mark, &manifest::KEY_NOT_TEXT)),
    }
}

/// The maps that `<<` names: one, or a list of them.
fn merged_maps(node: Node) -> Result<Vec<Node>, Broken> {
    let nodes = match node.value {
        Value::List(nodes) => nodes,
        Value::Map(_) | Value::Scalar(_) => vec![node],
    };
    match nodes.iter().find(|node| !matches!(node.value, Value::Map(_))) {
        Some(other) => Err(broken(other.mark, &manifest::BAD_MERGE)),
        None => Ok(nodes),
    }
}

fn entries_of(node: Node) -> Vec<Entry> {
    match node.value {
        Value::Map(entries) => entries,
        Value::Scalar(_) | Value::List(_) => Vec::new(),
    }
}

/// Levels of lists and maps; bounded, because every node was made below [`DEPTH_MAX`].
fn depth(node: &Node) -> usize {
    match &node.value {
        Value::Scalar(_) => 0,
        Value::List(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Map(entries) => 1 + entries.iter().map(|entry| depth(&entry.node)).max().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
