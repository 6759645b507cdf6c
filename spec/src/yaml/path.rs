//! Paths into a document, made while walking down and written only when something is wrong.

use std::fmt;

use super::{Content, Entry, Node, Span};

/// A path from the root: a chain of steps, each of which lives where it was taken.
#[derive(Clone, Copy)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    pub const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    pub fn key(&'a self, key: &'a str) -> Path<'a> {
        Path { parent: Some(self), step: Step::Key(key) }
    }

    pub fn index(&'a self, index: usize) -> Path<'a> {
        Path { parent: Some(self), step: Step::Index(index) }
    }

    /// Returns the key that the path ends with.
    pub fn name(&self) -> Option<&'a str> {
        match self.step {
            Step::Key(key) => Some(key),
            Step::Root | Step::Index(_) => None,
        }
    }

    fn steps(&self) -> Vec<Step<'a>> {
        let mut steps = self.parent.map(Path::steps).unwrap_or_default();
        if self.step != Step::Root {
            steps.push(self.step);
        }
        steps
    }

    /// Returns the path's steps, with each index as `number` says it is in the document; it is given the way to the list.
    pub(crate) fn renumbered(&self, number: impl Fn(&Steps<'a>, usize) -> usize) -> Steps<'a> {
        let mut steps = Steps(Vec::new());
        for step in self.steps() {
            let step = match step {
                Step::Index(index) => Step::Index(number(&steps, index)),
                step => step,
            };
            steps.0.push(step);
        }
        steps
    }

    /// Returns the node at the path.
    pub fn node<'n>(&self, root: &'n Node) -> Option<&'n Node> {
        Steps(self.steps()).node(root)
    }
}

/// The steps of a path from the root.
pub(crate) struct Steps<'a>(Vec<Step<'a>>);

impl Steps<'_> {
    /// Returns what a person looks at: a value, where it is a scalar, else the key it belongs to. Of a path that ends early in the
    /// document, the last that is there.
    pub(crate) fn locate(&self, root: &Node) -> Span {
        let mut place = first_key(root);
        let mut node = root;
        for step in &self.0 {
            let (at, next) = match (step, &node.content) {
                (Step::Key(key), Content::Mapping { entries, .. }) => {
                    let Some(Entry { key, value }) = entries.iter().find(|entry| entry.key.text() == Some(*key)) else { break };
                    (key.span, value)
                }
                (Step::Index(index), Content::Sequence { items, .. }) => {
                    let Some(item) = items.get(*index) else { break };
                    (first_key(item), item)
                }
                _ => break,
            };
            place = match &next.content {
                Content::Scalar { .. } if next.span.end > next.span.start => next.span,
                _ => at,
            };
            node = next;
        }
        place
    }

    /// Returns where the key that the path ends with stands.
    pub(crate) fn locate_key(&self, root: &Node) -> Option<Span> {
        let (Step::Key(key), parents) = self.0.split_last()? else { return None };
        let parent = walk(root, parents)?;
        parent.entries().iter().find(|entry| entry.key.text() == Some(*key)).map(|entry| entry.key.span)
    }

    pub(crate) fn node<'n>(&self, root: &'n Node) -> Option<&'n Node> {
        walk(root, &self.0)
    }
}

fn walk<'n>(root: &'n Node, steps: &[Step<'_>]) -> Option<&'n Node> {
    steps.iter().try_fold(root, |node, step| match step {
        Step::Root => Some(node),
        Step::Key(key) => node.get(key),
        Step::Index(index) => node.items().get(*index),
    })
}

/// Returns the place of a mapping's first key, which stands for the mapping; of anything else, its own.
fn first_key(node: &Node) -> Span {
    node.entries().first().map_or(node.span, |entry| entry.key.span)
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Steps(self.steps()).fmt(f)
    }
}

impl fmt::Display for Steps<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Root => {}
                Step::Key(key) => write!(f, "{}{}", if index == 0 { "" } else { "." }, super::shown(key))?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
