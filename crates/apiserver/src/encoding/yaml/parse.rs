//! A text to a tree of nodes: libyaml's events, in Go's words where it refuses.

use std::collections::HashMap;

use libyaml_safer::{ErrorKind, Event, EventData, Parser};

use super::{DEPTH_MAX, TOO_DEEP};

/// A node by its place in [`Tree::nodes`].
pub(super) type Id = usize;

/// A value in the text.
#[derive(Debug)]
pub(super) struct Node {
    /// The line where it begins, from zero.
    pub(super) line: u64,
    /// Its tag in the long form; empty when it has none.
    pub(super) tag: String,
    pub(super) kind: Kind,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Kind {
    /// `plain`: without quotes, so that its text may mean a number.
    Scalar {
        text: String,
        plain: bool,
    },
    Sequence(Vec<Id>),
    Mapping(Vec<(Id, Id)>),
    Alias {
        name: String,
        of: Id,
    },
}

/// A document.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    pub(super) root: Option<Id>,
}

pub(super) type Result<T> = std::result::Result<T, Fault>;

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Fault {
    problem: String,
    /// From one; zero when it has no place.
    line: u64,
}

impl Fault {
    /// A mistake that has no place.
    pub(super) fn anywhere(problem: impl Into<String>) -> Fault {
        Fault { problem: problem.into(), line: 0 }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "yaml: {}", self.problem),
            line => write!(f, "yaml: line {line}: {}", self.problem),
        }
    }
}

/// Go's library is a libyaml too, but counts the lines of its two stages differently, and takes the first line for none.
impl From<libyaml_safer::Error> for Fault {
    fn from(e: libyaml_safer::Error) -> Fault {
        let line = match e.problem_mark().map_or(0, |mark| mark.line) {
            0 => e.context_mark().map_or(0, |mark| mark.line),
            line => line + u64::from(e.kind() == ErrorKind::Scanner),
        };
        Fault { problem: e.problem().to_owned(), line }
    }
}

/// Reads the first document; a text without one has no root.
pub(super) fn parse(bytes: &[u8]) -> Result<Tree> {
    let mut parser = Parser::new();
    parser.set_input(bytes);
    let mut builder = Builder::default();
    while builder.take(parser.parse()?)? {}
    Ok(builder.tree)
}

#[derive(Default)]
struct Builder {
    tree: Tree,
    anchors: HashMap<String, Id>,
    /// The collections that have not ended, each with the key whose value comes next.
    open: Vec<(Id, Option<Id>)>,
}

impl Builder {
    /// Adds what an event tells; false at the end of the document.
    fn take(&mut self, event: Event) -> Result<bool> {
        let line = event.start_mark.line;
        match event.data {
            EventData::StreamStart { .. } | EventData::DocumentStart { .. } => {}
            EventData::StreamEnd | EventData::DocumentEnd { .. } => return Ok(false),
            EventData::Alias { anchor: name } => {
                let unknown = || Fault::anywhere(format!("unknown anchor '{name}' referenced"));
                let of = *self.anchors.get(&name).ok_or_else(unknown)?;
                self.add(line, None, None, Kind::Alias { name, of });
            }
            EventData::Scalar { anchor, tag, value, plain_implicit, .. } => {
                // `!` says only that the text is no more than it looks like.
                let tag = tag.filter(|tag| tag != "!");
                self.add(line, anchor, tag, Kind::Scalar { text: value, plain: plain_implicit });
            }
            EventData::SequenceStart { anchor, tag, .. } => {
                self.begin(line, anchor, tag, Kind::Sequence(Vec::new()))?;
            }
            EventData::MappingStart { anchor, tag, .. } => {
                self.begin(line, anchor, tag, Kind::Mapping(Vec::new()))?;
            }
            EventData::SequenceEnd | EventData::MappingEnd => {
                self.open.pop();
            }
        }
        Ok(true)
    }

    fn begin(&mut self, line: u64, anchor: Option<String>, tag: Option<String>, kind: Kind) -> Result<()> {
        if self.open.len() == DEPTH_MAX {
            return Err(Fault { problem: TOO_DEEP.to_owned(), line });
        }
        let id = self.add(line, anchor, tag, kind);
        self.open.push((id, None));
        Ok(())
    }

    /// Adds a node to the innermost open collection. Its anchor is known inside of it too, if only to be refused there.
    fn add(&mut self, line: u64, anchor: Option<String>, tag: Option<String>, kind: Kind) -> Id {
        let id = self.tree.nodes.len();
        self.tree.nodes.push(Node { line, tag: tag.unwrap_or_default(), kind });
        if let Some(name) = anchor {
            self.anchors.insert(name, id);
        }
        match self.open.last_mut() {
            None => self.tree.root = Some(id),
            Some((of, key)) => match (&mut self.tree.nodes[*of].kind, key.take()) {
                (Kind::Sequence(items), _) => items.push(id),
                (Kind::Mapping(pairs), Some(key)) => pairs.push((key, id)),
                _ => *key = Some(id),
            },
        }
        id
    }
}
