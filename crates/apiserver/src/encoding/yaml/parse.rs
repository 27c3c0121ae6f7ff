//! Tokens to a tree of nodes: the first document of a text.

use std::collections::HashMap;

use super::fault::{Fault, Mark, Result};
use super::scan::{Placed, Scanner, Token};
use super::{DEPTH_MAX, TOO_DEEP};

/// A node by its place in [`Tree::nodes`].
pub(super) type Id = usize;

/// A value in the text.
#[derive(Debug)]
pub(super) struct Node {
    /// The line where it begins, from zero.
    pub(super) line: usize,
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

/// Reads the first document; a text without one has no root.
pub(super) fn parse(bytes: &[u8]) -> Result<Tree> {
    let scanner = Scanner::new(bytes)?;
    let mut parser =
        Parser { scanner, tree: Tree::default(), anchors: HashMap::new(), handles: Vec::new(), depth: 0 };
    parser.document()?;
    Ok(parser.tree)
}

struct Parser {
    scanner: Scanner,
    tree: Tree,
    anchors: HashMap<String, Id>,
    /// Short forms of tags.
    handles: Vec<(String, String)>,
    depth: usize,
}

impl Parser {
    fn next(&mut self) -> Result<(Token, Mark)> {
        self.scanner.peek().map(|p| (p.token.clone(), p.start))
    }

    /// Whether the next token is one of these.
    fn is(&mut self, tokens: &[Token]) -> Result<bool> {
        self.scanner.peek().map(|p| tokens.contains(&p.token))
    }

    fn take(&mut self) -> Result<Placed> {
        self.scanner.take()
    }

    /// Takes the next token if it is this one.
    fn accept(&mut self, token: &Token) -> Result<Option<Mark>> {
        if self.scanner.peek()?.token == *token {
            return Ok(Some(self.take()?.end));
        }
        Ok(None)
    }

    fn add(&mut self, line: usize, tag: String, kind: Kind) -> Id {
        self.tree.nodes.push(Node { line, tag, kind });
        self.tree.nodes.len() - 1
    }

    /// Nothing, where something could stand.
    fn empty(&mut self, mark: Mark) -> Id {
        self.add(mark.line, String::new(), Kind::Scalar { text: String::new(), plain: true })
    }

    fn document(&mut self) -> Result<()> {
        self.handles =
            vec![("!".to_owned(), "!".to_owned()), ("!!".to_owned(), "tag:yaml.org,2002:".to_owned())];
        let mut explicit = false;
        loop {
            match self.next()? {
                (Token::StreamEnd, _) if !explicit => return Ok(()),
                (Token::Directive { tag }, _) => {
                    explicit = true;
                    if let Some((handle, prefix)) = tag {
                        self.handles.retain(|(h, _)| *h != handle);
                        self.handles.push((handle, prefix));
                    }
                    self.take()?;
                }
                (Token::DocumentStart, _) => {
                    let end = self.take()?.end;
                    let ends = matches!(
                        self.next()?.0,
                        Token::Directive { .. }
                            | Token::DocumentStart
                            | Token::DocumentEnd
                            | Token::StreamEnd
                    );
                    self.tree.root = Some(if ends { self.empty(end) } else { self.node(true, false)? });
                    break;
                }
                (_, at) if explicit => {
                    return Err(Fault::parsed("did not find expected <document start>", at, Mark::default()));
                }
                _ => {
                    self.tree.root = Some(self.node(true, false)?);
                    break;
                }
            }
        }
        // What follows the document must be tokens.
        self.next().map(|_| ())
    }

