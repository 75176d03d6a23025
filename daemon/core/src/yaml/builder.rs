//! Builds the nodes of one document after another from the parser's events, with anchors, aliases and merge keys.
//!
//! Everything that is copied counts against the budget before it is copied.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_yaml::granit_parser::{Event, ScalarStyle, Span, Tag};

use super::mapping::MappingFrame;
use super::parse::position;
use super::{Budget, Document, Node, NodeValue, value};
use crate::location::{Location, Position};
use crate::problem::{Code, Problem};

/// An error that ends the reading of the file.
pub type Fatal = Box<Problem>;

/// What is built so far.
pub struct Builder {
    file: Arc<str>,
    budget: Budget,
    nodes: usize,
    aliases: usize,
    stack: Vec<Frame>,
    /// By the parser's ids; none while the node is still being built.
    anchors: BTreeMap<usize, Option<Built>>,
    root: Option<Node>,
    /// What was wrong so far, in all documents.
    pub problems: Vec<Problem>,
}

/// A node, and what it costs to copy it.
#[derive(Clone)]
pub struct Built {
    /// The node.
    pub node: Node,
    /// Nodes in it, itself included.
    pub size: usize,
    /// Levels in it, itself included.
    pub depth: usize,
}

struct Frame {
    anchor: usize,
    position: Position,
    size: usize,
    depth: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping(MappingFrame),
}

impl Builder {
    /// Builds the documents of a file.
    pub fn new(file: Arc<str>, budget: Budget) -> Self {
        Self {
            file,
            budget,
            nodes: 0,
            aliases: 0,
            stack: Vec::new(),
            anchors: BTreeMap::new(),
            root: None,
            problems: Vec::new(),
        }
    }

    /// Takes one event.
    pub fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Fatal> {
        let place = position(&span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(text, style, anchor, tag.as_deref(), place)
            }
            Event::SequenceStart(_, anchor, _) => self.open(anchor, place, Content::Sequence(Vec::new())),
            Event::MappingStart(_, anchor, _) => {
                self.open(anchor, place, Content::Mapping(MappingFrame::default()))
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(id) => self.alias(id, place),
            // Its name is not repeated: it may be the unquoted value of a Secret.
            Event::UnresolvedAlias(_) => {
                self.report(
                    Problem::error(Code::YamlSyntax, "no anchor stands before this alias")
                        .help("quote a text that begins with `*`"),
                    place,
                );
                self.add(Built { node: Node::null(place), size: 1, depth: 1 });
                Ok(())
            }
            // Stream and document borders, comments: nothing to build. The parser's enum is open.
            _ => Ok(()),
        }
    }

    /// The document that just ended; none when it was empty.
    pub fn finish(&mut self) -> Option<Document> {
        let root = self.root.take();
        self.abandon();
        root.filter(|root| root.value != NodeValue::Null).map(|root| Document { root })
    }

    /// Forgets the document that is being built. The budget stays spent.
    pub fn abandon(&mut self) {
        self.root = None;
        self.stack.clear();
        self.anchors.clear();
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        place: Position,
    ) -> Result<(), Fatal> {
        self.spend(1, place)?;
        let plain = matches!(style, ScalarStyle::Plain);
        let wants_key = self.wants_key();
        let scalar = value::Scalar { text: text.into_owned(), plain, tag: tag.map(ToString::to_string) };
        if wants_key && scalar.is_merge() {
            self.begin_merge(place);
            return Ok(());
        }
        if wants_key {
            let key = self.checked(scalar.key(), place);
            if anchor != 0 {
                let node =
                    Node { value: NodeValue::String(key.clone().unwrap_or_default()), ..Node::null(place) };
                self.anchors.insert(anchor, Some(Built { node, size: 1, depth: 1 }));
            }
            self.key(key, place);
            return Ok(());
        }
        let empty = plain && scalar.text.is_empty();
        let mut node = self.checked(scalar.value(), place).unwrap_or_else(|| Node::null(place));
        node.position = if empty { self.place_of_key().unwrap_or(place) } else { place };
        let built = Built { node, size: 1, depth: 1 };
        self.anchor(anchor, &built)?;
        self.add(built);
        Ok(())
    }

    /// Reports what is wrong with a scalar, and gives what can be read of it all the same.
    fn checked<T>(&mut self, read: value::Read<T>, place: Position) -> Option<T> {
        let value::Read { value, problem } = read;
        if let Some(problem) = problem {
            self.report(problem, place);
        }
        value
    }

