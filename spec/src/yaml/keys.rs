//! Finds keys that are there twice.

use std::collections::HashMap;

use super::{Entry, Span};

/// The keys of a mapping so far.
#[derive(Default)]
pub(super) struct Keys(HashMap<Box<str>, Span>);

impl Keys {
    /// More keys than this are looked up by their hashes.
    const FEW: usize = 16;

    /// Returns where a key stands among the entries before it. To be asked for each.
    pub(super) fn earlier(&mut self, before: &[Entry], name: &str) -> Option<Span> {
        if before.len() < Keys::FEW {
            return before.iter().find(|entry| entry.key.text() == Some(name)).map(|entry| entry.key.span);
        }
        let unknown = if self.0.is_empty() { before } else { &before[before.len() - 1..] };
        self.0.extend(unknown.iter().filter_map(|entry| Some((entry.key.text()?.into(), entry.key.span))));
        self.0.get(name).copied()
    }
}
