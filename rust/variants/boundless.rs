//! BoundlessBPE: merges inside words, and merges of whole words.
//!
//! Two neighbouring pieces that are a token each, and words, may be joined like two tokens inside a
//! piece. At each step the more frequent of the best pair inside and the best pair across is taken
//! (Schmidt et al. 2025, arXiv 2504.00178), the pair across if they are equally frequent. No token
//! is made twice: a pair whose bytes are a token already is never joined.
//!
//! Where a merge inside takes at least the share `tau` of what a part of it stood for inside pieces,
//! the part goes: its other uses fall into bytes, and a piece that was this token alone is none any
//! more, so that it joins no neighbour from then on. Merges across take nothing out, and what they
//! made stays.
//!
//! Inside, the text is its distinct pieces. Across, it is its distinct runs of words, each word a
//! single slot that stays opaque until the word is one token (counting aggregated as in
//! arXiv 2604.05192). So the work across begins with a slot a word, not a byte, and a word that
//! never becomes a token costs nothing more.

use super::chains::{Chains, Pair};
use super::extend::Changes;
use super::queue::{Queue, Ties};
use super::runs::Runs;
use super::symbols::{Product, Symbols};
use super::tracked::Tracked;
use crate::error::{Error, Poll, Result};
use crate::events::Event;
use crate::map::Map;
use crate::merges::Merge;
use crate::token::{MAX_IDS, MAX_MERGES, TokenId};

/// What happened, in order, and the tokens.
#[derive(Debug)]
pub struct Boundless {
    pub events: Vec<Event>,
    /// Which of the events join whole pieces.
    pub across: Vec<bool>,
    pub symbols: Symbols,
    /// Which of the tokens are there in the end.
    pub present: Vec<bool>,
}

/// Trains until there are `vocab_size` tokens or no pair is left; without `tau`, every token stays.
///
/// # Errors
/// Those of `poll`; more text than the tables hold.
pub fn train_boundless(
    runs: &Runs,
    vocab_size: usize,
    min_count: u64,
    tau: Option<f64>,
    poll: Poll<'_>,
) -> Result<Boundless> {
    let mut symbols = Symbols::bytes();
    let mut inside = Inside::new(runs, &symbols)?;
    let mut across = Across::new(runs)?;
    // A piece of one byte is a token from the start.
    for piece in 0..runs.pieces.len() {
        if let [byte] = runs.pieces[piece][..] {
            across.appear(piece as u32, TokenId::from(byte));
        }
    }
    across.changes.settle(&mut across.queue, &symbols);
    let mut is_across = Vec::new();
    while inside.tracked.alive < vocab_size {
        poll()?;
        if is_across.len() >= MAX_MERGES {
            return Err(Error::Argument(format!("more than {MAX_MERGES} merges and removals")));
        }
        let within = inside.queue.best(&symbols).filter(|best| best.1 >= min_count);
        let beyond = across.queue.best(&symbols).filter(|best| best.1 >= min_count);
        let crosses = match (within, beyond) {
            (Some(within), Some(beyond)) => beyond.1 >= within.1,
            (within, _) => within.is_none(),
        };
        let Some((pair, _)) = (if crosses { beyond } else { within }) else { break };
        let queue = if crosses { &mut across.queue } else { &mut inside.queue };
        let known = symbols.find(&symbols.joined(pair.0, pair.1)).is_some();
        let product = if known { None } else { symbols.join(pair.0, pair.1) };
        let Some(Product::New(product)) = product else {
            queue.ban(pair);
            continue;
        };
        if crosses {
            across.join(pair, product);
            inside.tracked.appear(product);
            let merge = Merge { left: pair.0, right: pair.1, product };
            inside.tracked.events.push(Event::Join(merge));
        } else {
            for piece in inside.join(pair, product, tau, &symbols) {
                match piece {
                    Whole::Now(piece, token) => across.appear(piece, token),
                    Whole::NoMore(piece, token) => across.vanish(piece, token),
                }
            }
        }
        is_across.resize(inside.tracked.events.len(), crosses);
        across.changes.settle(&mut across.queue, &symbols);
    }
    let Tracked { events, present, .. } = inside.tracked;
    Ok(Boundless { events, across: is_across, symbols, present })
}

/// A piece that has become one token, or is one no more.
enum Whole {
    Now(u32, TokenId),
    NoMore(u32, TokenId),
}

/// The distinct pieces.
struct Inside {
    chains: Chains,
    queue: Queue,
    tracked: Tracked,
    /// Tokens that each piece has.
    lengths: Vec<u32>,
}

