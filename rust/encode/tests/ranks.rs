//! Merges derived from ranks do what the rule of ranked vocabularies does: join the two neighbours
//! that spell the token of lowest rank.

use std::collections::HashMap;

use proptest::prelude::*;

use super::super::ranks::{UnitKind, merges_from_ranks};
use super::{cases, merged, rules};
use crate::encode::units::Unit;
use crate::merges::Merge;
use crate::token::TokenId;

/// A ranked vocabulary: tokens by id, ids by rank.
#[derive(Debug, Clone)]
struct Ranked {
    tokens: Vec<String>,
    order: Vec<TokenId>,
}

impl Ranked {
    fn new(tokens: Vec<String>, keys: &[u16]) -> Ranked {
        let mut order: Vec<TokenId> = (0..tokens.len() as TokenId).collect();
        if !keys.is_empty() {
            order.sort_by_key(|&id| keys[id as usize % keys.len()]);
        }
        Ranked { tokens, order }
    }

    fn merges(&self, kind: UnitKind) -> Vec<Merge> {
        let mut offsets = vec![0];
        for token in &self.tokens {
            offsets.push(offsets[offsets.len() - 1] + token.len() as u32);
        }
        let arena = self.tokens.concat().into_bytes();
        merges_from_ranks(&arena, &offsets, &self.order, kind).expect("a table of tokens")
    }

    /// Ranks and ids by bytes; of equal tokens the better rank counts.
    fn ranks(&self) -> HashMap<&[u8], (usize, TokenId)> {
        let mut ranks = HashMap::new();
        for (rank, &id) in self.order.iter().enumerate() {
            ranks.entry(self.tokens[id as usize].as_bytes()).or_insert((rank, id));
        }
        ranks
    }

    /// The rule, on symbols that are tokens.
    fn by_rule(&self, mut parts: Vec<Vec<u8>>) -> Vec<TokenId> {
        let ranks = self.ranks();
        loop {
            let joined = parts.windows(2).enumerate().filter_map(|(at, pair)| {
                ranks.get(pair.concat().as_slice()).map(|&(rank, _)| (rank, at))
            });
            let Some((_, at)) = joined.min() else { break };
            let right = parts.remove(at + 1);
            parts[at].extend(right);
        }
        parts.iter().map(|part| ranks[part.as_slice()].1).collect()
    }

    fn by_merges(&self, merges: &[Merge], parts: &[Vec<u8>]) -> Vec<TokenId> {
        let ranks = self.ranks();
        let unit = |part: &Vec<u8>| Unit { id: ranks[part.as_slice()].1, start: 0 };
        let units = merged(&rules(merges), parts.iter().map(unit).collect());
        units.iter().map(|unit| unit.id).collect()
    }

    /// Compares on a text of symbols, those that are no token left out.
    fn check(&self, kind: UnitKind, texts: &[String]) -> Result<(), TestCaseError> {
        let merges = self.merges(kind);
        let rank = |merge: &Merge| self.order.iter().position(|&id| id == merge.product);
        prop_assert!(merges.is_sorted_by_key(rank));
        let ranks = self.ranks();
        for text in texts.iter().chain(&self.tokens) {
            let symbols: Vec<Vec<u8>> = match kind {
                UnitKind::Byte => text.bytes().map(|byte| vec![byte]).collect(),
                UnitKind::Char => text.chars().map(|c| c.to_string().into_bytes()).collect(),
            };
            let known = symbols.into_iter().filter(|part| ranks.contains_key(part.as_slice()));
            let parts: Vec<Vec<u8>> = known.collect();
            prop_assert_eq!(self.by_merges(&merges, &parts), self.by_rule(parts), "{}", text);
        }
        Ok(())
    }
}

fn text(
    letters: &'static [&'static str],
    len: std::ops::Range<usize>,
) -> impl Strategy<Value = String> {
    let letters = prop::collection::vec(prop::sample::select(letters), len);
    letters.prop_map(|letters| letters.concat())
}

/// Symbols and random strings of them, most of which merging cannot reach; with keys in an order
/// in which parts rank above the whole, without in the order of their lengths.
fn vocabularies(letters: &'static [&'static str]) -> impl Strategy<Value = Ranked> {
    let longer = prop::collection::vec(text(letters, 1..7), 0..30);
    let longest = prop::collection::vec(text(letters, 30..50), 0..2);
    let keys = prop::collection::vec(any::<u16>(), 0..40);
    (longer, longest, keys).prop_map(move |(longer, longest, keys)| {
        let symbols = letters.iter().map(|letter| letter.to_string());
        let mut tokens: Vec<String> = symbols.chain(longer).chain(longest).collect();
        if keys.is_empty() {
            tokens.sort_by_key(String::len);
        }
        Ranked::new(tokens, &keys)
    })
}

const BYTES: &[&str] = &["a", "b", "c"];
const CHARS: &[&str] = &["a", "é", "日", "😀"];

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn merges_follow_the_rule_for_bytes(
        ranked in vocabularies(BYTES),
        texts in prop::collection::vec(text(BYTES, 0..40), 4),
    ) {
        ranked.check(UnitKind::Byte, &texts)?;
    }

    #[test]
    fn merges_follow_the_rule_for_characters(
        ranked in vocabularies(CHARS),
        texts in prop::collection::vec(text(CHARS, 0..30), 4),
    ) {
        ranked.check(UnitKind::Char, &texts)?;
    }
}

fn ranked(tokens: &[&str]) -> Ranked {
    Ranked::new(tokens.iter().map(|token| token.to_string()).collect(), &[])
}

fn pairs(ranked: &Ranked, kind: UnitKind) -> Vec<(TokenId, TokenId, TokenId)> {
    ranked.merges(kind).iter().map(|merge| (merge.left, merge.right, merge.product)).collect()
}

#[test]
fn parts_may_rank_above_the_whole() {
    // "abc" is reached only through "bc", which ranks last.
    let vocabulary = ranked(&["a", "b", "c", "abc", "bc"]);
    assert_eq!(pairs(&vocabulary, UnitKind::Byte), [(0, 4, 3), (1, 2, 4)]);
}

#[test]
fn a_token_that_merging_never_spells_has_no_merge() {
    // "ab" always comes first, and then nothing makes "bca" or "abca" of what is left.
    let vocabulary = ranked(&["a", "b", "c", "ab", "bca", "abca", "cab"]);
    assert_eq!(pairs(&vocabulary, UnitKind::Byte), [(0, 1, 3), (2, 3, 6)]);
}

#[test]
fn empty_and_repeated_tokens_have_no_merge() {
    let vocabulary = ranked(&["a", "", "b", "ab", "ab", "a"]);
    assert_eq!(pairs(&vocabulary, UnitKind::Byte), [(0, 2, 3)]);
}

#[test]
fn tokens_with_characters_that_are_no_symbol_have_no_merge() {
    let vocabulary = ranked(&["a", "é", "aé", "日a", "aéa"]);
    assert_eq!(pairs(&vocabulary, UnitKind::Char), [(0, 1, 2), (2, 0, 4)]);
    assert_eq!(pairs(&vocabulary, UnitKind::Byte), []);
}

#[test]
fn tables_that_do_not_fit_together_are_errors() {
    for (offsets, order) in
        [(&[0, 1, 9][..], &[0][..]), (&[0, 2, 1], &[0]), (&[0, 1, 2], &[2]), (&[0, 1], &[0, 0])]
    {
        assert!(merges_from_ranks(b"ab", offsets, order, UnitKind::Byte).is_err());
    }
}
