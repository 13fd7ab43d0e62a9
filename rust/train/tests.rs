//! The merge loop against the definition: count all adjacent pairs, join the best, count again.

use std::cmp::Reverse;
use std::collections::HashMap;

use proptest::prelude::*;

use super::replay::Replay;
use super::*;

/// Pieces as the trainer takes them.
pub(super) struct Flat {
    arena: Vec<u8>,
    offsets: Vec<u64>,
    counts: Vec<u64>,
}

impl Flat {
    pub(super) fn new<T: AsRef<[u8]>>(pieces: &[(T, u64)]) -> Flat {
        let mut flat = Flat { arena: vec![], offsets: vec![0], counts: vec![] };
        for (piece, count) in pieces {
            flat.arena.extend_from_slice(piece.as_ref());
            flat.offsets.push(flat.arena.len() as u64);
            flat.counts.push(*count);
        }
        flat
    }

    pub(super) fn pieces(&self) -> Pieces<'_> {
        Pieces { arena: &self.arena, offsets: &self.offsets, counts: &self.counts }
    }
}

pub(super) fn go_on() -> Result<()> {
    Ok(())
}

fn trained(pieces: &[(Vec<u8>, u64)], size: usize, settings: &Settings) -> Vec<Step> {
    train(Flat::new(pieces).pieces(), size, settings, &mut go_on).expect("pieces that fit")
}

/// The definition.
fn definition(pieces: &[(Vec<u8>, u64)], size: usize, settings: &Settings) -> Vec<Step> {
    let id_of = |byte: &u8| settings.order.iter().position(|b| b == byte).unwrap() as TokenId;
    let mut words: Vec<(Vec<TokenId>, u64)> =
        pieces.iter().map(|(piece, n)| (piece.iter().map(id_of).collect(), *n)).collect();
    let mut tokens: Vec<Vec<u8>> = settings.order.iter().map(|byte| vec![*byte]).collect();
    let mut steps = Vec::new();
    while tokens.len() < size {
        let mut counts: HashMap<(TokenId, TokenId), u64> = HashMap::new();
        for (word, n) in &words {
            word.windows(2).for_each(|w| *counts.entry((w[0], w[1])).or_default() += n);
        }
        counts.retain(|pair, count| {
            let (left, right) = (&tokens[pair.0 as usize], &tokens[pair.1 as usize]);
            *count >= settings.min_count.max(1) && rules::allow(&settings.rules, left, right)
        });
        let best = counts.iter().max_by_key(|(pair, count)| (**count, Reverse(**pair)));
        let Some((&(left, right), &count)) = best else { break };
        let joined = [&tokens[left as usize][..], &tokens[right as usize]].concat();
        let product = tokens.iter().position(|token| *token == joined).unwrap_or(tokens.len());
        if product == tokens.len() {
            tokens.push(joined);
        }
        let product = product as TokenId;
        words.iter_mut().for_each(|(word, _)| replace(word, (left, right), product));
        steps.push(Step { left, right, product, count });
    }
    steps
}

/// Replaces a pair from left to right.
fn replace(word: &mut Vec<TokenId>, pair: (TokenId, TokenId), product: TokenId) {
    let mut at = 0;
    while at + 1 < word.len() {
        if (word[at], word[at + 1]) == pair {
            word[at] = product;
            word.remove(at + 1);
        }
        at += 1;
    }
}

fn piece(alphabet: &'static [u8], most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(alphabet), 0..most)
}

