//! Characters byte by byte, as far as patterns tell them apart.
//!
//! The first bytes of a character lead to a [`Part`]; two of them are one part where the same bytes
//! lead to characters of the same classes from both. So most of the world's letters share a few parts.

use std::collections::HashMap;
use std::sync::Arc;

/// The number of a class of characters.
pub(super) type Class = u32;

/// The number of a part.
pub(super) type PartId = u32;

/// What another byte leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum After {
    /// No character of a text has these bytes.
    Nothing,
    /// A character.
    Whole(Class),
    /// Only the beginning of one.
    Part(PartId),
}

/// The beginning of a character.
#[derive(Debug)]
struct Part {
    /// What the bytes 0x80 to 0xBF lead to.
    next: [After; 64],
    /// The classes of the characters that begin so.
    classes: Arc<[Class]>,
}

/// All characters.
#[derive(Debug)]
pub(super) struct Characters {
    first: [After; 256],
    parts: Vec<Part>,
    /// A character of each class.
    samples: Vec<u32>,
}

impl Characters {
    /// Characters by their `class`, any number; those without one are in no text.
    pub fn new(class: impl Fn(char) -> Option<u128>) -> Characters {
        let characters =
            Characters { first: [After::Nothing; 256], parts: Vec::new(), samples: Vec::new() };
        let mut building = Building {
            characters,
            class,
            classes: HashMap::new(),
            parts: HashMap::new(),
            last: None,
        };
        for byte in 0..=0xF4u8 {
            let lead = u32::from(byte);
            building.characters.first[usize::from(byte)] = match byte {
                0..=0x7F => building.after(lead, 0, 0),
                0xC2..=0xDF => building.after((lead & 0x1F) << 6, 6, 0x80),
                0xE0..=0xEF => building.after((lead & 0x0F) << 12, 12, 0x800),
                0xF0..=0xF4 => building.after((lead & 0x07) << 18, 18, 0x1_0000),
                _ => After::Nothing,
            };
        }
        building.characters
    }

    /// What a byte leads to, after nothing or the beginning of a character.
    pub fn after(&self, part: Option<PartId>, byte: u8) -> After {
        match part {
            None => self.first[usize::from(byte)],
            Some(_) if byte & 0xC0 != 0x80 => After::Nothing,
            Some(part) => self.parts[part as usize].next[usize::from(byte & 0x3F)],
        }
    }

    /// The classes of the characters that begin so.
    pub fn classes(&self, part: PartId) -> Arc<[Class]> {
        Arc::clone(&self.parts[part as usize].classes)
    }

    /// A character of each class.
    pub fn samples(&self) -> &[u32] {
        &self.samples
    }

    /// A character of a class.
    pub fn sample(&self, class: Class) -> u32 {
        self.samples[class as usize]
    }
}

struct Building<F> {
    characters: Characters,
    class: F,
    classes: HashMap<u128, Class>,
    parts: HashMap<[After; 64], PartId>,
    /// The class of the character before: neighbours are often alike.
    last: Option<(u128, Class)>,
}

impl<F: Fn(char) -> Option<u128>> Building<F> {
    /// What leads to the code points from `code` on, of which so many bits are open and none is
    /// below `least`.
    fn after(&mut self, code: u32, open: u32, least: u32) -> After {
        if open == 0 {
            return self.whole(code, least);
        }
        let next = std::array::from_fn(|byte| {
            self.after(code | (byte as u32) << (open - 6), open - 6, least)
        });
        if next == [After::Nothing; 64] {
            return After::Nothing;
        }
        if let Some(&known) = self.parts.get(&next) {
            return After::Part(known);
        }
        let parts = &mut self.characters.parts;
        let mut classes = Vec::new();
        for after in &next {
            match *after {
                After::Nothing => {}
                After::Whole(class) => classes.push(class),
                After::Part(part) => classes.extend_from_slice(&parts[part as usize].classes),
            }
        }
        classes.sort_unstable();
        classes.dedup();
        let id = parts.len() as PartId;
        parts.push(Part { next, classes: classes.into() });
        self.parts.insert(next, id);
        After::Part(id)
    }

    fn whole(&mut self, code: u32, least: u32) -> After {
        let known = char::from_u32(code).filter(|_| code >= least);
        let Some(class) = known.and_then(|char| (self.class)(char)) else { return After::Nothing };
        if let Some((_, id)) = self.last.filter(|last| last.0 == class) {
            return After::Whole(id);
        }
        let samples = &mut self.characters.samples;
        let id = *self.classes.entry(class).or_insert_with(|| {
            samples.push(code);
            samples.len() as Class - 1
        });
        self.last = Some((class, id));
        After::Whole(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(char: char) -> Option<u128> {
        let alone = char.is_alphabetic() || char.is_numeric();
        (char != 'q').then_some(u128::from(alone) + 2 * u128::from(u32::from(char) % 1000 == 7))
    }

    #[test]
    fn every_character_is_of_its_class_and_nothing_else_is_one() {
        let characters = Characters::new(class);
        for code in 0..=0x10_FFFF {
            let Some(char) = char::from_u32(code) else { continue };
            let mut buffer = [0; 4];
            let mut part = None;
            let mut found = After::Nothing;
            for &byte in char.encode_utf8(&mut buffer).as_bytes() {
                found = characters.after(part, byte);
                part = match found {
                    After::Part(part) => Some(part),
                    _ => None,
                };
            }
            let expected = class(char);
            match found {
                After::Whole(id) => {
                    let sample = char::from_u32(characters.sample(id)).expect("a character");
                    assert_eq!(class(sample), expected);
                    assert!(expected.is_some());
                }
                _ => assert_eq!(expected, None, "{char:?} leads to {found:?}"),
            }
        }
        assert_eq!(characters.samples().len(), 4);
    }

    #[test]
    fn what_is_not_utf_8_leads_to_nothing() {
        let characters = Characters::new(|_| Some(0));
        let follow = |bytes: &[u8]| {
            bytes.iter().try_fold(None, |part, &byte| match characters.after(part, byte) {
                After::Part(part) => Some(Some(part)),
                _ => None,
            })
        };
        for wrong in [&b"\x80"[..], b"\xC0", b"\xC1", b"\xF5", b"\xFF", b"\xC3A", b"\xE0\x9F"] {
            assert_eq!(follow(wrong), None, "{wrong:x?}");
        }
        for wrong in [&b"\xED\xA0"[..], b"\xF0\x8F", b"\xF4\x90", b"\xE2\xC3", b"\xF0\x9F\xC3"] {
            assert_eq!(follow(wrong), None, "{wrong:x?}");
        }
        assert!(follow(b"\xF4\x8F\xBF").is_some() && follow(b"\xED\x9F").is_some());
        assert_eq!(characters.samples(), [0]);
        // One for each number of bytes that are left, and those that not all bytes may follow.
        assert_eq!(characters.parts.len(), 7);
    }
}
