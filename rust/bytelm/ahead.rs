//! Which token follows a sequence of tokens, as far as the bytes behind it tell.
//!
//! Some text begins with the bytes of a few tokens, the *context*, and goes on. What its encoding
//! has behind the context is decided by the bytes that follow: after some, all sequences with which
//! the encoding can still begin have the same token there, or none of them begins with the context.
//! An [`Ahead`] walks along the bytes and keeps these sequences as [`super::tree`] does, with what
//! each says of the next token; it needs no model. Cost: a few microseconds a byte.

use std::sync::Arc;

use super::ByteVocab;
use super::masses::OUTCOMES;
use super::sorted::Place;
use super::trie::{Branch, ROOT};
use super::viable::{Mask, Spot, Viability};
use crate::token::TokenId;
use crate::{Error, Result};

/// What becomes of a text, for one context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It depends on the bytes that follow.
    Open,
    /// Its encoding has this token behind the context.
    Next(TokenId),
    /// It ends with the context.
    End,
    /// Its encoding does not begin with the context.
    Other,
    /// No text with an encoding begins so: it is no UTF-8, or has bytes without a token.
    Nothing,
}

/// The sequences of tokens that cover a text behind a context; a clone goes its own way.
#[derive(Debug, Clone)]
pub struct Ahead {
    vocab: Arc<ByteVocab>,
    context: Arc<[TokenId]>,
    heads: Vec<Head>,
    /// Whether the text may end here with no tokens at all: it has no bytes yet.
    is_empty: bool,
}

/// Sequences that have all but the last token in common.
#[derive(Debug, Clone)]
struct Head {
    /// What they have in common, as far as it matters.
    begun: Begun,
    /// Where that stands.
    spot: Spot,
    /// The tokens that may follow, once somebody asked.
    mask: Option<Arc<Mask>>,
    /// The bytes behind.
    fits: Branch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begun {
    /// They are so many tokens of the context.
    Along(usize),
    /// They begin with the context and this token.
    Behind(TokenId),
    /// They are no beginning of the context, nor begin with it.
    Aside,
}

impl Ahead {
    /// The sequences that cover the bytes of a context. Of a text that goes on with another,
    /// `goes_on` are the bytes of a character that one ends with, as of a tree.
    ///
    /// # Errors
    /// [`Error::Argument`] when the encoding of no text begins with these tokens, or where the
    /// vocabulary was made for all sequences.
    pub fn new(
        vocab: Arc<ByteVocab>,
        context: Vec<TokenId>,
        goes_on: Option<&[u8]>,
    ) -> Result<Ahead> {
        let Some(mut viability) = vocab.viability() else {
            return Err(Error::Argument("which token follows is only known of valid ones".into()));
        };
        let spot = match goes_on {
            None => viability.start(),
            Some(character) => viability.start_behind(character)?,
        };
        drop(viability);
        let begun = Begun::Along(0);
        let head = Head { begun, spot, mask: None, fits: ROOT };
        let (lead, heads) = (vocab.lead.filter(|_| goes_on.is_none()), vec![head]);
        let mut ahead = Ahead { vocab, context: context.into(), heads, is_empty: false };
        // Where there are tokens, the byte that stands before every text is theirs.
        if let (true, Some(lead)) = (ahead.context.is_empty(), lead) {
            ahead.advance(lead)?;
        }
        for &id in ahead.context.clone().iter() {
            let sorted = &ahead.vocab.sorted;
            let bytes = sorted.place(id).map(|place| sorted.bytes(place).to_vec());
            for byte in bytes.unwrap_or_default() {
                ahead.advance(byte)?;
            }
        }
        // Inside a character a text that ends at once may be none.
        ahead.is_empty = ahead.context.is_empty() && goes_on.is_none_or(<[u8]>::is_empty);
        let all = Begun::Along(ahead.context.len());
        if !ahead.heads.iter().any(|head| head.begun == all) {
            let size = ahead.context.len();
            return Err(Error::Argument(format!(
                "context: the encoding of no text begins with these {size} tokens"
            )));
        }
        Ok(ahead)
    }

