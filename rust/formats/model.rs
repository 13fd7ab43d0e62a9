//! The vocabulary and the merges of a `tokenizer.json`, merges as ids.
//!
//! Only what is plain is read here: token strings to ids, each once, and merges of known tokens.
//! Of everything else, errors included, the reader in Python says what it is. Two passes over the
//! file and one hash table, less than 0.1 s for 150,000 tokens.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use memchr::memmem;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::key;
use crate::token::{MAX_IDS, TokenId};

/// No string of a vocabulary is longer here; those that may be are left to the other reader.
const MAX_TOKEN_BYTES: usize = 1 << 16;

/// Merges of the old format may begin with a line that is none.
const NOT_A_MERGE: &str = "#version";

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Model<'a> {
    /// The file with `{}` for the vocabulary and `[]` for the merges.
    pub rest: String,
    /// Token strings and their ids in the order of the file; no string and no id twice.
    pub vocab: Vec<(Cow<'a, str>, TokenId)>,
    /// Left id, right id and product id of each merge, in rank order.
    pub merges: Vec<[TokenId; 3]>,
}

/// The model of a file, or nothing where it has none or not a plain one.
pub fn parse_model(file: &[u8]) -> Option<Model<'_>> {
    // Other formats that are JSON too are large, and this is quick.
    memmem::find(file, b"\"model\"")?;
    let file = std::str::from_utf8(file).ok()?;
    let root: Root = serde_json::from_str(file).ok()?;
    let (vocab, merges) = (root.model.vocab.get(), root.model.merges.get());
    let rest = without(file, [(vocab, "{}"), (merges, "[]")]);
    let Vocab(vocab) = serde_json::from_str(vocab).ok()?;
    let merges = look_up(merges, &vocab)?;
    Some(Model { rest, vocab, merges })
}

#[derive(serde::Deserialize)]
struct Root<'a> {
    #[serde(borrow)]
    model: Parts<'a>,
}

#[derive(serde::Deserialize)]
struct Parts<'a> {
    #[serde(borrow)]
    vocab: &'a RawValue,
    #[serde(borrow)]
    merges: &'a RawValue,
}

/// The file with other text for two of its parts.
fn without(file: &str, mut parts: [(&str, &str); 2]) -> String {
    let place = |part: &str| part.as_ptr().addr() - file.as_ptr().addr();
    parts.sort_by_key(|(part, _)| place(part));
    let mut rest = String::new();
    let mut from = 0;
    for (part, instead) in parts {
        rest.push_str(&file[from..place(part)]);
        rest.push_str(instead);
        from = place(part) + part.len();
    }
    rest.push_str(&file[from..]);
    rest
}

/// A string of the file, copied only where it has escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

/// The entries in the order of the file; whether one stands there twice is not yet known.
struct Vocab<'a>(Vec<(Cow<'a, str>, TokenId)>);

impl<'de: 'a, 'a> Deserialize<'de> for Vocab<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(VocabVisitor)
    }
}

struct VocabVisitor;

impl<'de> Visitor<'de> for VocabVisitor {
    type Value = Vocab<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vocab<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some((Text(text), id)) = map.next_entry()? {
            if text.len() > MAX_TOKEN_BYTES {
                return Err(A::Error::custom("a long token"));
            }
            entries.push((text, id));
        }
        Ok(Vocab(entries))
    }
}

/// Places in the vocabulary by string.
type Index<'a> = HashMap<&'a str, usize, BuildHasherDefault<StringHash>>;

/// The hash of vocabularies, which is a few times faster than the standard one.
#[derive(Default)]
struct StringHash(u64);

impl Hasher for StringHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 ^= key::hash(bytes);
    }

    fn write_u8(&mut self, _end_of_string: u8) {}
}

