//! Text normalization with alignment to the original bytes.

use std::borrow::Cow;

use crate::{Error, Result};

/// One step of a normalizer.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Step {
    /// A space before each text.
    Prefix { content: String },
}

/// A normalizer; for now, only that which changes nothing.
#[derive(Debug)]
pub struct Normalizer;

impl Normalizer {
    /// Refuses every step.
    pub fn new(steps: &[Step]) -> Result<Self> {
        match steps {
            [] => Ok(Self),
            _ => Err(Error::Definition("normalizer steps are not supported".into())),
        }
    }

    /// True.
    pub fn is_identity(&self) -> bool {
        true
    }

    /// The text itself.
    pub fn normalize<'a>(&self, text: &'a [u8], _at_start: bool) -> Result<Cow<'a, [u8]>> {
        Ok(Cow::Borrowed(text))
    }

    /// The text itself.
    pub fn normalize_aligned(&self, text: &[u8], _at: bool) -> Result<(Vec<u8>, Vec<usize>)> {
        Ok((text.to_vec(), (0..=text.len()).collect()))
    }
}
