//! The text field of JSON Lines, without building objects.
//!
//! Every line of a block is one JSON object; the string at one top-level key goes into a flat
//! arena. Other values are skipped unread, without recursion. A key that stands twice counts
//! where it stands last, as in Python. Cost: one pass; a string without escapes is copied once.
//! Where the key names the line, a number or a boolean is a name too, as it is written.

use std::fmt;
use std::iter;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::{Error, Result};

/// What to do with a line whose field is absent; null is a row without a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It becomes such a row.
    Null,
    /// It is an error.
    Refuse,
}

/// The texts of a block, one row for every line that is not blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    /// The bytes of all texts.
    pub values: Vec<u8>,
    /// Row `i` is `values[offsets[i]..offsets[i + 1]]`.
    pub offsets: Vec<u64>,
    /// Whether the row has a text.
    pub valid: Vec<bool>,
}

/// Reads the texts at the top-level key `field` of every line of `block`, which holds whole
/// lines; `first_line` is the number of its first line, counted from 1 in the file.
///
/// # Errors
/// A line that is not a JSON object, a field that holds something else than text, a lone
/// surrogate in it, or a missing field where that is refused; with line and column.
pub fn texts(block: &[u8], field: &str, first_line: u64, missing: Missing) -> Result<Texts> {
    read(block, field, first_line, missing, Wanted::Text)
}

/// Reads what names every line, as `texts` does; absent and null are no name.
///
/// # Errors
/// A line that is not a JSON object, a field that holds an object or an array, or a lone surrogate
/// in it; with line and column.
pub fn names(block: &[u8], field: &str, first_line: u64) -> Result<Texts> {
    read(block, field, first_line, Missing::Null, Wanted::Name)
}

fn read(
    block: &[u8],
    field: &str,
    first_line: u64,
    missing: Missing,
    wanted: Wanted,
) -> Result<Texts> {
    let mut texts = Texts { values: Vec::new(), offsets: vec![0], valid: Vec::new() };
    let block = if first_line == 1 { without_mark(block) } else { block };
    for (number, line) in (first_line..).zip(lines(block)) {
        if line.iter().all(|byte| b" \t\r".contains(byte)) {
            continue;
        }
        let start = texts.values.len();
        let found = read_line(line, field, wanted, &mut texts.values)
            .map_err(|reason| Error::Data(format!("line {number}: {}", shown(&reason, field))))?;
        if found.is_none() && missing == Missing::Refuse {
            return Err(Error::Data(format!("line {number}: no field '{field}'")));
        }
        let found = found == Some(true);
        if !found {
            texts.values.truncate(start);
        }
        texts.valid.push(found);
        texts.offsets.push(texts.values.len() as u64);
    }
    Ok(texts)
}

/// A byte order mark may open a file.
fn without_mark(block: &[u8]) -> &[u8] {
    block.strip_prefix(b"\xef\xbb\xbf").unwrap_or(block)
}

/// The lines of a block without their line feeds; the last may lack its own.
fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = block;
    iter::from_fn(move || {
        let end = memchr::memchr(b'\n', rest).or((!rest.is_empty()).then_some(rest.len()))?;
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        Some(line)
    })
}

/// What the field holds.
#[derive(Clone, Copy)]
enum Wanted {
    Text,
    Name,
}

/// Appends the text of one line to `values`; `false` when the field is null, none when it is absent.
fn read_line(
    line: &[u8],
    field: &str,
    wanted: Wanted,
    values: &mut Vec<u8>,
) -> serde_json::Result<Option<bool>> {
    let mut reader = serde_json::Deserializer::from_slice(line);
    let found = reader.deserialize_map(Line { field, wanted, values })?;
    reader.end()?;
    Ok(found)
}

fn shown(reason: &serde_json::Error, field: &str) -> String {
    let place = format!(" at line {} column {}", reason.line(), reason.column());
    let full = reason.to_string();
    let what = full.strip_suffix(&place).unwrap_or(&full);
    let column = reason.column();
    // serde_json says only where the second half of a pair should have been.
    if what.contains("surrogate") || what.starts_with("unexpected end of hex escape") {
        return format!("column {column}: the text of {field:?} has a lone surrogate escape");
    }
    format!("column {column}: {what}")
}

/// Reads an object and keeps one of its strings.
struct Line<'a> {
    field: &'a str,
    wanted: Wanted,
    values: &'a mut Vec<u8>,
}

