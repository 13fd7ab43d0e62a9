//! The merging core against a few lines that do what the definition of BPE says: merge the leftmost
//! pair of lowest rank until no pair merges.

mod cache;
mod long;
mod pieces;
mod ranks;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use proptest::prelude::*;

use super::bytes::BytePairs;
use super::merge::Tree;
use super::short::{SHORT, Short, merge_bytes_abreast, merge_short};
use super::units::{ABSENT, Unit, Units};
use crate::merges::{Merge, Merges};
use crate::token::{Kind, TokenId};
use crate::vocab::Vocab;

/// Pairs to ranks and products.
pub(crate) type Rules = HashMap<(TokenId, TokenId), (usize, TokenId)>;

pub(crate) fn rules(merges: &[Merge]) -> Rules {
    let mut rules = Rules::new();
    for (rank, merge) in merges.iter().enumerate() {
        rules.entry((merge.left, merge.right)).or_insert((rank, merge.product));
    }
    rules
}

/// The definition.
pub(crate) fn merged(rules: &Rules, mut units: Vec<Unit>) -> Vec<Unit> {
    loop {
        let pair = |at: usize| rules.get(&(units[at].id, units[at + 1].id));
        let pairs = (1..units.len()).filter_map(|at| pair(at - 1).map(|found| (found, at - 1)));
        let Some((&(_, product), at)) = pairs.min_by_key(|(found, at)| (found.0, *at)) else {
            return units;
        };
        units[at].id = product;
        units.remove(at + 1);
    }
}

/// The same with a heap and links, for texts that are too long for the definition.
pub(crate) fn merged_by_heap(rules: &Rules, units: Vec<Unit>) -> Vec<Unit> {
    let len = units.len();
    let mut ids: Vec<Option<TokenId>> = units.iter().map(|unit| Some(unit.id)).collect();
    let (mut next, mut previous): (Vec<_>, Vec<_>) =
        (0..len).map(|at| (at + 1, at.wrapping_sub(1))).unzip();
    let candidate = |ids: &[Option<TokenId>], at: usize, after: usize| {
        let (left, right) = (ids.get(at).copied()??, ids.get(after).copied()??);
        rules.get(&(left, right)).map(|&(rank, _)| Reverse((rank, at, left, right)))
    };
    let mut heap: BinaryHeap<_> = (0..len).filter_map(|at| candidate(&ids, at, at + 1)).collect();
    while let Some(Reverse((_, at, left, right))) = heap.pop() {
        let after = next[at];
        if ids[at] != Some(left) || ids.get(after) != Some(&Some(right)) {
            continue;
        }
        ids[at] = Some(rules[&(left, right)].1);
        ids[after] = None;
        next[at] = next[after];
        if next[at] < len {
            previous[next[at]] = at;
        }
        heap.extend(candidate(&ids, at, next[at]));
        heap.extend(candidate(&ids, previous[at], at));
    }
    units.iter().zip(ids).filter_map(|(unit, id)| Some(Unit { id: id?, ..*unit })).collect()
}

/// Tokens by id and the merges that make some of them.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    pub tokens: Vec<Vec<u8>>,
    pub merges: Vec<Merge>,
}

impl Built {
    /// The 256 bytes, in reverse so that no id is its byte.
    pub fn bytes() -> Built {
        Built { tokens: (0..=255u8).rev().map(|byte| vec![byte]).collect(), merges: Vec::new() }
    }

    pub fn byte(byte: u8) -> TokenId {
        255 - TokenId::from(byte)
    }

    /// The id of these bytes, a new one if there is none.
    pub fn intern(&mut self, bytes: Vec<u8>) -> TokenId {
        let at = self.tokens.iter().position(|token| *token == bytes);
        at.unwrap_or_else(|| {
            self.tokens.push(bytes);
            self.tokens.len() - 1
        }) as TokenId
    }

    pub fn merge(&mut self, left: TokenId, right: TokenId) -> TokenId {
        let bytes = [&self.tokens[left as usize][..], &self.tokens[right as usize]].concat();
        let product = self.intern(bytes);
        self.merges.push(Merge { left, right, product });
        product
    }

