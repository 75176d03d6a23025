//! The places of one object's fields, as small as they can be: every object of every environment holds its own for as long
//! as it is enforced, and they are asked for only when something is wrong.
//!
//! Packed: pointers in order, each without the beginning that it shares with the one before it; numbers as varints.

use std::collections::BTreeMap;

use crate::location::Position;

/// Where a value stands, and its key where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub value: Position,
    pub key: Position,
}

/// Places by JSON pointer. What was written last is loose until [`Positions::pack`].
#[derive(Debug, Clone, Default)]
pub(super) struct Positions {
    packed: Box<[u8]>,
    loose: BTreeMap<String, Place>,
}

impl PartialEq for Positions {
    fn eq(&self, other: &Self) -> bool {
        (self.loose.is_empty() && other.loose.is_empty() && self.packed == other.packed)
            || self.all() == other.all()
    }
}

impl Eq for Positions {}

impl Positions {
    pub fn insert(&mut self, pointer: String, place: Place) {
        self.loose.insert(pointer, place);
    }

    pub fn get(&self, pointer: &str) -> Option<Place> {
        if let Some(place) = self.loose.get(pointer) {
            return Some(*place);
        }
        let mut entries = Entries::new(&self.packed);
        while let Some(place) = entries.step() {
            match entries.pointer.as_slice().cmp(pointer.as_bytes()) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Some(place),
                std::cmp::Ordering::Greater => return None,
            }
        }
        None
    }

    /// Every place; what is loose is newer.
    pub fn all(&self) -> BTreeMap<String, Place> {
        let mut all = BTreeMap::new();
        let mut entries = Entries::new(&self.packed);
        while let Some(place) = entries.step() {
            all.insert(String::from_utf8_lossy(&entries.pointer).into_owned(), place);
        }
        all.extend(self.loose.iter().map(|(pointer, place)| (pointer.clone(), *place)));
        all
    }

    /// These places and no others.
    pub fn of(places: BTreeMap<String, Place>) -> Self {
        Self { packed: Box::default(), loose: places }
    }

    /// Makes it small.
    pub fn pack(&mut self) {
        if self.loose.is_empty() {
            return;
        }
        let mut packed = Vec::new();
        let mut before = String::new();
        for (pointer, Place { value, key }) in self.all() {
            let shared = before.bytes().zip(pointer.bytes()).take_while(|(a, b)| a == b).count();
            let rest = pointer.as_bytes().get(shared..).unwrap_or_default();
            put(&mut packed, shared);
            put(&mut packed, rest.len());
            packed.extend_from_slice(rest);
            for number in [value.line, value.column, key.line, key.column] {
                put(&mut packed, number as usize);
            }
            before = pointer;
        }
        *self = Self { packed: packed.into_boxed_slice(), loose: BTreeMap::new() };
    }
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn put(packed: &mut Vec<u8>, mut number: usize) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            packed.push(low);
            return;
        }
        packed.push(low | 0x80);
    }
}

/// The packed entries, one after another.
struct Entries<'a> {
    rest: &'a [u8],
    pointer: Vec<u8>,
}

impl<'a> Entries<'a> {
    fn new(packed: &'a [u8]) -> Self {
        Self { rest: packed, pointer: Vec::new() }
    }

    /// The place of the next pointer; none after the last one.
    fn step(&mut self) -> Option<Place> {
        let shared = self.number()?;
        let length = self.number()?;
        let (new, rest) = self.rest.split_at_checked(length)?;
        self.pointer.truncate(shared);
        self.pointer.extend_from_slice(new);
        self.rest = rest;
        let mut position = || {
            let (line, column) = (self.number()?, self.number()?);
            Some(Position { line: u32::try_from(line).ok()?, column: u32::try_from(column).ok()? })
        };
        Some(Place { value: position()?, key: position()? })
    }

    fn number(&mut self) -> Option<usize> {
        let mut number = 0;
        let mut shift = 0;
        loop {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            number |= usize::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
            shift += 7;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: u32) -> Place {
        let at = |line| Position { line, column: 3 };
        Place { value: at(line), key: at(line + 100_000) }
    }

    #[test]
    fn what_is_packed_is_found_as_before_and_nothing_else() {
        let pointers = ["", "/a", "/a/0", "/a/1/b~1c", "/ab", "/ä", "/äö/x", "/z"];
        let mut positions = Positions::default();
        for (line, pointer) in (1..).zip(pointers) {
            positions.insert(pointer.to_owned(), place(line));
        }
        let loose = positions.clone();
        positions.pack();
        assert!(positions.loose.is_empty());
        for (line, pointer) in (1..).zip(pointers) {
            assert_eq!(positions.get(pointer), Some(place(line)), "{pointer}");
        }
        for none in ["/", "/a/1", "/b", "/zz", "/ö"] {
            assert_eq!(positions.get(none), None, "{none}");
        }
        assert_eq!(positions, loose);
        positions.insert("/a".to_owned(), place(77));
        assert_eq!(positions.get("/a"), Some(place(77)), "what is written later counts");
        assert_ne!(positions, loose);
        positions.pack();
        assert_eq!((positions.get("/a"), positions.all().len()), (Some(place(77)), pointers.len()));
    }
}