impl Inside {
    fn new(runs: &Runs, symbols: &Symbols) -> Result<Inside> {
        let values: Vec<TokenId> =
            runs.pieces.iter().flatten().map(|&byte| TokenId::from(byte)).collect();
        let mut ends = vec![0];
        runs.pieces.iter().for_each(|piece| ends.push(ends[ends.len() - 1] + piece.len()));
        let chains = Chains::new(&values, &ends, &runs.counts)?;
        let mut queue = Queue::new(Ties::SmallestBytes);
        let mut tracked = Tracked::new(&chains, symbols);
        tracked.changes.settle(&mut queue, symbols);
        let lengths = runs.pieces.iter().map(|piece| piece.len() as u32).collect();
        Ok(Inside { chains, queue, tracked, lengths })
    }

    /// Joins a pair, and takes out what of it hardly stands for itself. Returns the pieces that are
    /// one token now, then those that are none any more.
    fn join(
        &mut self,
        pair: Pair,
        product: TokenId,
        tau: Option<f64>,
        symbols: &Symbols,
    ) -> Vec<Whole> {
        let Inside { chains, queue, tracked, lengths } = self;
        let before = [pair.0, pair.1].map(|part| (part, tracked.counts[part as usize]));
        let mut whole = Vec::new();
        let times = tracked.join(chains, pair, product, |row| {
            lengths[row as usize] -= 1;
            if lengths[row as usize] == 1 {
                whole.push(Whole::Now(row, product));
            }
        });
        for (part, uses) in before {
            let used_up = tau.is_some_and(|tau| times as f64 / uses as f64 >= tau);
            if used_up && symbols.get(part).len() > 1 && tracked.present[part as usize] {
                let bytes = symbols.get(part).iter().map(|&byte| (TokenId::from(byte), 1));
                let (parts, mut nth) = (bytes.collect::<Vec<_>>(), 0);
                let count = parts.len();
                tracked.split(chains, part, parts, |row| {
                    // The first byte takes the place of the token, the others come on top.
                    if nth % count > 0 {
                        lengths[row as usize] += 1;
                    } else if lengths[row as usize] == 1 {
                        whole.push(Whole::NoMore(row, part));
                    }
                    nth += 1;
                });
            }
        }
        tracked.changes.settle(queue, symbols);
        whole
    }
}

/// The distinct runs of words.
struct Across {
    chains: Chains,
    queue: Queue,
    changes: Changes,
    /// The slots of each piece.
    slots: Map<u32, Vec<u32>>,
}

/// Slots of pieces that are no token yet have ids from here on.
const OPAQUE: TokenId = MAX_IDS as TokenId;

impl Across {
    fn new(runs: &Runs) -> Result<Across> {
        if runs.pieces.len() >= (TokenId::MAX - OPAQUE) as usize {
            return Err(Error::Argument(format!(
                "{} distinct pieces: too many",
                runs.pieces.len()
            )));
        }
        // In one order whatever the hash, so that slots are those of every other run of this.
        let mut sorted: Vec<(&Vec<u32>, &u64)> = runs.runs.iter().collect();
        sorted.sort_unstable();
        let (mut values, mut ends, mut counts) = (Vec::new(), vec![0], Vec::new());
        let mut slots: Map<u32, Vec<u32>> = Map::default();
        for (run, &count) in sorted {
            for &piece in run {
                slots.entry(piece).or_default().push(values.len() as u32);
                values.push(OPAQUE + piece);
            }
            ends.push(values.len());
            counts.push(count);
        }
        let chains = Chains::with_opaque(&values, &ends, &counts, OPAQUE)?;
        let queue = Queue::new(Ties::SmallestBytes);
        Ok(Across { chains, queue, changes: Changes::default(), slots })
    }

    /// A piece has become a token.
    fn appear(&mut self, piece: u32, token: TokenId) {
        self.replace(piece, OPAQUE + piece, token);
    }

    /// A piece is no token any more, where it has not been joined to another.
    fn vanish(&mut self, piece: u32, token: TokenId) {
        self.replace(piece, token, OPAQUE + piece);
    }

    fn replace(&mut self, piece: u32, old: TokenId, new: TokenId) {
        let places = self.slots.get(&piece).map_or(&[][..], Vec::as_slice);
        let weights = self.chains.weights();
        let changes = &mut self.changes;
        self.chains.split(
            old,
            &[(new, 1)],
            places,
            |pair, row, change| changes.tell(pair, weights[row as usize], change),
            |_, _, _| {},
        );
    }

    fn join(&mut self, pair: Pair, product: TokenId) {
        self.changes.join(&mut self.chains, pair, product);
    }
}
