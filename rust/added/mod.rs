//! Added tokens: matching them in text.

use crate::{Error, Result};

/// A token whose text is matched before the model sees it.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct AddedToken {
    pub id: u32,
    pub content: String,
    pub single_word: bool,
    pub lstrip: bool,
    pub rstrip: bool,
    pub normalized: bool,
    pub special: bool,
}

/// A match of an added token.
#[derive(Debug, Clone, Copy)]
pub struct Match {
    pub start: usize,
    pub end: usize,
    pub id: u32,
}

/// A matcher; for now, only that of no tokens.
#[derive(Debug)]
pub struct Matcher;

impl Matcher {
    /// Refuses every token.
    pub fn new<'a>(mut tokens: impl Iterator<Item = &'a AddedToken>) -> Result<Self> {
        match tokens.next() {
            None => Ok(Self),
            Some(_) => Err(Error::Definition("added tokens are not supported".into())),
        }
    }

    /// No match.
    pub fn find_from(&self, _text: &[u8], _at: usize) -> Option<Match> {
        None
    }
}
