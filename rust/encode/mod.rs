//! Pieces to ids: the piece cache, and behind it the merges.

mod cache;
mod cut;
mod long;
mod merge;
mod ranks;
mod reach;
mod units;

#[cfg(test)]
mod tests;

use crate::error::{Poll, Result};
use crate::merges::{Merges, Pairs as _};
use crate::pretokenize::Span;
use crate::token::{Kind, TokenId};
use crate::vocab::Vocab;

use cache::{BROAD, BroadKey, Key, NARROW, NarrowKey, Table, WIDE, WideKey};
use cut::Cuts;
use long::Long;
use merge::{SHORT, merge_short};
pub(crate) use ranks::single_char;
pub use ranks::{UnitKind, merges_from_ranks};
use reach::Unreachable;
pub(crate) use units::byte_table;
use units::{ABSENT, Unit};
pub use units::{CharTable, Units};

/// Pieces whose cache lines are asked for at once.
const GROUP: usize = 32;
/// Bytes of a long piece between two looks at whether to go on.
const POLL_BYTES: usize = 1 << 18;

/// What decides the ids of a piece.
#[derive(Debug)]
pub struct Model {
    pub vocab: Vocab,
    pub merges: Merges,
    pub units: Units,
    pub whole_pieces: WholePieces,
    /// The unknown token, when runs of it become one.
    pub fused: Option<TokenId>,
    /// Where pieces may be cut, if at all.
    cuts: Option<Cuts>,
    unreachable: Unreachable,
}

/// What a stretch of text is to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A piece as the pre-tokenizer made it.
    Piece,
    /// A part of one, between places where no merge can cross.
    Part,
}

/// What becomes of a piece that is a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WholePieces {
    /// It is that token, whatever the merges say.
    AreTokens,
    /// It is merged like any other.
    AreMerged,
}

/// What one thread needs to encode: caches and buffers. Holds nothing but copies of results, so any
/// scratch serves any text of the same model.
#[derive(Debug)]
pub struct Scratch {
    narrow: Table<NarrowKey, 3>,
    wide: Table<WideKey, 7>,
    broad: Table<BroadKey, 15>,
    long: Long,
    units: Vec<Unit>,
}

impl Scratch {
    /// A scratch whose caches take at most about `bytes`.
    pub fn new(bytes: usize) -> Scratch {
        Scratch {
            narrow: Table::new(bytes / 2, bytes / 16),
            wide: Table::new(bytes / 4, bytes / 32),
            broad: Table::new(bytes / 8, bytes / 32),
            long: Long::default(),
            units: Vec::new(),
        }
    }
}

impl Model {
    /// A model; `whole_pieces` and `fused` are as in the fields.
    pub fn new(
        vocab: Vocab,
        merges: Merges,
        units: Units,
        whole_pieces: WholePieces,
        fused: Option<TokenId>,
    ) -> Model {
        // A cut keeps apart what dropped bytes, a symbol for the end of a piece, or joining unknown
        // characters would bring together.
        let local = fused.is_none() && units.are_local();
        let cuts = local.then(|| Cuts::new(&vocab));
        let unreachable = Unreachable::default();
        Model { vocab, merges, units, whole_pieces, fused, cuts, unreachable }
    }

    /// Finds the tokens that merging cannot reach, without which a model of which some are may
    /// give wrong ids; or takes them, from who knows them.
    ///
    /// # Errors
    /// [`crate::Error::UnknownToken`] for an id outside the vocabulary.
    pub fn with_unreachable(mut self, known: Option<&[TokenId]>) -> Result<Model> {
        self.unreachable = match known {
            Some(ids) => Unreachable::known(&self.vocab, ids)?,
            None if self.units.mark_ends() => Unreachable::default(),
            None => Unreachable::new(&self.vocab, &self.merges, &self.units),
        };
        Ok(self)
    }

    /// The tokens that merging cannot reach, by id.
    pub fn unreachable(&self) -> Vec<TokenId> {
        self.unreachable.ids()
    }

    /// Whether no token has an ASCII letter right before a space.
    pub fn separates_words(&self) -> bool {
        let letters = || (b'A'..=b'Z').chain(b'a'..=b'z');
        self.cuts.as_ref().is_some_and(|cuts| letters().all(|c| cuts.separates(c, b' ')))
    }

    /// The last place in a piece that no merge can cross, if the piece may be cut at all.
    pub fn last_cut(&self, piece: &[u8]) -> Option<usize> {
        self.cuts.as_ref()?.last(piece)
    }

