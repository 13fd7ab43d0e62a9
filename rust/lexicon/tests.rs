//! The list in blocks against a plain one, and texts that come back.

use proptest::prelude::*;

use super::order::Order;
use super::{Learning, Lexicon, Proof, learn};

const LEARNING: Learning = Learning {
    alpha: 0.5,
    delta: 0.2,
    life: 10,
    proof: Proof::Anywhere,
    tail: 0.01,
    longest: 16,
    epochs: 3,
    seed: 7,
};

proptest! {
    #[test]
    fn ranks_are_those_of_a_plain_list(
        steps in prop::collection::vec((0..1_500u32, 0..2_000usize, 0..4u8), 0..3_000),
    ) {
        let (mut order, mut plain) = (Order::default(), Vec::new());
        for item in 0..1_000 {
            order.push(item);
            plain.push(item);
        }
        for (item, rank, kind) in steps {
            let there = plain.contains(&item);
            prop_assert_eq!(order.contains(item), there);
            if !there {
                order.insert(item, rank);
                plain.insert(rank.min(plain.len()), item);
                continue;
            }
            plain.retain(|&other| other != item);
            if kind == 0 {
                order.remove(item);
            } else {
                order.relocate(item, rank);
                plain.insert(rank.min(plain.len()), item);
            }
        }
        prop_assert_eq!(order.len(), plain.len());
        prop_assert!(order.iter().eq(plain.iter().copied()));
        for (rank, &item) in plain.iter().enumerate().step_by(37) {
            prop_assert_eq!(order.rank(item), rank);
        }
    }

    #[test]
    fn every_text_comes_back(
        sentences in prop::collection::vec(prop::collection::vec(0..3u8, 0..60), 0..8),
        text in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let views: Vec<&[u8]> = sentences.iter().map(Vec::as_slice).collect();
        let chunks = learn(&views, &LEARNING, &mut || Ok(())).expect("nothing interrupts");
        let lexicon = Lexicon::new(chunks.iter().map(Vec::as_slice)).expect("distinct chunks");
        for text in views.iter().copied().chain([text.as_slice()]) {
            let ids = lexicon.encode(text, &mut || Ok(())).expect("nothing interrupts");
            let back: Vec<u8> = ids
                .iter()
                .flat_map(|&id| lexicon.chunk(i64::from(id)).expect("ids of the lexicon"))
                .copied()
                .collect();
            prop_assert_eq!(back, text);
        }
    }
}

#[test]
fn fewer_chunks_win_over_the_longest_match() {
    let lexicon = Lexicon::new([&b"ab"[..], b"abc", b"cdef"]).expect("distinct chunks");
    // The longest match leaves d, e and f alone; with the second longest there are two chunks.
    assert_eq!(lexicon.encode(b"abcdef", &mut || Ok(())), Ok(vec![256, 258]));
    assert_eq!(lexicon.encode(b"abcd", &mut || Ok(())), Ok(vec![257, 100]));
}

#[test]
fn equal_numbers_of_chunks_go_by_rank() {
    for (ranked, expected) in [([&b"ab"[..], b"bc"], [256, 99]), ([b"bc", b"ab"], [97, 256])] {
        let lexicon = Lexicon::new(ranked).expect("distinct chunks");
        assert_eq!(lexicon.encode(b"abc", &mut || Ok(())), Ok(expected.to_vec()));
    }
    let lexicon = Lexicon::new([&b"b"[..]]);
    assert!(lexicon.is_err());
}
