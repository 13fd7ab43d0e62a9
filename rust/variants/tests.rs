//! Chains against rows that are rebuilt at every step.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::chains::{Chains, Change, Pair};
use super::extend::{Wanted, extend};
use super::queue::{Queue, Ties};
use super::symbols::Symbols;
use crate::token::TokenId;

fn counted(chains: &Chains) -> BTreeMap<Pair, u64> {
    let mut counts = BTreeMap::new();
    for (pair, row) in chains.pairs() {
        *counts.entry(pair).or_default() += chains.weight(row);
    }
    counts
}

fn joined(row: &[TokenId], pair: Pair, product: TokenId) -> Vec<TokenId> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at < row.len() {
        let here = at + 1 < row.len() && (row[at], row[at + 1]) == pair;
        out.push(if here { product } else { row[at] });
        at += if here { 2 } else { 1 };
    }
    out
}

fn built(rows: &[Vec<TokenId>]) -> Chains {
    let mut offsets = vec![0];
    rows.iter().for_each(|row| offsets.push(offsets[offsets.len() - 1] + row.len()));
    let weights: Vec<u64> = (1..=rows.len() as u64).collect();
    Chains::new(&rows.concat(), &offsets, &weights).expect("few units")
}

/// A product, its parts with their lengths, and where it was made.
type Made = (TokenId, Vec<(TokenId, u32)>, Vec<u32>);

fn rows() -> impl Strategy<Value = Vec<Vec<TokenId>>> {
    prop::collection::vec(prop::collection::vec(0..3u32, 0..30), 0..5)
}

proptest! {
    #[test]
    fn joins_and_splits_are_those_of_rebuilt_rows(
        rows in rows(),
        steps in prop::collection::vec((0..6u32, 0..6u32, any::<bool>()), 0..12),
    ) {
        let mut chains = built(&rows);
        let mut naive = rows;
        let mut counts = counted(&chains);
        // The product of a step is `6 + step`.
        let mut made: Vec<Made> = Vec::new();
        let mut lengths: Vec<u32> = vec![1; 64];
        for (step, (left, right, undo)) in steps.into_iter().enumerate() {
            let mut change = |pair: Pair, row: u32, change: Change| {
                let count: &mut u64 = counts.entry(pair).or_default();
                match change {
                    Change::New => *count += u64::from(row + 1),
                    Change::Gone => *count -= u64::from(row + 1),
                }
            };
            if undo && let Some((token, parts, places)) = made.pop() {
                let mut again = Vec::new();
                chains.split(token, &parts, &places, &mut change, |part, at, _| again.push((part, at)));
                for row in &mut naive {
                    *row = row.iter().flat_map(|&id| match id == token {
                        true => parts.iter().map(|part| part.0).collect(),
                        false => vec![id],
                    }).collect();
                }
                prop_assert_eq!(again.len() % parts.len(), 0);
            } else {
                let product = 6 + step as TokenId;
                let mut places = Vec::new();
                chains.join((left, right), product, &mut change, |at, _| places.push(at));
                for row in &mut naive {
                    *row = joined(row, (left, right), product);
                }
                let parts = [left, right].map(|id| (id, lengths[id as usize])).to_vec();
                lengths[product as usize] = parts[0].1 + parts[1].1;
                made.push((product, parts, places));
            }
            counts.retain(|_, count| *count > 0);
            prop_assert_eq!(&counted(&chains), &counts);
            prop_assert_eq!(&counted(&built(&naive)), &counts);
        }
        let ids: Vec<TokenId> = chains.tokens().map(|(id, _)| id).collect();
        prop_assert_eq!(ids, naive.concat());
    }
}

#[test]
fn equal_bytes_join_from_left_to_right() {
    let mut chains = built(&[vec![97; 5]]);
    let mut symbols = Symbols::bytes();
    let wanted = Wanted { tokens: 1, min_count: 1 };
    let made =
        extend(&mut chains, &mut symbols, Queue::new(Ties::SmallestIds), wanted, &mut || Ok(()));
    assert_eq!(made.map(|made| made.counts), Ok(vec![4]));
    assert_eq!(chains.tokens().map(|(id, _)| id).collect::<Vec<_>>(), [256, 256, 97]);
}

#[test]
fn weights_beyond_64_bits_are_an_error() {
    assert!(Chains::new(&[1, 2], &[0, 2], &[u64::MAX]).is_err());
    assert!(Chains::new(&[1, 2], &[0, 1, 2], &[u64::MAX - 1, 1]).is_ok());
}