    /// Appends the ids of the pieces `spans` of `text`.
    ///
    /// # Errors
    /// Those of `poll`, which is asked now and then while a long piece is encoded.
    pub fn encode(
        &self,
        text: &[u8],
        spans: &[Span],
        scratch: &mut Scratch,
        out: &mut Vec<TokenId>,
        poll: Poll<'_>,
    ) -> Result<()> {
        let mut work = Work { text, scratch, out, poll };
        spans.chunks(GROUP).try_for_each(|group| self.encode_group(group, Role::Piece, &mut work))
    }

    fn encode_group(&self, spans: &[Span], role: Role, work: &mut Work<'_>) -> Result<()> {
        let mut keys = [(NarrowKey::default(), 0); GROUP];
        for (slot, span) in keys.iter_mut().zip(spans) {
            let len = span.end - span.start;
            if len <= NARROW {
                let key = NarrowKey::new(work.text, span.start, len);
                let hash = key.hash();
                work.scratch.narrow.prefetch(hash);
                *slot = (key, hash);
            }
        }
        // Every hit copies three ids and then advances by how many there are.
        const ROOM: usize = 3;
        let mut at = work.out.len();
        work.out.resize(at + ROOM * spans.len(), 0);
        for (done, (span, &(key, hash))) in spans.iter().zip(&keys).enumerate() {
            let hit = match span.end - span.start {
                len if len <= NARROW => work.scratch.narrow.get(key, hash),
                _ => None,
            };
            match hit {
                Some(hit) if hit.count <= ROOM => {
                    work.out[at..at + ROOM].copy_from_slice(hit.ids);
                    at += hit.count;
                }
                other => {
                    work.out.truncate(at);
                    match other {
                        Some(hit) => work.out.extend_from_slice(work.scratch.narrow.ids(&hit)),
                        None => self.encode_slowly(*span, role, work)?,
                    }
                    at = work.out.len();
                    work.out.resize(at + ROOM * (spans.len() - done - 1), 0);
                }
            }
        }
        work.out.truncate(at);
        Ok(())
    }

    /// Appends the ids of a piece that the first table of the cache has not got.
    #[inline(never)]
    fn encode_slowly(&self, span: Span, role: Role, work: &mut Work<'_>) -> Result<()> {
        let piece = &work.text[span.start..span.end];
        // Such a piece has other ids than the same bytes as a part, so it stays out of the cache.
        if let Some(id) = self.unreachable.get(piece) {
            if role == Role::Piece && self.whole_pieces == WholePieces::AreTokens {
                work.out.push(id);
                return Ok(());
            }
            return self.merge(span, work);
        }
        let before = work.out.len();
        let is_phrase = role == Role::Piece && piece.len() > NARROW / 2 && rarely_repeats(piece[0]);
        if piece.len() > BROAD || is_phrase {
            self.encode_parts(span, work)
        } else if piece.len() > WIDE {
            let key = BroadKey::new(piece);
            self.remembered(key, |scratch| &mut scratch.broad, span, work)
        } else if piece.len() > NARROW {
            let key = WideKey::new(work.text, span.start, piece.len());
            self.remembered(key, |scratch| &mut scratch.wide, span, work)
        } else {
            let key = NarrowKey::new(work.text, span.start, piece.len());
            // A short piece in ASCII seldom has a place to cut, and not to look is faster.
            match piece.is_ascii() {
                true => self.merge(span, work)?,
                false => self.encode_parts(span, work)?,
            }
            work.scratch.narrow.insert(key, key.hash(), &work.out[before..]);
            Ok(())
        }
    }

    /// Appends the ids of a piece from a table of the cache, after putting them there if need be.
    fn remembered<K: Key, const IDS: usize>(
        &self,
        key: K,
        table: impl Fn(&mut Scratch) -> &mut Table<K, IDS>,
        span: Span,
        work: &mut Work<'_>,
    ) -> Result<()> {
        let hash = key.hash();
        let here = table(work.scratch);
        if let Some(hit) = here.get(key, hash) {
            work.out.extend_from_slice(here.ids(&hit));
            return Ok(());
        }
        let before = work.out.len();
        self.encode_parts(span, work)?;
        table(work.scratch).insert(key, hash, &work.out[before..]);
        Ok(())
    }

