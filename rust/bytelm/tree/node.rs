//! Sequences of tokens that end at some place of the text, and the tokens that fit behind them.

use std::ops::Range;
use std::sync::Arc;

use crate::Result;
use crate::bytelm::context::Context;
use crate::bytelm::masses::Masses;
use crate::bytelm::row::Row;
use crate::bytelm::sorted::Place;
use crate::bytelm::trie::{Branch, NOTHING, ROOT};
use crate::bytelm::viable::{Mask, Spot, Viability};
use crate::bytelm::{ByteVocab, Semantics};

/// Where a sequence stands. To find out takes as long as to read a byte, and there is no need before
/// a row or another byte comes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stand {
    At(Spot),
    /// The last token behind this.
    Behind(Spot),
    /// The semantics does not ask.
    Anywhere,
}

impl Stand {
    /// Where a sequence of one token more stands.
    pub fn behind(self) -> Stand {
        match self {
            Stand::At(spot) => Stand::Behind(spot),
            Stand::Behind(_) => unreachable!("no token is read before it is known which may be"),
            Stand::Anywhere => Stand::Anywhere,
        }
    }
}

/// A sequence of tokens, or several that the model cannot tell apart.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// The sequence; of several, the likeliest.
    pub context: Context,
    /// Where it ends in the text.
    pub at: usize,
    /// The sequence without the last token, while the weight is not known.
    pub parent: Option<usize>,
    pub token: Place,
    /// The logarithm of the last token's probability, once the parent has a row.
    pub step: Option<f64>,
    pub stand: Stand,
    /// The tokens that may follow.
    pub mask: Option<Arc<Mask>>,
    /// The tokens that fit, after `from` bytes of the text behind it, one more, and so on.
    pub ranges: Vec<Range<Place>>,
    pub from: usize,
    /// The logarithm of the probability of the sequence; of several, of all.
    pub weight: Option<f64>,
    /// The logarithm of the share of that which the likeliest sequence has.
    pub likeliest: f64,
    pub row: Option<Arc<Row>>,
    /// For each of the ranges, the logarithm of its probability, when there is a row.
    pub masses: Vec<f64>,
    /// The tokens of the last range, in the trie.
    pub fits: Branch,
    /// The masses of what may follow, by the trie's children, when they were asked for.
    pub next: Masses,
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
    pub fn fits_until(&self) -> Option<usize> {
        let fits = self.ranges.iter().rposition(|range| !range.is_empty())?;
        Some(self.at + self.from + fits).filter(|&reach| reach > self.at)
    }

    /// The logarithm of what the node adds to the probability of the text up to `at`.
    pub fn share(&self, at: usize) -> Option<f64> {
        let depth = at.checked_sub(self.at).filter(|&depth| depth > 0)?;
        let mass = self.masses.get(depth.checked_sub(self.from)?)?;
        Some(self.weight? + mass)
    }

    /// The logarithm of the probability of one of its tokens, by its row.
    pub fn logprob_of(&self, vocab: &ByteVocab, row: &Row, place: Place) -> f64 {
        match vocab.semantics == Semantics::Fast || self.may_follow(vocab, place) {
            true => row.token(&vocab.sorted, place),
            false => f64::NEG_INFINITY,
        }
    }

    /// Whether a token may follow, where its row does not say so by probability 0: to look into the
    /// mask is to wait for memory.
    pub fn may_follow(&self, vocab: &ByteVocab, place: Place) -> bool {
        let strict = vocab.semantics != Semantics::Fast;
        let told = strict && self.row.as_ref().is_some_and(|row| row.is_masked());
        told || self.mask.as_ref().is_none_or(|mask| mask.places().has(place))
    }

    /// Starts loading what [`Node::ahead`] will read.
    pub fn fetch(&self, vocab: &ByteVocab) {
        vocab.sorted.trie().fetch(self.fits);
        if let Some(row) = &self.row {
            row.fetch(self.last());
        }
    }

    /// The bytes that may follow and their masses; none when there is no row.
    pub fn ahead<'a>(&'a mut self, vocab: &'a ByteVocab) -> (&'a [u8], &'a Masses) {
        let trie = vocab.sorted.trie();
        let children = trie.children(self.fits);
        if let Some(row) = self.row.as_ref().filter(|_| self.next.is_empty()) {
            let mask = self.mask.as_deref().filter(|_| vocab.semantics != Semantics::Fast);
            let range = self.ranges.last().expect("a node has a range");
            self.next = row.masses(&vocab.sorted, children.clone(), range, mask);
        }
        (trie.bytes(children), &self.next)
    }

    /// The mass of the tokens that fit after another byte, with which it fits `fits`, where that
    /// was asked for before; `before` fitted until then.
    fn mass_ahead(&self, vocab: &ByteVocab, before: Branch, byte: u8) -> Option<f64> {
        let first = self.row.as_ref()?.first();
        match first.filter(|_| before == ROOT) {
            Some(first) => first.log(usize::from(byte)),
            None => {
                let children = vocab.sorted.trie().children(before);
                self.next.log(self.fits.checked_sub(children.start)? as usize)
            }
        }
    }

    /// Drops what is known of the text up to where its last range is, and of tokens that fitted
    /// until then: those who hold many places hold no more than what may still follow.
    // Apart, so that the loop over nodes that have no row stays short.
    #[inline(never)]
    pub fn forget(&mut self, vocab: &ByteVocab) {
        self.from = self.depth();
        self.ranges.drain(..self.ranges.len() - 1);
        self.masses.drain(..self.masses.len() - 1);
        let mask = self.mask.as_deref().filter(|_| vocab.semantics != Semantics::Fast);
        let range = &self.ranges[0];
        if let Some(row) = self.row.as_mut().filter(|_| !range.is_empty())
            && let Some(narrowed) = row.narrowed(&vocab.sorted, range, mask)
        {
            *row = Arc::new(narrowed);
        }
    }

    /// Holds no more of its row than the tokens that fit.
    pub fn hold_least(&mut self, vocab: &ByteVocab) {
        let mask = self.mask.as_deref().filter(|_| vocab.semantics != Semantics::Fast);
        let range = self.ranges.last().expect("a node has a range");
        if let Some(row) = self.row.as_mut().filter(|_| !range.is_empty())
            && let Some(cut) = row.cut(&vocab.sorted, range, mask)
        {
            *row = Arc::new(cut);
        }
    }

    /// Is as it was before it had a row, where no byte has come behind it.
    pub fn release(&mut self) {
        self.row = None;
        self.masses.clear();
        self.next.clear();
    }

    /// Whether it takes part in nothing any more, whatever comes.
    pub fn vanish(&mut self) {
        self.ranges.truncate(1);
        self.ranges.fill(0..0);
        self.weight = Some(f64::NEG_INFINITY);
        self.mask = None;
        self.fits = NOTHING;
        self.next.clear();
    }

    /// A node that nothing is known of.
    pub fn new(vocab: &ByteVocab, context: Context, at: usize, stand: Stand) -> Node {
        Node {
            context,
            at,
            parent: None,
            token: 0,
            step: None,
            stand,
            mask: None,
            ranges: vec![vocab.sorted.all()],
            from: 0,
            weight: None,
            likeliest: 0.0,
            row: None,
            masses: Vec::new(),
            fits: ROOT,
            next: Masses::default(),
        }
    }

    /// Where it stands, if the semantics asks.
    pub fn spot(&mut self, vocab: &ByteVocab, viability: &mut Viability) -> Result<Option<Spot>> {
        let spot = match self.stand {
            Stand::At(spot) => spot,
            Stand::Behind(spot) => {
                viability.after(vocab.tokenizer.model(), &vocab.sorted, spot, self.token)?
            }
            Stand::Anywhere => return Ok(None),
        };
        self.stand = Stand::At(spot);
        Ok(Some(spot))
    }

    /// Finds out which tokens may follow, where that is not known yet.
    pub fn look(&mut self, vocab: &ByteVocab, viability: &mut Viability) -> Result<()> {
        if self.mask.is_none()
            && let Some(spot) = self.spot(vocab, viability)?
        {
            self.mask = Some(viability.tokens(vocab.tokenizer.model(), &vocab.sorted, spot)?);
        }
        Ok(())
    }

    /// Narrows the tokens by the next byte of the text, when it is known which may follow.
    pub fn narrow(&mut self, vocab: &ByteVocab, byte: u8) {
        let trie = vocab.sorted.trie();
        let before = self.fits;
        self.fits = trie.child(before, byte);
        let mut range = trie.run(self.fits);
        let known = self.mass_ahead(vocab, before, byte);
        let mask = self.mask.as_deref().filter(|_| vocab.semantics != Semantics::Fast);
        // A mass says whether it is of tokens that may follow: to find them is to read the mask.
        let is_void = match known {
            Some(mass) => mass == f64::NEG_INFINITY,
            None => mask.is_some_and(|mask| !mask.places().any(&range)),
        };
        if is_void {
            (self.fits, range) = (NOTHING, 0..0);
        }
        match &mut self.row {
            Some(_) if range.is_empty() => self.masses.push(f64::NEG_INFINITY),
            Some(row) => {
                if let Some(narrowed) = row.narrowed(&vocab.sorted, &range, mask) {
                    *row = Arc::new(narrowed);
                }
                let mass = || row.mass(&vocab.sorted, &range, mask);
                self.masses.push(known.unwrap_or_else(mass));
            }
            None => {}
        }
        self.next.clear();
        if range.is_empty() {
            self.mask = None;
        }
        self.ranges.push(range);
    }
}