    /// Merges of what `choices` picks among `symbols` and the products so far; a pair may come
    /// twice, and a product from several pairs.
    pub fn grow(mut self, symbols: &[TokenId], choices: &[(u16, u16)], longest: usize) -> Built {
        let mut pool = symbols.to_vec();
        for &(left, right) in choices {
            let (left, right) =
                (pool[left as usize % pool.len()], pool[right as usize % pool.len()]);
            let size = |id: TokenId| self.tokens[id as usize].len();
            if size(left) + size(right) <= longest {
                pool.push(self.merge(left, right));
            }
        }
        self
    }

    /// Puts the merges in another order, so that products may rank before what they are made of.
    pub fn shuffle(mut self, keys: &[u16]) -> Built {
        let mut keyed: Vec<_> = keys.iter().cycle().zip(self.merges).collect();
        keyed.sort_by_key(|(key, _)| **key);
        self.merges = keyed.into_iter().map(|(_, merge)| merge).collect();
        self
    }

    pub fn table(&self) -> Merges {
        Merges::new(&self.merges, self.tokens.len()).expect("ids of the vocabulary")
    }

    pub fn units(&self) -> Units {
        let mut first = Box::new([ABSENT; 256]);
        for byte in 0..=255u8 {
            first[usize::from(byte)] = Built::byte(byte);
        }
        Units::Bytes { first, last: None }
    }

    pub fn symbols(&self, text: &[u8]) -> Vec<Unit> {
        let unit =
            |(start, &byte): (usize, &u8)| Unit { id: Built::byte(byte), start: start as u32 };
        text.iter().enumerate().map(unit).collect()
    }

    pub fn vocab(&self) -> Vocab {
        let mut offsets = vec![0];
        for token in &self.tokens {
            offsets.push(offsets[offsets.len() - 1] + token.len() as u32);
        }
        let kinds = vec![Kind::MODEL; self.tokens.len()];
        Vocab::new(self.tokens.concat(), offsets, kinds).expect("a table of tokens")
    }
}

/// Vocabularies over few letters: trained order or any order.
pub(crate) fn small_vocabularies(letters: &'static [u8]) -> impl Strategy<Value = Built> {
    let choices = prop::collection::vec((any::<u16>(), any::<u16>()), 0..60);
    (choices, prop::collection::vec(any::<u16>(), 1..60), any::<bool>()).prop_map(
        move |(choices, keys, shuffled)| {
            let symbols: Vec<TokenId> = letters.iter().map(|&byte| Built::byte(byte)).collect();
            let built = Built::bytes().grow(&symbols, &choices, 24);
            if shuffled { built.shuffle(&keys) } else { built }
        },
    )
}

pub(crate) fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn text_of(letters: &'static [u8], len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(letters), len)
}

fn by_scanning(merges: &Merges, units: &[Unit]) -> Vec<TokenId> {
    let mut ids = [0; SHORT];
    ids.iter_mut().zip(units).for_each(|(slot, unit)| *slot = unit.id);
    let len = merge_short(merges, &mut ids, units.len());
    ids[..len].to_vec()
}

/// Bytes, whose pairs that merge first are merged at once.
fn by_bytes(built: &Built, pieces: &[&[u8]]) -> Vec<Vec<TokenId>> {
    let (merges, vocab) = (built.table(), built.vocab());
    let Units::Bytes { first, .. } = built.units() else { unreachable!("units are bytes") };
    let table = BytePairs::new(&first, &merges, &vocab);
    let mut sequences = vec![Short::default(); pieces.len()];
    merge_bytes_abreast(&merges, &table, pieces, &mut sequences);
    sequences.iter().map(|sequence| sequence.ids().collect()).collect()
}

fn by_tree(merges: &Merges, mut units: Vec<Unit>) -> Vec<Unit> {
    // A tree that has served a longer sequence, as in a scratch.
    let mut tree = Tree::default();
    let mut longer = vec![units.first().copied().unwrap_or_default(); 2_000];
    tree.merge(merges, &mut longer);
    tree.merge(merges, &mut units);
    units
}

