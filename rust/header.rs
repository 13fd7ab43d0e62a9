//! The header of a definition: the rules of a tokenizer as JSON.

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::{added, normalize, pretokenize};

/// The version of the definition that this crate reads.
pub const VERSION: u32 = 1;

/// What text is made of before the first merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Bytes, as in GPT-2.
    Byte,
    /// Characters, as in SentencePiece.
    Char,
}

/// How ids become text again, beyond joining the bytes of the tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Decoder {
    /// The first space of a text is dropped: encoding put it there. Not that of the unknown token,
    /// which is what the token stands for.
    #[serde(default)]
    pub strip_leading_space: bool,
}

/// What a training did, to be replayed on every piece instead of merging by rank.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Replay {
    /// Bytes of tokens that are gone in the end; they have the ids behind the vocabulary.
    pub hidden: Vec<Vec<u8>>,
    pub steps: Vec<ReplayStep>,
}

/// One thing that a training did.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayStep {
    /// The first two became the third.
    Join(u32, u32, u32),
    /// The same, where they were neighbouring pieces, a token each.
    Across(u32, u32, u32),
    /// The first became the others.
    Split(Vec<u32>),
}

/// The rules of a tokenizer. Ids are signed in JSON, where -1 stands for none.
#[derive(Debug, Clone, Deserialize)]
pub struct Header {
    pub version: u32,
    pub unit: Unit,
    pub byte_units: Vec<i64>,
    #[serde(default)]
    pub final_byte_units: Option<Vec<i64>>,
    #[serde(default)]
    pub unk: Option<u32>,
    #[serde(default)]
    pub fuse_unk: bool,
    /// Text with a byte that has no symbol is an error; otherwise such bytes are dropped.
    #[serde(default)]
    pub strict: bool,
    #[serde(default)]
    pub ignore_merges: bool,
    /// The model's tokens that merging cannot reach, where that is known.
    #[serde(default)]
    pub unreachable: Option<Vec<u32>>,
    /// Takes the place of the merges.
    #[serde(default)]
    pub replay: Option<Replay>,
    /// Ranks, ascending, of the merges that join whole neighbouring pieces, and nothing else.
    #[serde(default)]
    pub supermerges: Vec<u32>,
    #[serde(default)]
    pub normalizer: Vec<normalize::Step>,
    #[serde(default)]
    pub pretokenizer: Vec<pretokenize::Step>,
    #[serde(default)]
    pub added: Vec<added::AddedToken>,
    #[serde(default)]
    pub decoder: Decoder,
}

impl Header {
    /// Reads the JSON of a definition's header.
    pub fn parse(json: &str) -> Result<Header> {
        let header: Header = serde_json::from_str(json)
            .map_err(|error| Error::Definition(format!("definition header: {error}")))?;
        match header.version {
            VERSION => Ok(header),
            other => Err(Error::Definition(format!(
                "definition version {other}: this build reads version {VERSION}"
            ))),
        }
    }
}
