//! Probabilities of bytes from a model of tokens, exactly.
//!
//! A language model gives the probability of the next token. The probability that the text begins
//! with some bytes is a sum over the *cover* of the bytes: the sequences of tokens of which all but
//! the last end before the bytes do, and the last reaches or passes their end. Which sequences
//! count is the [`Semantics`]. The probability of the next byte is a ratio of two such sums.
//!
//! The room calls no model. A [`Tree`] walks along bytes and says which contexts it needs rows of
//! logits for ([`Tree::pending`]); whoever has a model gives them ([`Tree::feed`]). One context is
//! new with each byte: the tokens that end where the bytes do.
//!
//! Phan et al. 2025, "Exact Byte-Level Probabilities from Tokenized Language Models"; Vieira et al.
//! 2025, "From Language Models over Tokens to Language Models over Characters"; Hayase et al. 2025,
//! "Sampling from Your Language Model One Byte at a Time".

mod added;
mod ahead;
mod begin;
mod bits;
mod context;
mod masses;
mod pairs;
mod real;
mod row;
mod sorted;
mod spare;
mod tree;
mod trie;
mod viable;
mod ways;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::token::TokenId;
use crate::tokenizer::{Opening, Tokenizer};
use crate::{Error, Result};
use added::Added;
use row::Columns;
use sorted::Sorted;
use spare::Spare;
use viable::{Viability, WithEnds};

pub use ahead::{Ahead, Verdict};
pub use masses::OUTCOMES;
pub use real::Given;
pub use tree::{Distribution, Goal, TokenPath, Tree};

/// Which sequences of tokens count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Semantics {
    /// All, whether or not the tokenizer ever makes them.
    All,
    /// Those that can begin the encoding of some text.
    Valid,
    /// Those that can but for the last token.
    Fast,
    /// Those that can, each token's probability being its share among such tokens.
    Local,
}

impl Semantics {
    /// The semantics of a name.
    ///
    /// # Errors
    /// [`Error::Argument`] for a name that is none.
    pub fn named(name: &str) -> Result<Semantics> {
        match name {
            "all" => Ok(Semantics::All),
            "valid" => Ok(Semantics::Valid),
            "fast" => Ok(Semantics::Fast),
            "local" => Ok(Semantics::Local),
            _ => Err(Error::Argument(format!(
                "semantics {name:?} is none of 'all', 'valid', 'fast', 'local'"
            ))),
        }
    }
}

/// A vocabulary in the order of its bytes, with what is known of its tokenizer's sequences.
#[derive(Debug)]
pub struct ByteVocab {
    tokenizer: Arc<Tokenizer>,
    sorted: Sorted,
    columns: Columns,
    semantics: Semantics,
    /// The byte that the tokenizer puts before every text and takes away again.
    lead: Option<u8>,
    /// Known when the semantics asks for it; grows with what it is asked.
    viability: Option<Mutex<Viability>>,
    spare: Arc<Spare>,
}

impl ByteVocab {
    /// The vocabulary of a tokenizer; `ends` are the ids that end a text.
    ///
    /// # Errors
    /// [`Error::Argument`] for a tokenizer of which it is not known what it makes of texts that go
    /// on: only all sequences together can be asked for then.
    pub fn new(
        tokenizer: Arc<Tokenizer>,
        mut ends: Vec<TokenId>,
        semantics: Semantics,
    ) -> Result<ByteVocab> {
        ends.sort_unstable();
        ends.dedup();
        let vocab = tokenizer.vocab();
        let sorted = Sorted::new(vocab, &ends);
        let size = vocab.len();
        let columns = Columns { size, ends };
        let viability = match semantics {
            Semantics::All => None,
            _ => {
                let (model, steps) = tokenizer.plain_model()?;
                // Where nothing is taken away again, texts are what is behind the normalizer.
                let openings = tokenizer.lead().map(|_| tokenizer.openings());
                let [start, behind @ ..] = openings.unwrap_or([Opening::Nothing; 3]);
                let with_ends = WithEnds::new(vocab, &columns.ends);
                let all = with_ends.as_deref().map_or(&sorted, WithEnds::order);
                let added = Added::new(&tokenizer.found_always()?, behind, all)?;
                let viability = Viability::new(model, steps, added, start, all, with_ends.clone())?;
                Some(Mutex::new(viability))
            }
        };
        let lead = tokenizer.lead();
        Ok(ByteVocab {
            tokenizer,
            sorted,
            columns,
            semantics,
            lead,
            viability,
            spare: Arc::default(),
        })
    }

    /// The least number of columns that rows have.
    pub fn width(&self) -> usize {
        let last = self.columns.ends.last().map_or(0, |&id| id as usize + 1);
        self.columns.size.max(last)
    }

    fn viability(&self) -> Option<MutexGuard<'_, Viability>> {
        let viability = self.viability.as_ref()?;
        Some(viability.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