    /// A node; `indentless`: a list may begin at the column of the key that it belongs to.
    fn node(&mut self, block: bool, indentless: bool) -> Result<Id> {
        let start = self.next()?.1;
        if let (Token::Alias(name), _) = self.next()? {
            self.take()?;
            let Some(of) = self.anchors.get(&name).copied() else {
                return Err(Fault::anywhere(format!("unknown anchor '{name}' referenced")));
            };
            return Ok(self.add(start.line, String::new(), Kind::Alias { name, of }));
        }
        let (mut anchor, mut tag) = (None, None);
        loop {
            match self.next()? {
                (Token::Anchor(name), _) if anchor.is_none() => anchor = Some(name),
                (Token::Tag { handle, suffix }, at) if tag.is_none() => {
                    tag = Some(self.long_tag(&handle, suffix, start, at)?);
                }
                _ => break,
            }
            self.take()?;
        }
        let bare = anchor.is_none() && tag.is_none();
        let tag = tag.unwrap_or_default();
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Fault::parsed(TOO_DEEP, start, start));
        }
        // The anchor is known inside its own node too, if only to be refused there.
        let id = self.add(start.line, tag.clone(), Kind::Sequence(Vec::new()));
        if let Some(name) = anchor {
            self.anchors.insert(name, id);
        }
        let (token, at) = self.next()?;
        let kind = match token {
            Token::BlockEntry if indentless => self.indentless()?,
            Token::Scalar { text, plain } => {
                self.take()?;
                let plain = (tag.is_empty() && plain) || tag == "!";
                Kind::Scalar { text, plain }
            }
            Token::SequenceStart => self.flow_sequence()?,
            Token::MappingStart => self.flow_mapping()?,
            Token::BlockSequenceStart if block => self.block_sequence()?,
            Token::BlockMappingStart if block => self.block_mapping()?,
            _ if !bare => Kind::Scalar { text: String::new(), plain: tag.is_empty() },
            _ => return Err(Fault::parsed("did not find expected node content", at, start)),
        };
        self.depth -= 1;
        if tag == "!" {
            self.tree.nodes[id].tag.clear();
        }
        self.tree.nodes[id].kind = kind;
        Ok(id)
    }

    fn long_tag(&self, handle: &str, suffix: String, start: Mark, at: Mark) -> Result<String> {
        if handle.is_empty() {
            return Ok(suffix);
        }
        let found = self.handles.iter().find(|(h, _)| h == handle);
        match found {
            Some((_, prefix)) => Ok(format!("{prefix}{suffix}")),
            None => Err(Fault::parsed("found undefined tag handle", at, start)),
        }
    }

    fn block_sequence(&mut self) -> Result<Kind> {
        let start = self.take()?.start;
        let mut items = Vec::new();
        while let Some(end) = self.accept(&Token::BlockEntry)? {
            let none = self.is(&[Token::BlockEntry, Token::BlockEnd])?;
            items.push(if none { self.empty(end) } else { self.node(true, false)? });
        }
        self.end(&Token::BlockEnd, "did not find expected '-' indicator", start)?;
        Ok(Kind::Sequence(items))
    }

    fn indentless(&mut self) -> Result<Kind> {
        let mut items = Vec::new();
        while let Some(end) = self.accept(&Token::BlockEntry)? {
            let none = self.is(&[Token::BlockEntry, Token::Key, Token::Value, Token::BlockEnd])?;
            items.push(if none { self.empty(end) } else { self.node(true, false)? });
        }
        Ok(Kind::Sequence(items))
    }

    fn block_mapping(&mut self) -> Result<Kind> {
        const NEXT: [Token; 3] = [Token::Key, Token::Value, Token::BlockEnd];
        let start = self.take()?.start;
        let mut pairs = Vec::new();
        loop {
            let key = match self.accept(&Token::Key)? {
                Some(end) if self.is(&NEXT)? => self.empty(end),
                Some(_) => self.node(true, true)?,
                None => break,
            };
            let value = match self.accept(&Token::Value)? {
                Some(end) if self.is(&NEXT)? => self.empty(end),
                Some(_) => self.node(true, true)?,
                None => {
                    let at = self.next()?.1;
                    self.empty(at)
                }
            };
            pairs.push((key, value));
        }
        self.end(&Token::BlockEnd, "did not find expected key", start)?;
        Ok(Kind::Mapping(pairs))
    }

    fn end(&mut self, token: &Token, problem: &str, start: Mark) -> Result<()> {
        if self.accept(token)?.is_some() {
            return Ok(());
        }
        let at = self.next()?.1;
        Err(Fault::parsed(problem, at, start))
    }

    /// Between two entries stands a comma; false at the end of the collection.
    fn more(&mut self, first: bool, end: &Token, problem: &str, start: Mark) -> Result<bool> {
        if self.accept(end)?.is_some() {
            return Ok(false);
        }
        if !first {
            self.end(&Token::FlowEntry, problem, start)?;
            // A comma may end the last entry too.
            return Ok(self.accept(end)?.is_none());
        }
        Ok(true)
    }

    fn flow_sequence(&mut self) -> Result<Kind> {
        let start = self.take()?.start;
        let mut items = Vec::new();
        while self.more(items.is_empty(), &Token::SequenceEnd, "did not find expected ',' or ']'", start)? {
            let at = self.next()?.1;
            let item = match self.accept(&Token::Key)? {
                // A pair is a mapping of its own.
                Some(end) => {
                    let none = self.is(&[Token::Value, Token::FlowEntry, Token::SequenceEnd])?;
                    let key = if none { self.empty(end) } else { self.node(false, false)? };
                    let value = self.flow_value(&Token::SequenceEnd)?;
                    self.add(at.line, String::new(), Kind::Mapping(vec![(key, value)]))
                }
                None => self.node(false, false)?,
            };
            items.push(item);
        }
        Ok(Kind::Sequence(items))
    }

    fn flow_mapping(&mut self) -> Result<Kind> {
        let start = self.take()?.start;
        let mut pairs = Vec::new();
        while self.more(pairs.is_empty(), &Token::MappingEnd, "did not find expected ',' or '}'", start)? {
            let pair = match self.accept(&Token::Key)? {
                Some(end) => {
                    let none = self.is(&[Token::Value, Token::FlowEntry, Token::MappingEnd])?;
                    let key = if none { self.empty(end) } else { self.node(false, false)? };
                    (key, self.flow_value(&Token::MappingEnd)?)
                }
                None => {
                    let key = self.node(false, false)?;
                    let at = self.next()?.1;
                    (key, self.empty(at))
                }
            };
            pairs.push(pair);
        }
        Ok(Kind::Mapping(pairs))
    }

    fn flow_value(&mut self, end: &Token) -> Result<Id> {
        let at = self.next()?.1;
        if self.accept(&Token::Value)?.is_some() && !self.is(&[Token::FlowEntry, end.clone()])? {
            return self.node(false, false);
        }
        Ok(self.empty(at))
    }
}
