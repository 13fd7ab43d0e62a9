//! Sorting against a plain sort, counts against a plain count, rows against each other.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// The window at each place, by its definition.
fn window(stream: &[u32], end: u32, place: usize, depth: usize) -> &[u32] {
    let rest = &stream[place..];
    let stop = rest.iter().skip(1).position(|&id| id == end).map_or(rest.len(), |at| at + 2);
    &rest[..stop.min(depth).min(rest.len())]
}

fn documents(width: u32) -> impl Strategy<Value = Vec<Vec<u32>>> {
    prop::collection::vec(prop::collection::vec(0..width, 0..12), 0..40)
}

fn gathered(texts: &[Vec<u32>], end: u32) -> Documents {
    let mut gathered = Documents::new(end as usize + 1, end).expect("the end is the last id");
    for text in texts {
        let ids: Vec<i32> = text.iter().map(|&id| id.cast_signed()).collect();
        gathered.push(&ids, &[0, ids.len() as i64], None).expect("ids are below the end");
    }
    gathered
}

proptest! {
    #[test]
    fn places_are_in_the_order_of_their_windows(
        texts in documents(3), depth in 1usize..8, threads in 1usize..4
    ) {
        let stream = gathered(&texts, 3).stream;
        let sorted = sort::sort(&stream, 3, depth, threads, &mut || Ok(())).expect("no poll fails");
        // Pairs of ids are compared whole, so an even depth is sorted one deeper.
        prop_assert_eq!(sorted.depth, depth / 2 * 2 + 1);
        let depth = sorted.depth;
        let mut expected: Vec<u32> = (0..stream.len() as u32).collect();
        expected.sort_by_key(|&place| {
            (window(&stream, 3, place as usize, depth), place)
        });
        prop_assert_eq!(&sorted.places, &expected);
        let places = suffixes::sort_on(&stream, 3, sorted, threads, &mut || Ok(()));
        expected.sort_by_key(|&place| (window(&stream, 3, place as usize, usize::MAX), place));
        prop_assert_eq!(places.expect("no poll fails"), expected);
    }

    #[test]
    fn levels_hold_every_ngram_once_and_in_order(texts in documents(4), order in 2usize..6) {
        let gathered = gathered(&texts, 4);
        let stream = gathered.stream.clone();
        let (words, layout) = gathered.count(order, Reach::Order, 2, &mut || Ok(())).expect("no poll fails");
        layout.check(&words, &mut || Ok(())).expect("what is made is whole");
        let levels = layout.levels(&words).expect("what is made is whole");
        let mut grams: Vec<Vec<u32>> = (0..=4).map(|id| vec![id]).collect();
        for length in 2..=order {
            let below = &levels[length - 2];
            let mut next = Vec::new();
            for (node, gram) in grams.iter().enumerate() {
                for follower in below.followers(node) {
                    let last = levels[length - 1].ids[follower];
                    next.push([gram.as_slice(), &[last]].concat());
                }
            }
            let mut expected = BTreeMap::new();
            for place in 0..stream.len() {
                let window = window(&stream, 4, place, length);
                if window.len() == length {
                    *expected.entry(window.to_vec()).or_insert(0u32) += 1;
                }
            }
            prop_assert_eq!(&next, &expected.keys().cloned().collect::<Vec<_>>());
            if length == order {
                let counts: Vec<u32> = expected.into_values().collect();
                prop_assert_eq!(levels[length - 1].counts, &counts);
            }
            grams = next;
        }
    }

    #[test]
    fn the_sparse_form_is_the_row(texts in documents(4), context in prop::collection::vec(0..5i32, 0..6)) {
        let counted = gathered(&texts, 4).count(4, Reach::Order, 1, &mut || Ok(()));
        let (words, layout) = counted.expect("no poll fails");
        let model = Model::new(layout, &words, &[], &mut || Ok(())).expect("what is made is whole");
        let mut scratch = Scratch::default();
        let mut row = [0f64; 5];
        model.row(&words, &context, &mut scratch, &mut row).expect("the ids are inside");
        let sparse = model.sparse(&words, &context, &mut scratch).expect("the ids are inside");
        let mut expected: Vec<f64> = model.log_base().iter().map(|log| log + sparse.shift).collect();
        for (&id, &log) in sparse.pairs.iter().zip(sparse.log_pairs) {
            expected[id as usize] = log + sparse.pair_shift;
        }
        prop_assert!(sparse.ids.iter().all(|id| sparse.pairs.contains(id)));
        for (&id, &log) in sparse.ids.iter().zip(sparse.logs) {
            expected[id as usize] = log;
        }
        prop_assert_eq!(row.as_slice(), expected.as_slice());
        let sum: f64 = row.iter().map(|log| log.exp()).sum();
        prop_assert!((sum - 1.0).abs() < 1e-12, "{}", sum);
    }
}

