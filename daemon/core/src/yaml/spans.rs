//! Which place in git asks for which field of an object. Filled by the parser, kept through substitution and patches.

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::Value;

use super::field_path;
use super::positions::{Place, Positions};
use crate::location::{Location, Position};

/// Places by JSON pointer (RFC 6901), with the file that the object stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spans {
    file: Arc<str>,
    start: Position,
    positions: Positions,
    overlays: Vec<(String, Location)>,
}

impl Spans {
    /// Spans of an object that begins at `start`; places are added with [`Spans::insert`].
    pub fn new(file: Arc<str>, start: Position) -> Self {
        Self { file, start, positions: Positions::default(), overlays: Vec::new() }
    }

    /// Says where the value under a pointer stands.
    pub fn insert(&mut self, pointer: String, position: Position) {
        self.insert_field(pointer, position, position);
    }

    /// Says where the value under a pointer stands, and where the key in front of it.
    pub fn insert_field(&mut self, pointer: String, key: Position, value: Position) {
        self.positions.insert(pointer, Place { value, key });
    }

    /// Says that a patch at `location` asks for everything under `pointer`; later overlays win.
    pub fn overlay(&mut self, pointer: String, location: Location) {
        self.overlays.push((pointer, location));
    }

    /// Makes room for an item of a sequence: what stands at `index` and after it moves up.
    pub fn insert_item(&mut self, sequence: &str, index: usize) {
        self.renumber(sequence, |old| Some(if old >= index { old + 1 } else { old }));
    }

    /// Takes an item of a sequence away: what stands after `index` moves down.
    pub fn remove_item(&mut self, sequence: &str, index: usize) {
        self.renumber(sequence, |old| match old.cmp(&index) {
            Ordering::Less => Some(old),
            Ordering::Equal => None,
            Ordering::Greater => Some(old - 1),
        });
    }

    fn renumber(&mut self, sequence: &str, change: impl Fn(usize) -> Option<usize>) {
        let moved = |pointer: String| {
            let Some(below) = pointer.strip_prefix(sequence).and_then(|rest| rest.strip_prefix('/')) else {
                return Some(pointer);
            };
            let end = below.find('/').unwrap_or(below.len());
            let (token, rest) = below.split_at_checked(end)?;
            let index = change(token.parse().ok()?)?;
            Some(format!("{sequence}/{index}{rest}"))
        };
        let positions = self.positions.all();
        let positions = positions.into_iter().filter_map(|(pointer, at)| Some((moved(pointer)?, at)));
        self.positions = Positions::of(positions.collect());
        let overlays = std::mem::take(&mut self.overlays);
        self.overlays =
            overlays.into_iter().filter_map(|(pointer, at)| Some((moved(pointer)?, at))).collect();
    }

    /// Makes them small, once they are whole.
    pub fn pack(&mut self) {
        self.positions.pack();
        self.overlays.shrink_to_fit();
    }

    /// Where the object begins.
    pub fn root(&self) -> Location {
        Location { file: self.file.clone(), position: self.start }
    }

    /// The place that asks for the value under a pointer, or for the nearest value around it.
    pub fn locate(&self, pointer: &str) -> Location {
        let overlay = self.overlays.iter().rev().find(|(over, _)| is_at_or_below(pointer, over));
        if let Some((_, location)) = overlay {
            return location.clone();
        }
        let mut pointer = pointer;
        loop {
            if let Some(place) = self.positions.get(pointer) {
                return Location { file: self.file.clone(), position: place.value };
            }
            match pointer.rsplit_once('/') {
                Some((parent, _)) => pointer = parent,
                None => return self.root(),
            }
        }
    }

    /// The place of the key in front of the value under a pointer, for what is wrong with the key itself; a patch has only
    /// the one place.
    pub fn locate_key(&self, pointer: &str) -> Location {
        let is_patched = self.overlays.iter().any(|(over, _)| is_at_or_below(pointer, over));
        match self.positions.get(pointer) {
            Some(place) if !is_patched => Location { file: self.file.clone(), position: place.key },
            Some(_) | None => self.locate(pointer),
        }
    }

    /// The place that asks for a field as an API server names it (`spec.containers[0].image`,
    /// `metadata.labels[app.kubernetes.io/name]`), or for the nearest value around it. `value` is the object that the spans belong to.
    pub fn locate_field(&self, value: &Value, field: &str) -> Location {
        self.locate(&field_path::to_pointer(value, field))
    }
}

fn is_at_or_below(pointer: &str, root: &str) -> bool {
    pointer.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(line: u32) -> Position {
        Position { line, column: 1 }
    }

    fn spans() -> Spans {
        let mut spans = Spans::new(Arc::from("a.yaml"), line(1));
        for (pointer, at) in [("/a", 2), ("/a/0", 3), ("/a/1", 4), ("/a/1/b", 5), ("/ab/0", 6)] {
            spans.insert(pointer.to_owned(), line(at));
        }
        spans
    }

    #[test]
    fn what_has_no_place_stands_where_the_value_around_it_stands() {
        let spans = spans();
        assert_eq!(spans.locate("/a/1/b/c/d").position, line(5));
        assert_eq!(spans.locate("/a/9").position, line(2));
        assert_eq!(spans.locate("/x").position, line(1));
    }

    #[test]
    fn a_key_has_a_place_of_its_own_unless_a_patch_brought_it() {
        let mut spans = spans();
        spans.insert_field("/c".to_owned(), Position { line: 7, column: 1 }, Position { line: 7, column: 8 });
        assert_eq!(spans.locate_key("/c").position, Position { line: 7, column: 1 });
        assert_eq!(spans.locate("/c").position, Position { line: 7, column: 8 });
        assert_eq!(spans.locate_key("/a/9").position, line(2), "the nearest value around it");
        spans.overlay("/c".to_owned(), Location { file: Arc::from("p.yaml"), position: line(9) });
        assert_eq!(spans.locate_key("/c").position, line(9));
    }

    #[test]
    fn places_follow_the_items_of_a_list_that_grows_or_shrinks() {
        let mut spans = spans();
        spans.insert_item("/a", 0);
        assert_eq!(spans.locate("/a/2/b").position, line(5));
        assert_eq!(spans.locate("/ab/0").position, line(6), "another list stays");
        spans.remove_item("/a", 1);
        assert_eq!(spans.locate("/a/1/b").position, line(5));
        assert_eq!(spans.locate("/a/0").position, line(2), "the new item has no place of its own");
    }
}
