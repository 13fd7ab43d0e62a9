//! How pieces become ids, beside merging by rank.
//!
//! `Replay` applies what a training did, event by event (Picky BPE). `Across` merges by rank inside
//! pieces and then joins neighbouring pieces that are one token each (BoundlessBPE): since the
//! merges that make a piece a token rank before those that join it to another, doing all of the
//! first kind before the second changes nothing. If tokens go, those across that join one of them
//! come before it goes: so a piece that is such a token waits as it is, and what has not been joined
//! in the end falls apart.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::encode::{Model, Scratch};
use crate::error::{Error, Poll, Result};
use crate::events::{self, Event, Events};
use crate::header::{Replay, ReplayStep};
use crate::merges::{Merge, Merges, NEVER, Pairs as _};
use crate::pretokenize::Span;
use crate::simd::Portable;
use crate::token::TokenId;
use crate::vocab::Vocab;

/// A rule of encoding.
#[derive(Debug)]
pub(super) enum Inference {
    /// Merges by rank, piece by piece.
    Ranks,
    /// Events, piece by piece; with the token of each byte.
    Replay(Box<Events>, Box<[TokenId; 256]>),
    /// Inside pieces, then across.
    Across(Box<Across>),
}

/// How pieces become tokens, and then join.
#[derive(Debug)]
pub(super) struct Across {
    /// What happens inside pieces, with the token of each byte; by rank where there is nothing.
    events: Option<(Events, [TokenId; 256])>,
    /// The merges of whole pieces.
    merges: Merges,
    /// Ids from here on are of tokens that are gone in the end.
    shown: usize,
    /// What these fall into, each token with its place.
    parts: Vec<Vec<Placed>>,
}

impl Across {
    /// Merges by rank inside pieces, then `merges` across.
    pub(super) fn by_rank(merges: Merges) -> Inference {
        let (shown, parts) = (usize::MAX, Vec::new());
        Inference::Across(Box::new(Across { events: None, merges, shown, parts }))
    }

    fn by_events(
        events: Events,
        units: [TokenId; 256],
        merges: Merges,
        replay: &Replay,
        vocab: &Vocab,
    ) -> Inference {
        let mut room = events::Scratch::default();
        let parts = replay.hidden.iter().map(|token| {
            let mut ids = Vec::new();
            events.encode(token, &units, &mut room, &mut ids);
            let mut at = 0;
            let place = |id| {
                let start = at;
                at += vocab.token_bytes(id).map_or(0, <[u8]>::len);
                (id, start)
            };
            ids.into_iter().map(place).collect()
        });
        let parts = parts.collect();
        Inference::Across(Box::new(Across {
            events: Some((events, units)),
            merges,
            shown: vocab.len(),
            parts,
        }))
    }

    /// Calls `emit` with the tokens of one piece and where in it they begin; a piece that was one
    /// token is this token.
    pub(super) fn encode_with_starts(
        &self,
        model: &Model,
        piece: &[u8],
        scratch: &mut Scratch,
        poll: Poll<'_>,
        mut emit: impl FnMut(TokenId, usize),
    ) -> Result<()> {
        let Some((events, units)) = &self.events else {
            return model.encode_with_starts(piece, scratch, poll, emit);
        };
        let (mut ids, mut at) = (Vec::new(), 0);
        events.encode_until_whole(piece, units, &mut events::Scratch::default(), &mut ids);
        for id in ids {
            emit(id, at);
            at += model.vocab.token_bytes(id).map_or(0, <[u8]>::len);
        }
        poll()
    }

    /// Calls `emit` with a token, or with what it falls into.
    fn settle(&self, (id, start): Placed, emit: &mut impl FnMut(Placed)) {
        match (id as usize).checked_sub(self.shown).and_then(|at| self.parts.get(at)) {
            None => emit((id, start)),
            Some(parts) => parts.iter().for_each(|&(id, at)| emit((id, start + at))),
        }
    }
}

/// A token and the offset where it begins.
pub(super) type Placed = (TokenId, usize);