    /// Appends the ids of a piece that the cache has not got, part by part where it may be cut.
    fn encode_parts(&self, span: Span, work: &mut Work<'_>) -> Result<()> {
        let Some(cuts) = &self.cuts else { return self.merge(span, work) };
        let mut rest = span;
        let mut polled = span.start;
        while rest.start < rest.end {
            let mut parts = [Span::default(); GROUP];
            let mut found = 0;
            while found < GROUP && rest.start < rest.end {
                let end = cuts.first_part(work.text, rest, work.poll)?;
                parts[found] = Span { start: rest.start, end };
                rest.start = end;
                found += 1;
            }
            match parts[..found] {
                [whole] if whole == span => self.merge(span, work)?,
                // A part cannot be cut again, so this goes no deeper.
                _ => self.encode_group(&parts[..found], Role::Part, work)?,
            }
            if rest.start - polled >= POLL_BYTES {
                polled = rest.start;
                (work.poll)()?;
            }
        }
        Ok(())
    }

    /// Appends the ids of one piece without the cache.
    fn merge(&self, span: Span, work: &mut Work<'_>) -> Result<()> {
        let Work { text, scratch, out, poll } = work;
        let Scratch { long, units, .. } = scratch;
        let piece = &text[span.start..span.end];
        let before = out.len();
        if piece.len() > SHORT {
            match self.known(piece) {
                Some(id) => out.push(id),
                None => {
                    long.encode(&self.merges, &self.units, piece, poll, |id, _| out.push(id))?;
                }
            }
        } else {
            self.vocab.prefetch(piece);
            let mut ids = [0; SHORT];
            let len = self.short_units(piece, units, &mut ids);
            for pair in ids[..len].windows(2) {
                self.merges.prefetch(pair[0], pair[1]);
            }
            match self.known(piece) {
                Some(id) => out.push(id),
                None => {
                    let len = merge_short(&self.merges, &mut ids, len);
                    out.extend_from_slice(&ids[..len]);
                }
            }
        }
        self.fuse(out, before);
        Ok(())
    }

    /// The token that merging these bytes would give, where that can be told without merging.
    fn known(&self, piece: &[u8]) -> Option<TokenId> {
        if self.cuts.is_none() || self.unreachable.get(piece).is_some() {
            return None;
        }
        let id = self.vocab.token_id(piece)?;
        let kind = self.vocab.kind(id);
        (kind.has(Kind::MODEL) && !kind.has(Kind::BYTE)).then_some(id)
    }

    /// Joins runs of the unknown token in `out[from..]`, where the format does so.
    fn fuse(&self, out: &mut Vec<TokenId>, from: usize) {
        let Some(unknown) = self.fused else { return };
        let mut to = from;
        for at in from..out.len() {
            if out[at] != unknown || to == from || out[to - 1] != unknown {
                out[to] = out[at];
                to += 1;
            }
        }
        out.truncate(to);
    }

    fn short_units(
        &self,
        piece: &[u8],
        units: &mut Vec<Unit>,
        ids: &mut [TokenId; SHORT],
    ) -> usize {
        if let Units::Bytes { first, last: None } = &self.units {
            let mut len = 0;
            for &byte in piece {
                ids[len] = first[byte as usize];
                len += usize::from(ids[len] != ABSENT);
            }
            return len;
        }
        units.clear();
        self.units.append(piece, true, units);
        for (slot, unit) in ids.iter_mut().zip(units.iter()) {
            *slot = unit.id;
        }
        units.len()
    }

    /// Calls `emit` with each token of one piece and the offset in the piece where it begins.
    ///
    /// # Errors
    /// Those of `poll`.
    pub fn encode_with_starts(
        &self,
        piece: &[u8],
        scratch: &mut Scratch,
        poll: Poll<'_>,
        mut emit: impl FnMut(TokenId, usize),
    ) -> Result<()> {
        if self.whole_pieces == WholePieces::AreTokens
            && let Some(id) = self.unreachable.get(piece)
        {
            emit(id, 0);
            return Ok(());
        }
        let mut last = None;
        scratch.long.encode(&self.merges, &self.units, piece, poll, |id, start| {
            if self.fused.is_none() || self.fused != Some(id) || last != Some(id) {
                emit(id, start);
            }
            last = Some(id);
        })
    }
}

/// A text on its way to ids.
struct Work<'a> {
    text: &'a [u8],
    scratch: &'a mut Scratch,
    out: &'a mut Vec<TokenId>,
    poll: Poll<'a>,
}

/// Whether a piece that begins with this byte is in a script without spaces: a phrase, not a word.
/// The lead bytes are those of kana and Han. Only speed depends on it.
fn rarely_repeats(lead: u8) -> bool {
    matches!(lead, 0xe3..=0xe9)
}