impl<'de> Visitor<'de> for Line<'_> {
    type Value = Option<bool>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<bool>, A::Error> {
        let start = self.values.len();
        let mut found = None;
        while let Some(is_field) = map.next_key_seed(Key(self.field))? {
            if is_field {
                self.values.truncate(start);
                found = Some(match self.wanted {
                    Wanted::Text => {
                        map.next_value_seed(Text { field: self.field, values: self.values })?
                    }
                    Wanted::Name => name(map.next_value::<&RawValue>()?, self.field, self.values)
                        .map_err(A::Error::custom)?,
                });
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Whether a key is the wanted one. Read as bytes, so that another key may hold anything.
struct Key<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<bool, D::Error> {
        value.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E>(self, key: &[u8]) -> Result<bool, E> {
        Ok(key == self.0.as_bytes())
    }
}

/// Appends a string; `false` for null.
struct Text<'a> {
    field: &'a str,
    values: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<bool, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Text<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a string in the field {:?}", self.field)
    }

    fn visit_str<E>(self, text: &str) -> Result<bool, E> {
        self.values.extend_from_slice(text.as_bytes());
        Ok(true)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }
}

/// Appends what names a line: a string, or a number or a boolean as it is written; `false` for null.
fn name(value: &RawValue, field: &str, values: &mut Vec<u8>) -> Result<bool, String> {
    let written = value.get();
    match written.as_bytes().first() {
        Some(b'"') => {
            let text: String = serde_json::from_str(written).map_err(|error| error.to_string())?;
            values.extend_from_slice(text.as_bytes());
        }
        Some(b'n') => return Ok(false),
        Some(b'{' | b'[') | None => {
            return Err(format!("expected a string, a number or a boolean in the field {field:?}"));
        }
        Some(_) => values.extend_from_slice(written.as_bytes()),
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::Range;

    use proptest::prelude::*;
    use serde_json::Value;

    fn rows(block: &str) -> Vec<Option<String>> {
        let texts = texts(block.as_bytes(), "text", 1, Missing::Null).expect("the block is sound");
        let spans = texts.offsets.windows(2).map(|span| span[0] as usize..span[1] as usize);
        let row =
            |(span, &valid): (Range<usize>, &bool)| valid.then(|| texts.values[span].to_vec());
        let rows = spans.zip(&texts.valid).map(row);
        rows.map(|row| row.map(|text| String::from_utf8(text).expect("JSON is UTF-8"))).collect()
    }

    fn refused(block: impl AsRef<[u8]>) -> String {
        match texts(block.as_ref(), "text", 17, Missing::Refuse) {
            Err(Error::Data(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    fn row(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn blank_lines_are_no_rows_and_absent_or_null_fields_are_null_rows() {
        let block = "\n{\"text\":\"a\"}\r\n \t\r\n{}\n{\"text\":null}\n{\"text\":\"\"}";
        assert_eq!(rows(block), [row("a"), None, None, row("")]);
        assert_eq!(rows(""), []);
        assert_eq!(rows("\u{feff}{\"text\":\"x\"}"), [row("x")]);
    }

    #[test]
    fn null_is_not_absent() {
        let read = |line: &str| texts(line.as_bytes(), "text", 17, Missing::Refuse);
        assert_eq!(read(r#"{"text":null}"#).map(|texts| texts.valid), Ok(vec![false]));
        let told = Error::Data("line 17: no field 'text'".to_owned());
        assert_eq!(read(r#"{"other":null}"#), Err(told));
    }

    #[test]
    fn names_are_strings_numbers_and_booleans() {
        let named = |id: &str| {
            let line =
                format!(r#"{{"id":0,"x":{}{},"id" : {id} }}"#, "[".repeat(999), "]".repeat(999));
            let found = names(line.as_bytes(), "id", 17)?;
            Ok::<_, Error>(found.valid[0].then(|| String::from_utf8(found.values).expect("UTF-8")))
        };
        for id in ["1", "-0.0", "1e999", "true", "false", "123456789012345678901234567890"] {
            assert_eq!(named(id), Ok(row(id)));
        }
        assert_eq!(named(r#""a\u00e9""#), Ok(row("aé")));
        assert_eq!(named("null"), Ok(None));
        for (id, reason) in [
            (r#""\ud800""#, "lone surrogate"),
            (r#""\udc00x""#, "lone surrogate"),
            ("{}", "expected a string, a number or a boolean in the field \"id\""),
            ("[1]", "expected a string, a number or a boolean in the field \"id\""),
            ("01", "column"),
        ] {
            let told = named(id).expect_err("no name").to_string();
            assert!(told.contains("line 17: column ") && told.contains(reason), "{id}: {told}");
        }
        let other = b"{\"id\":1,\"x\":\"\xff\\ud800\"}\n\n{}";
        assert_eq!(names(other, "id", 1).map(|found| found.valid), Ok(vec![true, false]));
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        assert_eq!(rows(r#"{"text":"a","x":1,"text":"b"}"#), [row("b")]);
        assert_eq!(rows(r#"{"text":"a","text":null}"#), [None]);
        assert_eq!(rows(r#"{"te\u0078t":"a","text2":"b"}"#), [row("a")]);
        assert_eq!(rows(r#"{"x":{"text":"inner"},"text":"a"}"#), [row("a")]);
    }

    #[test]
    fn other_values_may_nest_deeper_than_a_stack_and_hold_lone_surrogates() {
        let deep = "[".repeat(300_000) + &"]".repeat(300_000);
        let block = format!(r#"{{"\ud800":{deep},"x":"\udc00","text":"a"}}"#);
        assert_eq!(rows(&block), [row("a")]);
        assert!(refused(format!(r#"{{"text":{deep}}}"#)).contains("line 17"));
    }

    #[test]
    fn errors_name_line_column_and_reason() {
        let good = "{\"text\":\"a\"}\n\n";
        assert_eq!(refused(format!("{good}{{}}")), "line 19: no field 'text'");
        for (line, reasons) in [
            (r#"{"text":"a\ud800"}"#, ["column 1", "lone surrogate"]),
            (r#"{"text":"a\udc00b"}"#, ["column 1", "lone surrogate"]),
            (r#"{"text":"a\ud800\u0041"}"#, ["column 2", "lone surrogate"]),
            (r#"{"text":7}"#, ["column 9", "expected a string in the field \"text\""]),
            (r#"{"text":["a"]}"#, ["column 9", "expected a string in the field \"text\""]),
            (r#"["a"]"#, ["column 0", "expected a JSON object"]),
            (r#"{"text":"a"} {}"#, ["column 14", "trailing characters"]),
            (r#"{"text":"a"#, ["column 10", "EOF"]),
            (r#"{"text":"a",}"#, ["column 13", "trailing comma"]),
        ] {
            let reason = refused(format!("{good}{line}\n"));
            assert!(reason.starts_with("line 19: column "), "{reason}");
            assert!(reasons.iter().all(|part| reason.contains(part)), "{line}: {reason}");
        }
        assert!(refused(b"{\"text\":\"\xff\"}").contains("invalid unicode code point"));
    }

    /// A string literal of JSON in one of the ways that writers choose.
    fn literal(text: &str, escaped: bool) -> String {
        if !escaped {
            return Value::from(text).to_string();
        }
        let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
        format!("\"{}\"", units.collect::<String>())
    }

    fn member() -> impl Strategy<Value = String> {
        let key = prop_oneof![3 => Just("text".to_owned()), 1 => "te?xt?", 1 => "\\PC{0,3}"];
        let text = ("[a\"\\\\/\n\t\u{0}é\u{ffff}\u{1f600}]{0,9}", any::<bool>());
        let other = prop_oneof![
            Just("null".to_owned()),
            Just(r#"{"text":["x",{"text":"y"},-1.5e3,true]}"#.to_owned()),
        ];
        let value = prop_oneof![3 => text.prop_map(|(t, e)| literal(&t, e)), 1 => other];
        (key, any::<bool>(), value).prop_map(|(k, e, v)| format!("{} : {v}", literal(&k, e)))
    }

    proptest! {
        #[test]
        fn rows_are_what_a_full_parse_finds(
            lines in prop::collection::vec(prop::collection::vec(member(), 0..5), 0..5)
        ) {
            let lines: Vec<_> = lines.iter().map(|line| format!("{{{}}}", line.join(","))).collect();
            let parsed = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
            let expected: Vec<_> = parsed.map(|mut line| line["text"].take()).collect();
            let found = texts(lines.join("\n").as_bytes(), "text", 1, Missing::Null);
            if expected.iter().any(Value::is_object) {
                prop_assert!(found.is_err());
            } else if found.is_ok() {
                let expected: Vec<_> = expected.iter().map(|v| v.as_str().map(str::to_owned)).collect();
                prop_assert_eq!(rows(&lines.join("\n")), expected);
            } else {
                // An object that a later key of the same name replaces is refused all the same.
                prop_assert!(lines.iter().any(|line| line.contains("[\"x\"")));
            }
        }
    }
}
