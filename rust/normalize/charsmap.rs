//! SentencePiece's compiled rules: the longest key that the text continues with is replaced.
//!
//! Layout: the size of the trie in bytes (u32), the trie, then the replacements, each ended by a
//! zero byte. The trie is a double array of the `darts-clone` library: a node's children are
//! found by XOR of its offset with the byte, and a node that ends a key has the value at its
//! offset. All numbers are little-endian. Cost: the length of the longest key at every character.
//!
//! `tokenizers` reads the same rules otherwise: it takes grapheme clusters below 6 bytes as a
//! whole, else characters, and replaces each by the rule of the *shortest* key it begins with.
//! That is another step, which this one does not stand for.

use std::str;

use super::edits::Edits;
use crate::error::{Error, Result, Watch};
use crate::utf8::valid_runs;

/// A set of rules.
#[derive(Debug)]
pub(super) struct Charsmap {
    units: Vec<u32>,
    replacements: Vec<u8>,
}

impl Charsmap {
    pub fn from_base64(text: &str) -> Result<Self> {
        Self::new(&decode_base64(text)?)
    }

    fn new(data: &[u8]) -> Result<Self> {
        let broken = |reason: &str| Error::Definition(format!("charsmap: {reason}"));
        let (header, body) =
            data.split_first_chunk::<4>().ok_or_else(|| broken("the header is cut off"))?;
        let trie_size = usize::try_from(u32::from_le_bytes(*header))
            .map_err(|_| broken("the trie is larger than memory"))?;
        let (trie, replacements) = body.split_at_checked(trie_size).ok_or_else(|| {
            broken(&format!("a trie of {trie_size} bytes in {} bytes", body.len()))
        })?;
        let (units, rest) = trie.as_chunks::<4>();
        if units.is_empty() || !rest.is_empty() {
            return Err(broken(&format!("a trie of {trie_size} bytes is not whole units of 4")));
        }
        if str::from_utf8(replacements).is_err() {
            return Err(broken("the replacements are not UTF-8"));
        }
        let units = units.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
        Ok(Self { units, replacements: replacements.to_vec() })
    }

    /// Whether a rule may write two spaces in a row, which SentencePiece does not collapse.
    pub fn writes_double_spaces(&self) -> bool {
        memchr::memmem::find(&self.replacements, b"  ").is_some()
    }

    pub fn apply(&self, edits: &mut Edits<'_, '_>) {
        for (base, run) in valid_runs(edits.text()) {
            let mut at = 0;
            let mut pause = Watch::next_pause(0);
            while edits.watch.passes(at, &mut pause)
                && let Some(char) = run[at..].chars().next()
            {
                let mut len = char.len_utf8();
                if let Some((matched, with)) = self.longest_rule(&run.as_bytes()[at..]) {
                    len = matched;
                    edits.replace(base + at..base + at + len, with);
                }
                at += len;
            }
        }
    }

    /// The longest key that `text` begins with: its length and its replacement.
    fn longest_rule(&self, text: &[u8]) -> Option<(usize, &[u8])> {
        let mut node = offset(self.units[0]);
        let mut found = None;
        for (index, &byte) in text.iter().enumerate() {
            let child = node ^ usize::from(byte);
            // A damaged trie may point anywhere; outside of it there is no rule.
            let Some(&unit) = self.units.get(child).filter(|&&unit| has_label(unit, byte)) else {
                break;
            };
            node = child ^ offset(unit);
            if has_value(unit) {
                found = self.replacement(node).map(|with| (index + 1, with)).or(found);
            }
        }
        found.filter(|&(len, _)| str::from_utf8(&text[..len]).is_ok())
    }

    fn replacement(&self, node: usize) -> Option<&[u8]> {
        let value = self.units.get(node)? & !(1 << 31);
        let rest = self.replacements.get(usize::try_from(value).ok()?..)?;
        rest.get(..memchr::memchr(0, rest)?)
    }
}

fn offset(unit: u32) -> usize {
    let offset = (unit >> 10) << ((unit & 1 << 9) >> 6);
    usize::try_from(offset).unwrap_or(usize::MAX)
}

fn has_label(unit: u32, byte: u8) -> bool {
    unit & (1 << 31 | 0xff) == u32::from(byte)
}

fn has_value(unit: u32) -> bool {
    unit >> 8 & 1 == 1
}

fn decode_base64(text: &str) -> Result<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 3);
    let mut pending = 0u32;
    for (index, &digit) in digits.iter().enumerate() {
        let value = base64_digit(digit).ok_or_else(|| {
            Error::Definition(format!("charsmap: byte {index} is no Base64 digit"))
        })?;
        pending = pending << 6 | value;
        if index % 4 != 0 {
            // The bits above the newest whole byte were written before.
            let [.., byte] = (pending >> (6 - 2 * (index % 4))).to_be_bytes();
            bytes.push(byte);
        }
    }
    if !text.len().is_multiple_of(4) || digits.len() % 4 == 1 || text.len() - digits.len() > 2 {
        return Err(Error::Definition("charsmap: the Base64 text is cut off".into()));
    }
    Ok(bytes)
}

fn base64_digit(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_gives_the_vectors_of_rfc_4648() {
        for (text, bytes) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar")]
        {
            assert_eq!(decode_base64(text).as_deref(), Ok(bytes.as_bytes()));
        }
        for broken in ["Z", "Zg", "Zg=", "Z===", "Zm9v====", "Zm 9"] {
            assert!(decode_base64(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_damaged_map_is_refused_or_harmless() {
        assert!(Charsmap::new(b"\x04\0\0").is_err());
        assert!(Charsmap::new(b"\x08\0\0\0abcd").is_err());
        assert!(Charsmap::new(b"\x03\0\0\0abc").is_err());
        let far = Charsmap::new(b"\x04\0\0\0\xff\xff\xff\x7f").expect("one unit is a trie");
        let mut go_on = || Ok(());
        let mut edits = Edits::new(b"text \xff", &mut go_on);
        far.apply(&mut edits);
        assert!(edits.finish().expect("never stopped").is_none());
    }
}