    fn open(&mut self, anchor: usize, place: Position, content: Content) -> Result<(), Fatal> {
        self.spend(1, place)?;
        if self.stack.len() >= self.budget.depth {
            return Err(self.too_deep(place));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, None);
        }
        self.stack.push(Frame { anchor, position: place, size: 1, depth: 1, content });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fatal> {
        let Some(Frame { anchor, position, size, depth, content }) = self.stack.pop() else { return Ok(()) };
        let value = match content {
            Content::Sequence(items) => NodeValue::Sequence(items),
            Content::Mapping(mapping) => NodeValue::Mapping(mapping.into_entries()),
        };
        let node = Node { value, position, plain: false, written: None };
        let built = Built { node, size, depth };
        self.anchor(anchor, &built)?;
        if self.wants_key() {
            let message = "a key must be a text, not a mapping or a sequence";
            self.report(Problem::error(Code::YamlUnsupported, message), position);
            self.key(None, position);
            return Ok(());
        }
        self.add(built);
        Ok(())
    }

    /// Keeps a copy for the aliases of an anchor.
    fn anchor(&mut self, anchor: usize, built: &Built) -> Result<(), Fatal> {
        if anchor == 0 {
            return Ok(());
        }
        self.spend(built.size, built.node.position)?;
        self.anchors.insert(anchor, Some(built.clone()));
        Ok(())
    }

    fn alias(&mut self, id: usize, place: Position) -> Result<(), Fatal> {
        self.aliases += 1;
        if self.aliases > self.budget.aliases {
            let message = format!("more than {} aliases in one file", self.budget.aliases);
            return Err(self.fatal(message, place));
        }
        let built = match self.anchors.get(&id) {
            Some(Some(built)) => {
                let (size, depth) = (built.size, built.depth);
                self.spend(size, place)?;
                if self.stack.len() + depth > self.budget.depth {
                    return Err(self.too_deep(place));
                }
                self.anchors.get(&id).cloned().flatten()
            }
            Some(None) | None => None,
        };
        let Some(built) = built else {
            self.report(Problem::error(Code::YamlUnsupported, "an anchor's value contains itself"), place);
            self.add(Built { node: Node::null(place), size: 1, depth: 1 });
            return Ok(());
        };
        if self.wants_key() {
            let key = built.node.as_str().map(str::to_owned);
            if key.is_none() {
                let message = "an alias that is used as a key must stand for a text";
                self.report(Problem::error(Code::YamlUnsupported, message), place);
            }
            self.key(key, place);
            return Ok(());
        }
        self.add(built);
        Ok(())
    }

    fn wants_key(&self) -> bool {
        match self.stack.last().map(|frame| &frame.content) {
            Some(Content::Mapping(mapping)) => mapping.wants_key(),
            Some(Content::Sequence(_)) | None => false,
        }
    }

    fn place_of_key(&self) -> Option<Position> {
        match self.stack.last().map(|frame| &frame.content) {
            Some(Content::Mapping(mapping)) => mapping.place_of_key(),
            Some(Content::Sequence(_)) | None => None,
        }
    }

    fn begin_merge(&mut self, place: Position) {
        let problem = self.mapping().and_then(|mapping| mapping.begin_merge(place));
        self.report_all(problem);
    }

    /// A key; none for one that was refused, so that its value is dropped.
    fn key(&mut self, key: Option<String>, place: Position) {
        let problem = self.mapping().and_then(|mapping| mapping.key(key, place));
        self.report_all(problem);
    }

    fn mapping(&mut self) -> Option<&mut MappingFrame> {
        match self.stack.last_mut().map(|frame| &mut frame.content) {
            Some(Content::Mapping(mapping)) => Some(mapping),
            Some(Content::Sequence(_)) | None => None,
        }
    }

    /// Puts a complete node where it belongs.
    fn add(&mut self, built: Built) {
        let Built { node, size, depth } = built;
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return;
        };
        frame.size += size;
        frame.depth = frame.depth.max(depth + 1);
        let problems = match &mut frame.content {
            Content::Sequence(items) => {
                items.push(node);
                Vec::new()
            }
            Content::Mapping(mapping) => mapping.value(node),
        };
        self.report_all(problems);
    }

    fn report_all(&mut self, problems: impl IntoIterator<Item = super::mapping::Finding>) {
        for finding in problems {
            let mut problem = finding.problem;
            if let Some((note, other)) = finding.related {
                problem = problem.related(note, Location { file: self.file.clone(), position: other });
            }
            self.report(problem, finding.position);
        }
    }

    fn report(&mut self, problem: Problem, place: Position) {
        self.problems.push(problem.at(Location { file: self.file.clone(), position: place }));
    }

    fn spend(&mut self, nodes: usize, place: Position) -> Result<(), Fatal> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > self.budget.nodes {
            let message =
                format!("more than {} values in one file, those of aliases included", self.budget.nodes);
            return Err(self.fatal(message, place));
        }
        Ok(())
    }

    fn too_deep(&self, place: Position) -> Fatal {
        self.fatal(format!("more than {} levels of nesting", self.budget.depth), place)
    }

    fn fatal(&self, message: String, place: Position) -> Fatal {
        Box::new(
            Problem::error(Code::YamlBudget, message)
                .at(Location { file: self.file.clone(), position: place }),
        )
    }
}