/// The way from strings to ids, unless a string or an id stands there twice or an id is too large.
fn index<'a>(vocab: &'a [(Cow<'_, str>, TokenId)]) -> Option<Index<'a>> {
    let ids = || vocab.iter().map(|&(_, id)| id as usize);
    let mut seen = vec![false; ids().max().filter(|&id| id < MAX_IDS).map_or(0, |id| id + 1)];
    for id in ids() {
        if std::mem::replace(seen.get_mut(id)?, true) {
            return None;
        }
    }
    let index: Index<'_> = vocab.iter().enumerate().map(|(at, (text, _))| (&**text, at)).collect();
    (index.len() == vocab.len()).then_some(index)
}

/// The merges as ids, from `"a b"` or from `["a", "b"]`.
fn look_up(merges: &str, vocab: &[(Cow<'_, str>, TokenId)]) -> Option<Vec<[TokenId; 3]>> {
    let mut rows = Rows { vocab, index: index(vocab)?, next: 0, joined: String::new() };
    if merges.strip_prefix('[')?.trim_start().starts_with('[') {
        let pairs: Vec<(Text<'_>, Text<'_>)> = serde_json::from_str(merges).ok()?;
        return pairs.iter().map(|(Text(left), Text(right))| rows.row(left, right)).collect();
    }
    let lines: Vec<Text<'_>> = serde_json::from_str(merges).ok()?;
    let lines = lines.iter().map(|Text(line)| line.as_ref());
    let merge = |line: &str| {
        let (left, right) = line.split_once(' ')?;
        if right.contains(' ') { None } else { rows.row(left, right) }
    };
    lines.filter(|line| !line.starts_with(NOT_A_MERGE)).map(merge).collect()
}

/// Looks merges up.
struct Rows<'a> {
    vocab: &'a [(Cow<'a, str>, TokenId)],
    index: Index<'a>,
    /// Behind the last product. Trainings write their tokens in the order of their merges, so
    /// mostly the next product is there, and to compare it is quicker than to look for it.
    next: usize,
    joined: String,
}

impl Rows<'_> {
    fn row(&mut self, left: &str, right: &str) -> Option<[TokenId; 3]> {
        self.joined.clear();
        self.joined.push_str(left);
        self.joined.push_str(right);
        let product = match self.vocab.get(self.next) {
            Some((text, _)) if *text == self.joined => self.next,
            _ => *self.index.get(self.joined.as_str())?,
        };
        self.next = product + 1;
        let id = |at: usize| self.vocab[at].1;
        Some([id(*self.index.get(left)?), id(*self.index.get(right)?), id(product)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOCAB: &str = r#"{"a": 0, "\u0062": 1, "ab": 2, "abb": 5}"#;

    fn file(vocab: &str, merges: &str) -> String {
        format!(r#"{{"x": [1e3], "model": {{"merges": {merges}, "y": "é", "vocab": {vocab}}}}}"#)
    }

    #[test]
    fn merges_of_both_formats_become_ids() {
        for merges in [r##"["#version: 2", "a b", "ab b"]"##, r#"[ ["a", "\u0062"], ["ab", "b"]]"#]
        {
            let file = file(VOCAB, merges);
            let model = parse_model(file.as_bytes()).expect("plain");
            assert_eq!(model.merges, [[0, 1, 2], [2, 1, 5]]);
            let vocab: Vec<_> = model.vocab.iter().map(|(text, id)| (text.as_ref(), *id)).collect();
            assert_eq!(vocab, [("a", 0), ("b", 1), ("ab", 2), ("abb", 5)]);
            let rest = r#"{"x": [1e3], "model": {"merges": [], "y": "é", "vocab": {}}}"#;
            assert_eq!(model.rest, rest);
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_other_reader() {
        assert!(parse_model(file(VOCAB, "[]").as_bytes()).is_some());
        let vocabularies = [
            r#"{"a": 0, "a": 1}"#,
            r#"{"a": 0, "b": 0}"#,
            r#"{"a": 2097151}"#,
            r#"{"a": -1}"#,
            r#"{"a": 1.0}"#,
            r#"{"a": true}"#,
            r#"{"\ud800": 0}"#,
            r#"[["a", 0]]"#,
            "null",
        ];
        for vocab in vocabularies {
            assert_eq!(parse_model(file(vocab, "[]").as_bytes()), None, "{vocab}");
        }
        let merges = [
            r#"["a"]"#,
            r#"["a b "]"#,
            r#"["a c"]"#,
            r#"["b a"]"#,
            r#"[["a", "b", "b"]]"#,
            r#"[["a", 1]]"#,
            r#"["a b", ["ab", "b"]]"#,
            r#"[["ab", "b"], "a b"]"#,
            "null",
            "{}",
        ];
        for merges in merges {
            assert_eq!(parse_model(file(VOCAB, merges).as_bytes()), None, "{merges}");
        }
        for file in ["", "{}", r#"{"model": 1}"#, r#"{"model": {}, "model": {}}"#, "\u{FEFF}{}"] {
            assert_eq!(parse_model(file.as_bytes()), None, "{file}");
        }
        assert_eq!(parse_model(b"{\"model\": \"\xFF\"}"), None);
    }
}
