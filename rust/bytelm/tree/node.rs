//! A sequence of tokens that ends at some place of the text, and the tokens that fit behind it.

use std::ops::Range;
use std::sync::Arc;

use crate::Result;
use crate::bytelm::bits::Bits;
use crate::bytelm::context::Context;
use crate::bytelm::row::Row;
use crate::bytelm::sorted::Place;
use crate::bytelm::viable::{Spot, Viability};
use crate::bytelm::{ByteVocab, Semantics};

/// A sequence of tokens.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub context: Context,
    /// Where it ends in the text.
    pub at: usize,
    /// The sequence without the last token, while the weight is not known.
    pub parent: Option<usize>,
    pub token: Place,
    /// The logarithm of the last token's probability, once the parent has a row.
    pub step: Option<f64>,
    /// Where it stands, if the semantics asks.
    pub spot: Option<Spot>,
    /// The tokens that may follow.
    pub mask: Option<Arc<Bits>>,
    /// The tokens that fit, after `from` bytes of the text behind it, one more, and so on.
    pub ranges: Vec<Range<Place>>,
    pub from: usize,
    /// The logarithm of the probability of the sequence.
    pub weight: Option<f64>,
    pub row: Option<Arc<Row>>,
    /// For each of the ranges, the logarithm of its probability, when there is a row.
    pub masses: Vec<f64>,
}

impl Node {
    pub fn last(&self) -> &Range<Place> {
        self.ranges.last().expect("a node has a range")
    }

    /// How many bytes behind its end its ranges reach.
    pub fn depth(&self) -> usize {
        self.from + self.ranges.len() - 1
    }

    pub fn lives(&self) -> bool {
        !self.last().is_empty()
    }

    /// Up to where in the text its tokens fit, if any does.
    pub fn reach(&self) -> Option<usize> {
        let fits = self.ranges.iter().rposition(|range| !range.is_empty())?;
        Some(self.at + self.from + fits).filter(|&reach| reach > self.at)
    }

    /// The logarithm of what the node adds to the probability of the text up to `at`.
    pub fn share(&self, at: usize) -> Option<f64> {
        let depth = at.checked_sub(self.at).filter(|&depth| depth > 0)?;
        let mass = self.masses.get(depth.checked_sub(self.from)?)?;
        Some(self.weight? + mass)
    }

    /// Whether it takes part in nothing any more, whatever comes.
    pub fn vanish(&mut self) {
        self.ranges.truncate(1);
        self.ranges.fill(0..0);
        self.weight = Some(f64::NEG_INFINITY);
        self.mask = None;
    }

    /// A node that nothing is known of.
    pub fn new(vocab: &ByteVocab, context: Context, at: usize, spot: Option<Spot>) -> Node {
        Node {
            context,
            at,
            parent: None,
            token: 0,
            step: None,
            spot,
            mask: None,
            ranges: vec![vocab.sorted.all()],
            from: 0,
            weight: None,
            row: None,
            masses: Vec::new(),
        }
    }

    /// Finds out which tokens may follow, where that is not known yet.
    pub fn look(&mut self, vocab: &ByteVocab, viability: Option<&mut Viability>) -> Result<()> {
        if let (None, Some(viability), Some(spot)) = (&self.mask, viability, self.spot) {
            self.mask = Some(viability.tokens(vocab.tokenizer.model(), &vocab.sorted, spot)?);
        }
        Ok(())
    }

    /// Narrows the tokens by the next byte of the text.
    pub fn narrow(
        &mut self,
        vocab: &ByteVocab,
        viability: Option<&mut Viability>,
        byte: u8,
    ) -> Result<()> {
        self.look(vocab, viability)?;
        let mut range = vocab.sorted.narrow(self.last(), self.depth(), byte);
        let strict = vocab.semantics != Semantics::Fast;
        if self.mask.as_ref().is_some_and(|mask| strict && !mask.any(&range)) {
            range.end = range.start;
        }
        if let Some(row) = &mut self.row {
            if let Some(narrowed) = row.narrowed(&vocab.sorted, &range) {
                *row = Arc::new(narrowed);
            }
            self.masses.push(row.mass(&vocab.sorted, &range));
        }
        if range.is_empty() {
            self.mask = None;
        }
        self.ranges.push(range);
        Ok(())
    }
}