/// The longest end of what a document had that occurs in a stream, and what follows it, by trying all.
fn longest(stream: &[u32], context: &[u32], end: u32, least: usize) -> Option<(usize, Followers)> {
    let from = context.iter().rposition(|&id| id == end).map_or(0, |at| at + 1);
    let ids = [&[end], &context[from..]].concat();
    (least..=ids.len()).rev().find_map(|length| {
        let wanted = &ids[ids.len() - length..];
        let places: Vec<usize> =
            (0..stream.len()).filter(|&at| stream[at..].starts_with(wanted)).collect();
        let mut counts = BTreeMap::new();
        for &id in places.iter().filter_map(|&at| stream.get(at + length)) {
            *counts.entry(id).or_insert(0) += 1;
        }
        let found = Followers {
            ids: counts.keys().copied().collect(),
            counts: counts.into_values().collect(),
        };
        (!places.is_empty()).then_some((length, found))
    })
}

proptest! {
    #[test]
    fn the_longest_end_is_the_one_that_trying_all_finds(
        blocks in prop::collection::vec(prop::collection::vec(0u32..3, 1..50), 1..4),
        texts in prop::collection::vec(prop::collection::vec((0usize..4, 0u32..3), 0..5), 1..30),
        context in prop::collection::vec((0usize..4, 0u32..4), 0..5),
        least in 1usize..6,
    ) {
        // Texts of the same blocks with single ids between them: the id 3 ends a text.
        let written = |parts: &[(usize, u32)]| -> Vec<u32> {
            parts.iter().flat_map(|&(block, id)| {
                blocks.get(block).into_iter().flatten().copied().chain([id])
            }).collect()
        };
        let texts: Vec<Vec<u32>> = texts.iter().map(|parts| written(parts)).collect();
        let stream = gathered(&texts, 3).stream;
        let sorted = sort::sort(&stream, 3, 5, 1, &mut || Ok(())).expect("no poll fails");
        let places = suffixes::sort_on(&stream, 3, sorted, 1, &mut || Ok(())).expect("no poll fails");
        let suffixes = suffixes::Suffixes { stream: &stream, places: &places };
        // What one of the texts has, and what none has.
        let mut contexts = vec![written(&context)];
        contexts.extend(texts.iter().take(3).cloned());
        contexts.push([texts[0].as_slice(), &written(&context)].concat());
        contexts.push([written(&context).as_slice(), &texts[0]].concat());
        for context in contexts {
            let ids: Vec<i32> = context.iter().map(|id| id.cast_signed()).collect();
            let found = suffixes.longest(suffixes::Context::new(&ids, 3), least);
            prop_assert_eq!(found, longest(&stream, &context, 3, least));
        }
    }
}

#[test]
fn work_can_be_stopped() {
    let texts = vec![vec![0, 1, 2, 1]; 1000];
    for allowed in 0..6 {
        let mut left = allowed;
        let stopped = gathered(&texts, 3).count(4, Reach::Order, 1, &mut || {
            left -= 1;
            if left < 0 { Err(Error::Interrupted) } else { Ok(()) }
        });
        assert!(matches!(stopped, Err(Error::Interrupted)));
    }
}

#[test]
fn ids_and_ends_outside_are_refused() {
    assert!(Documents::new(3, 3).is_err());
    let mut documents = Documents::new(4, 3).expect("the end is the last id");
    for (ids, offsets) in [([0, 3], [0, 2]), ([0, 4], [0, 2]), ([-1, 0], [0, 2]), ([0, 0], [0, 3])]
    {
        assert!(matches!(documents.push(&ids, &offsets, None), Err(Error::Argument(_))));
    }
    assert!(documents.count(0, Reach::Order, 1, &mut || Ok(())).is_err());
}
