//! A set of places, one bit each.

use std::ops::Range;

use super::sorted::Place;

/// A set of the places of a vocabulary.
#[derive(Debug, Clone)]
pub(super) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    /// The empty set of a vocabulary of `len` places.
    pub fn none(len: usize) -> Bits {
        Bits { words: vec![0; len.div_ceil(64)] }
    }

    /// Bytes that the set takes.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.words[..])
    }

    pub fn insert(&mut self, place: Place) {
        self.words[place as usize / 64] |= 1 << (place % 64);
    }

    pub fn remove(&mut self, place: Place) {
        self.words[place as usize / 64] &= !(1 << (place % 64));
    }

    pub fn has(&self, place: Place) -> bool {
        self.words[place as usize / 64] >> (place % 64) & 1 == 1
    }

    pub fn add(&mut self, other: &Bits) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    /// Takes out what is not in the other.
    pub fn keep(&mut self, other: &Bits) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
    }

    /// Whether any place of the range is in the set.
    pub fn any(&self, range: &Range<Place>) -> bool {
        let (first, last) = (range.start as usize / 64, range.end as usize / 64);
        let from = u64::MAX << (range.start % 64);
        let to = !(u64::MAX << (range.end % 64));
        if range.is_empty() {
            return false;
        }
        if first == last {
            return self.words[first] & from & to != 0;
        }
        self.words[first] & from != 0
            || self.words[first + 1..last].iter().any(|&word| word != 0)
            || (to != 0 && self.words[last] & to != 0)
    }

    /// Calls `visit` with each place of the range that is not in the set.
    pub fn each_missing(&self, range: &Range<Place>, mut visit: impl FnMut(Place)) {
        let mut at = range.start;
        while at < range.end {
            let base = at / 64 * 64;
            let mut missing = !self.words[at as usize / 64] & u64::MAX << (at % 64);
            if range.end - base < 64 {
                missing &= !(u64::MAX << (range.end - base));
            }
            while missing != 0 {
                visit(base + missing.trailing_zeros());
                missing &= missing - 1;
            }
            at = base + 64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_asked_as_place_by_place() {
        let mut bits = Bits::none(200);
        for place in [0, 3, 63, 64, 65, 130, 199] {
            bits.insert(place);
        }
        bits.remove(65);
        for start in 0..=200 {
            for end in start..=200 {
                let range = start..end;
                assert_eq!(bits.any(&range), range.clone().any(|place| bits.has(place)));
                let mut missing = Vec::new();
                bits.each_missing(&range, |place| missing.push(place));
                let expected: Vec<_> = range.filter(|&place| !bits.has(place)).collect();
                assert_eq!(missing, expected);
            }
        }
    }
}
