//! BoundlessBPE: merges inside words, and merges of whole words.
//!
//! Two neighbouring pieces that are a token each, and words, may be joined like two tokens inside a
//! piece. At each step the more frequent of the best pair inside and the best pair across is taken
//! (Schmidt et al. 2025, arXiv 2504.00178), the pair across if they are equally frequent. No token
//! is made twice: a pair whose bytes are a token already is never joined.
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
use crate::error::{Error, Poll, Result};
use crate::map::Map;
use crate::merges::Merge;
use crate::token::{MAX_IDS, TokenId};

/// Merges in order, and which of them join whole pieces.
#[derive(Debug, Default)]
pub struct Boundless {
    pub merges: Vec<Merge>,
    pub counts: Vec<u64>,
    pub across: Vec<bool>,
}

/// Trains until there are `vocab_size` tokens or no pair is left.
///
/// # Errors
/// Those of `poll`; more text than the tables hold.
pub fn train_boundless(
    runs: &Runs,
    vocab_size: usize,
    min_count: u64,
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
    let mut made = Boundless::default();
    while symbols.size() < vocab_size {
        poll()?;
        let within = inside.queue.best(&symbols).filter(|best| best.1 >= min_count);
        let beyond = across.queue.best(&symbols).filter(|best| best.1 >= min_count);
        let is_across = match (within, beyond) {
            (Some(within), Some(beyond)) => beyond.1 >= within.1,
            (within, _) => within.is_none(),
        };
        let Some((pair, count)) = (if is_across { beyond } else { within }) else { break };
        let queue = if is_across { &mut across.queue } else { &mut inside.queue };
        let known = symbols.find(&symbols.joined(pair.0, pair.1)).is_some();
        let product = if known { None } else { symbols.join(pair.0, pair.1) };
        let Some(Product::New(product)) = product else {
            queue.ban(pair);
            continue;
        };
        if is_across {
            across.join(pair, product);
        } else {
            for piece in inside.join(pair, product, &symbols) {
                across.appear(piece, product);
            }
        }
        across.changes.settle(&mut across.queue, &symbols);
        made.merges.push(Merge { left: pair.0, right: pair.1, product });
        made.counts.push(count);
        made.across.push(is_across);
    }
    Ok(made)
}

/// The distinct pieces.
struct Inside {
    chains: Chains,
    queue: Queue,
    changes: Changes,
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
        let mut changes = Changes::default();
        changes.tell_all(&chains);
        changes.settle(&mut queue, symbols);
        let lengths = runs.pieces.iter().map(|piece| piece.len() as u32).collect();
        Ok(Inside { chains, queue, changes, lengths })
    }

    /// Joins a pair; returns the pieces that are one token now.
    fn join(&mut self, pair: Pair, product: TokenId, symbols: &Symbols) -> Vec<u32> {
        let weights = self.chains.weights();
        let Inside { chains, queue, changes, lengths } = self;
        let mut whole = Vec::new();
        chains.join(
            pair,
            product,
            |pair, row, change| changes.tell(pair, weights[row as usize], change),
            |_, row| {
                lengths[row as usize] -= 1;
                if lengths[row as usize] == 1 {
                    whole.push(row);
                }
            },
        );
        changes.settle(queue, symbols);
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
        let places = self.slots.remove(&piece).unwrap_or_default();
        let weights = self.chains.weights();
        let changes = &mut self.changes;
        self.chains.split(
            OPAQUE + piece,
            &[(token, 1)],
            &places,
            |pair, row, change| changes.tell(pair, weights[row as usize], change),
            |_, _| {},
        );
    }

    fn join(&mut self, pair: Pair, product: TokenId) {
        self.changes.join(&mut self.chains, pair, product);
    }
}