fn ids(units: &[Unit]) -> Vec<TokenId> {
    units.iter().map(|unit| unit.id).collect()
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn scanning_and_the_tree_merge_by_the_definition(
        built in small_vocabularies(b"abc"),
        text in text_of(b"abc", 0..SHORT + 1),
    ) {
        let units = built.symbols(&text);
        let expected = merged(&rules(&built.merges), units.clone());
        prop_assert_eq!(by_scanning(&built.table(), &units), ids(&expected));
        prop_assert_eq!(by_tree(&built.table(), units.clone()), expected.clone());
        prop_assert_eq!(merged_by_heap(&rules(&built.merges), units), expected);
    }
}

proptest! {
    #![proptest_config(cases(250))]

    #[test]
    fn pairs_of_bytes_that_merge_first_do_not_show(
        built in prop_oneof![small_vocabularies(b"ab"), small_vocabularies(b"abcde")],
        texts in prop::collection::vec(text_of(b"abcde", 0..SHORT + 1), 1..40),
        runs in prop::collection::vec(text_of(b"ab", 0..SHORT + 1), 1..10),
    ) {
        let pieces: Vec<&[u8]> = texts.iter().chain(&runs).map(Vec::as_slice).collect();
        for (piece, found) in pieces.iter().zip(by_bytes(&built, &pieces)) {
            let expected = merged(&rules(&built.merges), built.symbols(piece));
            prop_assert_eq!(found, ids(&expected), "{:?}", piece);
        }
    }
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn the_tree_merges_long_sequences_by_the_definition(
        built in small_vocabularies(b"ab"),
        text in text_of(b"ab", 0..1_400),
    ) {
        let units = built.symbols(&text);
        let expected = merged_by_heap(&rules(&built.merges), units.clone());
        prop_assert_eq!(by_tree(&built.table(), units), expected);
    }
}

#[test]
fn runs_of_one_letter_merge_leftmost_first() {
    let built = Built::bytes().grow(&[Built::byte(b'a')], &[(0, 0), (1, 0), (1, 1), (2, 2)], 9);
    for len in 0..=SHORT {
        let units = built.symbols(&vec![b'a'; len]);
        let expected = merged(&rules(&built.merges), units.clone());
        assert_eq!(by_scanning(&built.table(), &units), ids(&expected), "{len}");
        assert_eq!(by_tree(&built.table(), units), expected, "{len}");
    }
}

#[test]
fn a_vocabulary_that_does_not_spell_its_merges_is_merged_in_turn() {
    let (a, b, c) = (Built::byte(b'a'), Built::byte(b'b'), Built::byte(b'c'));
    let mut built = Built::bytes();
    // Products are spelled as what they are not, and some are bytes again.
    let [x, y] = [b"xx", b"yy"].map(|bytes| built.intern(bytes.to_vec()));
    for (left, right, product) in [(a, b, x), (b, c, y), (x, y, a), (x, c, y), (y, y, b)] {
        built.merges.push(Merge { left, right, product });
    }
    let texts: Vec<Vec<u8>> = (0..243u32)
        .map(|n| (0..5).map(|digit| b'a' + (n / 3u32.pow(digit) % 3) as u8).collect())
        .collect();
    let pieces: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    for (piece, found) in pieces.iter().zip(by_bytes(&built, &pieces)) {
        let expected = merged(&rules(&built.merges), built.symbols(piece));
        assert_eq!(found, ids(&expected), "{piece:?}");
    }
}

#[test]
fn the_highest_ranks_merge_too() {
    // The last rank that a table takes is 22 bits of ones but one; the slot goes below it.
    let mut built = Built::bytes();
    let (a, b) = (Built::byte(b'a'), Built::byte(b'b'));
    let filler = Merge { left: Built::byte(b'x'), right: Built::byte(b'x'), product: 0 };
    let ab = built.intern(b"ab".to_vec());
    let mut merges = vec![filler; crate::token::MAX_MERGES - 1];
    merges.push(Merge { left: a, right: b, product: ab });
    let table = Merges::new(&merges, built.tokens.len()).expect("as many merges as are allowed");
    let text = b"ab".repeat(SHORT / 2);
    assert_eq!(by_scanning(&table, &built.symbols(&text)), vec![ab; SHORT / 2]);
    assert_eq!(ids(&by_tree(&table, built.symbols(&text))), vec![ab; SHORT / 2]);
}