fn some_pieces() -> impl Strategy<Value = Vec<(Vec<u8>, u64)>> {
    let words = prop::collection::vec((piece(b"abcd", 12), 0u64..6), 0..30);
    let runs = prop::collection::vec((piece(b"ab", 40), 1u64..3), 0..6);
    let long = prop::collection::vec((piece(b"acgt", 700), 1u64..4), 0..3);
    let heavy = prop::collection::vec((piece(b"ab\xff", 6), (1u64 << 31) - 3..1 << 40), 0..3);
    (words, runs, long, heavy).prop_map(|(a, b, c, d)| [a, b, c, d].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn merges_are_those_of_the_definition(pieces in some_pieces(), least in 0u64..4, backwards: bool) {
        let mut settings = Settings { min_count: least, ..Settings::default() };
        if backwards {
            settings.order.reverse();
        }
        prop_assert_eq!(trained(&pieces, 330, &settings), definition(&pieces, 330, &settings));
    }

    #[test]
    fn rules_forbid_as_in_the_definition(pieces in some_pieces(), most in 1usize..5) {
        let rules = vec![Rule::MaxBytes { most }];
        let settings = Settings { rules, ..Settings::default() };
        prop_assert_eq!(trained(&pieces, 330, &settings), definition(&pieces, 330, &settings));
    }

    #[test]
    fn counts_and_length_are_those_of_the_text(pieces in some_pieces(), seed in 0usize..50) {
        let flat = Flat::new(&pieces);
        let mut trainer =
            Trainer::new(flat.pieces(), &Settings::default(), &mut go_on).expect("fits");
        let mut words: Vec<(Vec<TokenId>, u64)> =
            pieces.iter().map(|(p, n)| (p.iter().map(|b| u32::from(*b)).collect(), *n)).collect();
        for turn in 0..30 {
            let mut counts: Vec<_> = all_pairs(&words).into_iter().collect();
            counts.sort_unstable();
            let total: u64 = words.iter().map(|(word, n)| word.len() as u64 * n).sum();
            prop_assert_eq!(trainer.length(), total);
            for ((left, right), count) in &counts {
                prop_assert_eq!(trainer.count(*left, *right), *count);
            }
            if counts.is_empty() {
                break;
            }
            trainer.pairs.tidy(0);
            // Any pair may be merged, not only the best, and in any order.
            let ((left, right), count) = counts[(seed * 31 + turn * 17) % counts.len()];
            let step = trainer.merge(left, right, &mut go_on).expect("a pair of the text");
            prop_assert_eq!(step.count, count);
            words.iter_mut().for_each(|(word, _)| replace(word, (left, right), step.product));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn replay_tells_every_change(pieces in some_pieces(), seed in 0usize..50) {
        let flat = Flat::new(&pieces);
        let order = std::array::from_fn(|at| at as u8);
        let mut replay = Replay::new(flat.pieces(), order, &mut go_on).expect("fits");
        let mut words: Vec<(Vec<TokenId>, u64)> =
            pieces.iter().map(|(p, n)| (p.iter().map(|b| u32::from(*b)).collect(), *n)).collect();
        for turn in 0..30 {
            let before = all_pairs(&words);
            let mut pairs: Vec<_> = before.keys().copied().collect();
            pairs.sort_unstable();
            // Now and then a pair that stands nowhere.
            let absent = turn % 7 == 3 || pairs.is_empty();
            let (left, right) = if absent { (turn as u32, 3) } else { pairs[(seed * 31 + turn) % pairs.len()] };
            let changes = replay.advance(&[[left, right]], &mut go_on).expect("known ids");
            let product = changes.steps[0].product;
            words.iter_mut().for_each(|(word, _)| replace(word, (left, right), product));
            let mut after = before.clone();
            for (pair, delta) in changes.pairs.iter().zip(&changes.deltas) {
                let count = after.entry(*pair).or_default();
                *count = count.checked_add_signed(*delta).expect("no count is below 0");
            }
            after.retain(|_, count| *count > 0);
            prop_assert_eq!(&after, &all_pairs(&words));
            prop_assert!(changes.pairs.is_sorted_by(|one, other| one < other));
            let counted: HashMap<_, _> =
                replay.trainer().pairs().iter().map(|c| ((c.left, c.right), c.count)).collect();
            prop_assert_eq!(counted, after);
        }
    }
}

fn all_pairs(words: &[(Vec<TokenId>, u64)]) -> HashMap<(TokenId, TokenId), u64> {
    let mut counts = HashMap::new();
    for (word, n) in words.iter().filter(|(_, n)| *n > 0) {
        word.windows(2).for_each(|w| *counts.entry((w[0], w[1])).or_default() += n);
    }
    counts
}

#[test]
fn a_pair_that_became_too_rare_is_not_merged() {
    let pieces = [("ab", 20), ("abc", 3), ("bc", 4)].map(|(p, n)| (p.as_bytes().to_vec(), n));
    let settings = Settings { min_count: 5, ..Settings::default() };
    // The other pair stood 7 times and then 4.
    let steps = [Step { left: 97, right: 98, product: 256, count: 23 }];
    assert_eq!(trained(&pieces, 300, &settings), steps);
}

#[test]
fn nothing_comes_of_nothing() {
    for pieces in [vec![], vec![(vec![], 3)], vec![(b"a".to_vec(), 5)], vec![(b"ab".to_vec(), 0)]] {
        assert_eq!(trained(&pieces, 300, &Settings::default()), []);
    }
}

#[test]
fn equal_bytes_double_up_to_the_longest_token() {
    let steps = trained(&[(vec![b'a'; 1 << 20], 1)], 1000, &Settings::default());
    let doubled = steps.iter().take_while(|step| step.left == step.right).count();
    assert_eq!(doubled, 16);
    assert_eq!(steps.len(), 16, "a token of 2^17 bytes is too long");
}

#[test]
fn counts_that_64_bits_cannot_hold_are_refused() {
    let flat = Flat::new(&[(b"ab", u64::MAX / 2), (b"cd", 1)]);
    assert!(train(flat.pieces(), 300, &Settings::default(), &mut go_on).is_err());
    let flat = Flat::new(&[(b"ab", u64::MAX / 2)]);
    let steps = train(flat.pieces(), 300, &Settings::default(), &mut go_on).expect("fits");
    assert_eq!(steps[0].count, u64::MAX / 2);
}

#[test]
fn more_distinct_text_than_places_can_be_counted_is_refused_by_its_size() {
    // Zeroes that nobody reads take no memory.
    let (arena, offsets) = (vec![0; 1 << 30], [0, 1 << 30]);
    let pieces = Pieces { arena: &arena, offsets: &offsets, counts: &[1] };
    let refused = Trainer::new(pieces, &Settings::default(), &mut go_on);
    let Err(Error::Argument(message)) = refused else { panic!("it was not refused") };
    assert!(message.starts_with("1073741826 bytes of distinct pieces"), "{message}");
    assert!(message.contains("at most 1073741824"), "{message}");
}

#[test]
fn flat_arrays_that_do_not_fit_are_refused() {
    for (offsets, counts) in
        [(vec![0u64, 3], vec![1u64]), (vec![0, 2], vec![]), (vec![], vec![]), (vec![1, 2], vec![1])]
    {
        let pieces = Pieces { arena: b"ab", offsets: &offsets, counts: &counts };
        assert!(Trainer::new(pieces, &Settings::default(), &mut go_on).is_err());
    }
}

#[test]
fn an_interrupted_merge_leaves_a_trainer_that_says_so() {
    let flat = Flat::new(&[(b"ab".repeat(1 << 19), 1)]);
    let mut trainer = Trainer::new(flat.pieces(), &Settings::default(), &mut go_on).expect("fits");
    let mut stop = || Err(Error::Interrupted);
    assert_eq!(trainer.merge(97, 98, &mut stop), Err(Error::Interrupted));
    assert!(matches!(trainer.merge(97, 98, &mut go_on), Err(Error::Argument(_))));
}

#[test]
fn ids_that_no_token_has_are_errors() {
    let flat = Flat::new(&[(b"ab", 1)]);
    let mut trainer = Trainer::new(flat.pieces(), &Settings::default(), &mut go_on).expect("fits");
    let unknown = trainer.merge(97, 256, &mut go_on);
    assert_eq!(unknown, Err(Error::UnknownToken { id: 256, size: 256 }));
}
