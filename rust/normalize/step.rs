//! The steps of a normalizer as a tokenizer definition writes them.

use serde::Deserialize;

/// One step; steps are applied in order, each to the whole result of the one before.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Step {
    /// Canonical composition.
    Nfc,
    /// Canonical decomposition.
    Nfd,
    /// Compatibility composition.
    Nfkc,
    /// Compatibility decomposition.
    Nfkd,
    /// Lower case, one character at a time.
    Lowercase,
    /// Removal of marks.
    StripAccents,
    /// Removal of control characters; separators become spaces.
    Nmt,
    /// Replacement of every match.
    Replace(Replace),
    /// A string put before every text that is not empty.
    Prepend { content: String },
    /// Removal of white space at the ends.
    Strip { left: bool, right: bool },
    /// Rules compiled by SentencePiece; the longest match wins.
    Charsmap { base64: String },
    /// A string put before a segment, under conditions.
    Prefix(Prefix),
    /// Plain spaces at both ends removed, runs of them made one.
    CollapseSpaces,
}

impl Step {
    /// Whether the step only adds something to the start of a text.
    pub fn opens(&self) -> bool {
        matches!(self, Step::Prepend { .. } | Step::Prefix(_))
    }

    /// Whether normalizing the two sides of a border between an ASCII letter and a space before
    /// another letter gives what normalizing the whole gives. No character composes with a space
    /// or reorders across an ASCII letter; steps that look at the ends of a text are not of them.
    pub fn cuts_at_words(&self) -> bool {
        match self {
            Step::Nfc | Step::Nfd | Step::Nfkc | Step::Nfkd => true,
            Step::Lowercase | Step::StripAccents | Step::Nmt => true,
            // What leaves letters and spaces alone leaves the border alone, whatever comes after.
            Step::Replace(Replace { pattern: Pattern::String(string), .. }) => {
                let at_border = |c: char| c.is_ascii_alphabetic() || c == ' ';
                !string.is_empty() && !string.contains(at_border)
            }
            _ => false,
        }
    }
}

/// What to replace, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "ReplaceFields")]
pub struct Replace {
    pub pattern: Pattern,
    pub content: String,
}

/// What a replacement looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    String(String),
    Regex(String),
}

/// A prefix and its conditions. An empty segment gets none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Prefix {
    pub content: String,
    pub unless: Unless,
    pub scope: Scope,
}

/// What a segment begins with that makes a prefix superfluous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unless {
    /// The prefix itself.
    Content,
    /// Nothing does.
    Never,
}

/// Which segments get a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Only one whose first byte comes from the very start of the text.
    First,
    /// Every segment.
    Every,
}

#[derive(Deserialize)]
struct ReplaceFields {
    string: Option<String>,
    regex: Option<String>,
    content: String,
}

impl TryFrom<ReplaceFields> for Replace {
    type Error = String;

    fn try_from(fields: ReplaceFields) -> Result<Self, String> {
        let pattern = match (fields.string, fields.regex) {
            (Some(string), None) => Pattern::String(string),
            (None, Some(regex)) => Pattern::Regex(regex),
            _ => return Err("replace: exactly one of `string` and `regex` is allowed".into()),
        };
        Ok(Self { pattern, content: fields.content })
    }
}