impl Inference {
    /// Whether a piece becomes the same ids whatever stands around it.
    pub(super) fn is_local(&self) -> bool {
        !matches!(self, Inference::Across(_))
    }

    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Inference::Ranks)
    }

    /// The events of a definition.
    pub(super) fn replay(replay: &Replay, vocab: &Vocab, units: &[i64]) -> Result<Inference> {
        let size = vocab.len() + replay.hidden.len();
        let length = |id: u32| match replay.hidden.get((id as usize).wrapping_sub(vocab.len())) {
            Some(bytes) => Ok((id, bytes.len() as u32)),
            None => vocab.token_bytes(id).map(|bytes| (id, bytes.len() as u32)),
        };
        let refused = |what: String| Error::Definition(what);
        let (mut events, mut across) = (Events::default(), Vec::new());
        for (at, step) in replay.steps.iter().enumerate() {
            let sum = |parts: &[u32]| {
                let parts = parts.iter().map(|&id| length(id)).collect::<Result<Vec<_>>>()?;
                Ok::<_, Error>((parts.iter().map(|part| part.1).sum::<u32>(), parts))
            };
            let (whole, parts) = match step {
                ReplayStep::Join(left, right, product)
                | ReplayStep::Across(left, right, product) => (*product, vec![*left, *right]),
                ReplayStep::Split(ids) if ids.len() > 2 => (ids[0], ids[1..].to_vec()),
                ReplayStep::Split(ids) => {
                    return Err(refused(format!("step {at} splits into {} parts", ids.len())));
                }
            };
            let (total, placed) = sum(&parts)?;
            if length(whole)?.1 != total || placed.iter().any(|part| part.1 == 0) {
                return Err(refused(format!("step {at}: token {whole} is not its parts joined")));
            }
            match step {
                ReplayStep::Join(left, right, product) => {
                    events.push(Event::Join(Merge {
                        left: *left,
                        right: *right,
                        product: *product,
                    }));
                }
                ReplayStep::Across(left, right, product) => {
                    across.push(Merge { left: *left, right: *right, product: *product });
                }
                ReplayStep::Split(_) => {
                    events.push(Event::Split { token: whole, parts: placed });
                }
            }
        }
        let ids = units.iter().map(|&id| u32::try_from(id).ok().filter(|&id| (id as usize) < size));
        let ids = ids.collect::<Option<Vec<_>>>().and_then(|ids| <[u32; 256]>::try_from(ids).ok());
        let ids = ids.ok_or_else(|| refused("replaying needs a token for each byte".into()))?;
        if across.is_empty() {
            return Ok(Inference::Replay(Box::new(events), Box::new(ids)));
        }
        let merges = Merges::new(&across, size)?;
        Ok(Across::by_events(events, ids, merges, replay, vocab))
    }

    /// Appends the ids of pieces that become tokens by themselves.
    pub(super) fn encode(
        &self,
        model: &Model,
        text: &[u8],
        spans: &[Span],
        scratch: &mut Scratch,
        ids: &mut Vec<TokenId>,
        poll: Poll<'_>,
    ) -> Result<()> {
        let Inference::Replay(events, units) = self else {
            return model.encode(text, spans, scratch, ids, poll);
        };
        let mut room = events::Scratch::default();
        for span in spans {
            events.encode(&text[span.start..span.end], units, &mut room, ids);
        }
        poll()
    }

    /// Calls `emit` with the tokens of one piece and where in it they begin.
    pub(super) fn encode_with_starts(
        &self,
        model: &Model,
        piece: &[u8],
        scratch: &mut Scratch,
        poll: Poll<'_>,
        mut emit: impl FnMut(TokenId, usize),
    ) -> Result<()> {
        let Inference::Replay(events, units) = self else {
            return model.encode_with_starts(piece, scratch, poll, emit);
        };
        let (mut ids, mut at) = (Vec::new(), 0);
        events.encode(piece, units, &mut events::Scratch::default(), &mut ids);
        for id in ids {
            emit(id, at);
            at += model.vocab.token_bytes(id).map_or(0, <[u8]>::len);
        }
        poll()
    }
}

/// Pieces of one text on their way to ids, where neighbours may join.
pub(super) struct Runs<'a> {
    across: &'a Across,
    /// Neighbouring pieces that are one token each.
    run: Vec<Placed>,
    end: usize,
}

impl<'a> Runs<'a> {
    pub(super) fn new(across: &'a Across) -> Runs<'a> {
        Runs { across, run: Vec::new(), end: 0 }
    }

    /// Takes the tokens of the next piece; gives those that are final to `emit`.
    pub(super) fn piece(&mut self, span: Span, tokens: &[Placed], emit: &mut impl FnMut(Placed)) {
        if span.start != self.end || tokens.len() != 1 {
            self.finish(emit);
        }
        match tokens {
            [token] => self.run.push(*token),
            _ => tokens.iter().for_each(|&token| emit(token)),
        }
        self.end = span.end;
    }

    /// Joins what is left, and gives it to `emit`.
    pub(super) fn finish(&mut self, emit: &mut impl FnMut(Placed)) {
        join(&self.across.merges, &mut self.run);
        self.run.drain(..).for_each(|token| self.across.settle(token, emit));
    }
}

/// Joins neighbours by rank, the leftmost first among equals.
fn join(merges: &Merges, run: &mut Vec<Placed>) {
    let len = run.len();
    let mut before: Vec<usize> = (0..len).map(|at| at.wrapping_sub(1)).collect();
    let mut after: Vec<usize> = (1..=len).collect();
    let mut due = BinaryHeap::new();
    let note = |at: usize, left: Placed, right: Placed, due: &mut BinaryHeap<_>| {
        let rank = merges.rank(Portable, left.0, right.0);
        if rank != NEVER {
            due.push(Reverse((rank, at, left.0, right.0)));
        }
    };
    (1..len).for_each(|at| note(at - 1, run[at - 1], run[at], &mut due));
    let mut gone = vec![false; len];
    while let Some(Reverse((rank, at, left, right))) = due.pop() {
        let second = after[at];
        if gone[at] || run[at].0 != left || second >= len || run[second].0 != right {
            continue;
        }
        run[at].0 = merges.product(rank);
        gone[second] = true;
        after[at] = after[second];
        if after[at] < len {
            before[after[at]] = at;
        }
        for (one, two) in [(before[at], at), (at, after[at])] {
            if one < len && two < len {
                note(one, run[one], run[two], &mut due);
            }
        }
    }
    let mut at = 0;
    run.retain(|_| {
        at += 1;
        !gone[at - 1]
    });
}
