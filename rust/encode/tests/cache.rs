//! The piece cache against a map, while its tables grow.

use std::collections::HashMap;

use super::super::cache::{BROAD, Cache, NARROW, STRIDE};
use crate::pretokenize::Span;
use crate::token::TokenId;

/// Pieces of all lengths, in the order of a generator; of some there are many.
fn pieces(seed: u64, count: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut state = seed;
    (0..count).map(move |_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let len =
            if state >> 62 == 0 { 1 + state as usize % BROAD } else { 3 + state as usize % 9 };
        (0..len).map(|at| (state >> (5 * at % 40 + 8)) as u8).collect()
    })
}

fn ids_of(piece: &[u8], at: usize) -> Vec<TokenId> {
    (0..=piece.len() / 2).map(|k| (at * 7 + k) as TokenId & 0xf_ffff).collect()
}

fn get(cache: &Cache, piece: &[u8]) -> Option<Vec<TokenId>> {
    let asked = cache.ask(piece, Span { start: 0, end: piece.len() });
    let mut room = vec![0; BROAD + STRIDE];
    let count = match piece.len() <= NARROW {
        true => cache.write(cache.get(asked)?, &mut room),
        false => cache.get_longer(piece, asked, &mut room)?,
    };
    Some(room[..count].to_vec())
}

/// Fills a cache of so many bytes, and returns how many pieces it has and how many there were.
fn filled(seed: u64, bytes: usize, count: usize) -> (usize, usize) {
    let (mut cache, mut expected) = (Cache::new(bytes), HashMap::new());
    for (at, piece) in pieces(seed, count).enumerate() {
        if expected.contains_key(&piece) {
            continue;
        }
        let asked = cache.ask(&piece, Span { start: 0, end: piece.len() });
        let ids = ids_of(&piece, at);
        cache.insert(&piece, asked, &ids);
        expected.insert(piece, ids);
    }
    let found = expected.iter().filter_map(|(piece, ids)| Some((get(&cache, piece)?, ids)));
    let mut kept = 0;
    for (found, ids) in found {
        assert_eq!(&found, ids);
        kept += 1;
    }
    (kept, expected.len())
}

#[test]
fn a_cache_keeps_every_piece_while_its_tables_grow() {
    let sizes = (0..40).map(|_| 4_000).chain([10, 30_000, 200_000]);
    for (seed, count) in (1..).zip(sizes) {
        let (kept, all) = filled(seed, 1 << 28, count);
        assert_eq!(kept, all);
    }
}

#[test]
fn a_full_cache_keeps_what_it_has_room_for() {
    for bytes in [0, 5_000, 1 << 16, 1 << 20, 1 << 23] {
        let (kept, all) = filled(1, bytes, 200_000);
        assert!(kept < all && kept > bytes / 200, "{kept} of {all} in {bytes}");
    }
}