    /// Reads another byte.
    ///
    /// # Errors
    /// [`Error::Argument`] when the pre-tokenizer leaves too much open.
    pub fn advance(&mut self, byte: u8) -> Result<()> {
        let vocab = Arc::clone(&self.vocab);
        let mut viability = vocab.viability().expect("it was there when this was made");
        self.heads = self.after(byte, &mut viability)?;
        self.is_empty = false;
        Ok(())
    }

    /// What is known once each of the bytes has followed, and, last, once the text has ended.
    ///
    /// # Errors
    /// [`Error::Argument`] when the pre-tokenizer leaves too much open.
    pub fn verdicts(&self) -> Result<[Verdict; OUTCOMES]> {
        let vocab = Arc::clone(&self.vocab);
        let mut viability = vocab.viability().expect("it was there when this was made");
        let mut verdicts = [Verdict::Nothing; OUTCOMES];
        for (byte, verdict) in (0..=u8::MAX).zip(&mut verdicts) {
            let heads = self.after(byte, &mut viability)?;
            *verdict = self.verdict(&heads);
        }
        for head in self.heads.iter().filter(|head| head.fits == ROOT) {
            if viability.ends(head.spot)? {
                verdicts[OUTCOMES - 1] = match head.begun {
                    Begun::Along(tokens) if tokens == self.context.len() => Verdict::End,
                    Begun::Behind(id) => Verdict::Next(id),
                    Begun::Along(_) | Begun::Aside => Verdict::Other,
                };
            }
        }
        if self.is_empty {
            // The empty text has no tokens, whatever stands before others.
            verdicts[OUTCOMES - 1] = Verdict::End;
        }
        Ok(verdicts)
    }

    /// The sequences after another byte.
    fn after(&self, byte: u8, viability: &mut Viability) -> Result<Vec<Head>> {
        let (model, sorted) = (self.vocab.tokenizer.model(), &self.vocab.sorted);
        let trie = sorted.trie();
        let (mut kept, mut made) = (Vec::new(), Vec::new());
        for head in &self.heads {
            let fits = trie.child(head.fits, byte);
            let range = trie.run(fits);
            if range.is_empty() {
                continue;
            }
            let mask = match &head.mask {
                Some(mask) => Arc::clone(mask),
                None => viability.tokens(model, sorted, head.spot)?,
            };
            if !mask.places().any(&range) {
                continue;
            }
            for token in trie.exact(fits).filter(|&token| mask.places().has(token)) {
                let begun = self.begun(head.begun, sorted.id(token));
                let spot = viability.after(model, sorted, head.spot, token)?;
                made.push(Head { begun, spot, mask: None, fits: ROOT });
            }
            kept.push(Head { fits, mask: Some(mask), ..head.clone() });
        }
        kept.append(&mut made);
        Ok(kept)
    }

    fn begun(&self, before: Begun, id: TokenId) -> Begun {
        match before {
            Begun::Along(tokens) => match self.context.get(tokens) {
                None => Begun::Behind(id),
                Some(next) if *next == id => Begun::Along(tokens + 1),
                Some(_) => Begun::Aside,
            },
            known => known,
        }
    }

    /// What all of these sequences, which reach beyond the context, say.
    fn verdict(&self, heads: &[Head]) -> Verdict {
        let mut found = Verdict::Nothing;
        for head in heads {
            let said = match head.begun {
                Begun::Behind(id) => Verdict::Next(id),
                Begun::Aside => Verdict::Other,
                // The token of the context was passed: it is another.
                Begun::Along(tokens) if tokens < self.context.len() => Verdict::Other,
                Begun::Along(_) => self.only(head).map_or(Verdict::Open, Verdict::Next),
            };
            if said == Verdict::Open || (found != Verdict::Nothing && found != said) {
                return Verdict::Open;
            }
            found = said;
        }
        found
    }

    /// The only token that a head can have last, if there are not several.
    fn only(&self, head: &Head) -> Option<TokenId> {
        let allowed = |place: &Place| head.mask.as_ref().is_none_or(|m| m.places().has(*place));
        let mut places = self.vocab.sorted.trie().run(head.fits).filter(allowed);
        let first = places.next()?;
        places.next().is_none().then(|| self.vocab.sorted.id(first))
    }
}
