//! Words first: what long pieces of several words are made of before their words join.
//!
//! In vocabularies with tokens of several words (SuperBPE), the merges that cross a space come after
//! those of words, at least at a byte that the early merges never have before a space. Let `limit` be
//! the first rank whose product has a space behind an ASCII letter. Merging takes the lowest rank
//! there is, so before anything of rank `limit` or above merges, everything below it has merged; and
//! no product below it holds a border, which is a space behind a byte that no such product has before
//! a space. So until then what stands between two borders merges as if it were alone: it is looked
//! up, and only the merges from there on are made in the text. That holds for every list of merges,
//! whatever their order; where the order is that of training, none below `limit` comes up again.
//!
//! What is too long to be looked up is left in bytes, which the merging that follows makes the same
//! of.

use memchr::memchr_iter;

use super::cache::{Asked, BROAD, Cache, NARROW, STRIDE};
use super::merge::Tree;
use super::units::{Unit, Units};
use crate::merges::{Merges, NEVER, Pairs};
use crate::pretokenize::Span;
use crate::simd::Kernel;
use crate::token::TokenId;
use crate::vocab::Vocab;

/// With fewer merges inside words than this, there is too little to look up.
const LEAST: u32 = 64;

/// Where words end, and the merges inside them.
#[derive(Debug)]
pub(crate) struct Words {
    limit: u32,
    /// Whether a merge inside words has this byte before a space.
    joins: [bool; 256],
}

impl Words {
    /// The words of a vocabulary whose symbols are bytes, if merges cross their borders late.
    pub(crate) fn new(merges: &Merges, vocab: &Vocab) -> Option<Words> {
        let crosses =
            |&rank: &u32| before_spaces(merges, vocab, rank).any(|byte| byte.is_ascii_alphabetic());
        // Where no merge crosses a word, pieces of several words fall apart before they come here.
        let limit = (0..merges.len() as u32).find(crosses)?;
        (limit >= LEAST).then(|| Words::below(merges, vocab, limit))
    }

    /// The words that merges below `limit` stay in.
    pub(super) fn below(merges: &Merges, vocab: &Vocab, limit: u32) -> Words {
        let mut joins = [false; 256];
        for rank in 0..limit {
            before_spaces(merges, vocab, rank).for_each(|byte| joins[usize::from(byte)] = true);
        }
        Words { limit, joins }
    }
}

/// The bytes that the product of a merge has before spaces.
fn before_spaces<'a>(
    merges: &Merges,
    vocab: &'a Vocab,
    rank: u32,
) -> impl Iterator<Item = u8> + use<'a> {
    let token = vocab.token_bytes(merges.product(rank)).unwrap_or_default();
    memchr_iter(b' ', token).filter_map(|at| token.get(at.wrapping_sub(1)).copied())
}

/// What words are looked up in, and room to find what is not there.
#[derive(Debug, Default)]
pub(crate) struct Room {
    bytes: usize,
    cache: Option<Cache>,
    spans: Vec<(Span, Asked)>,
    tree: Tree,
    units: Vec<Unit>,
}

impl Room {
    /// Room whose cache takes at most about `bytes`.
    pub(crate) fn new(bytes: usize) -> Room {
        Room { bytes, ..Room::default() }
    }

    /// Appends symbols of a text: those that are there when everything below the limit has merged,
    /// or bytes that will become these. The first and the last word may be parts of words.
    pub(crate) fn append(
        &mut self,
        words: &Words,
        merges: &Merges,
        units: &Units,
        vocab: &Vocab,
        text: &[u8],
        out: &mut Vec<Unit>,
    ) {
        if text.is_empty() {
            return;
        }
        let bytes = self.bytes;
        let cache = self.cache.get_or_insert_with(|| Cache::new(bytes));
        self.spans.clear();
        let mut start = 0;
        let is_border = |&at: &usize| at > 0 && !words.joins[usize::from(text[at - 1])];
        for end in memchr_iter(b' ', text).filter(is_border).chain([text.len()]) {
            let span = Span { start, end };
            self.spans.push((span, cache.ask(text, span)));
            start = end;
        }
        let mut ids = [0; BROAD + STRIDE];
        for &(span, asked) in &self.spans {
            let word = &text[span.start..span.end];
            let found = match word.len() {
                len if len <= NARROW => cache.get(asked).map(|slot| cache.write(slot, &mut ids)),
                len if len <= BROAD => cache.get_longer(word, asked, &mut ids),
                _ => {
                    self.units.clear();
                    units.append(word, true, &mut self.units);
                    let moved =
                        |unit: &Unit| Unit { start: unit.start + span.start as u32, ..*unit };
                    out.extend(self.units.iter().map(moved));
                    continue;
                }
            };
            let count = found.unwrap_or_else(|| {
                self.units.clear();
                units.append(word, true, &mut self.units);
                self.tree.merge(&Below { merges, limit: words.limit }, &mut self.units);
                ids.iter_mut().zip(&self.units).for_each(|(id, unit)| *id = unit.id);
                cache.insert(word, asked, &ids[..self.units.len()]);
                self.units.len()
            });
            let mut at = span.start as u32;
            out.push(Unit { id: ids[0], start: at });
            for pair in ids[..count].windows(2) {
                at += vocab.token_bytes(pair[0]).map_or(0, <[u8]>::len) as u32;
                out.push(Unit { id: pair[1], start: at });
            }
        }
    }
}

/// The merges below a rank.
struct Below<'a> {
    merges: &'a Merges,
    limit: u32,
}

impl Pairs for Below<'_> {
    #[inline(always)]
    fn rank<K: Kernel>(&self, kernel: K, left: TokenId, right: TokenId) -> u32 {
        let rank = self.merges.rank(kernel, left, right);
        if rank < self.limit { rank } else { NEVER }
    }

    #[inline(always)]
    fn product(&self, rank: u32) -> TokenId {
        self.merges.product(rank)
    }
}
