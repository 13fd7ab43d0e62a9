//! Pieces to ids: the piece cache, and behind it the merges.

mod cache;
mod long;
mod merge;
mod ranks;
mod units;

use crate::merges::Merges;
use crate::pretokenize::Span;
use crate::token::{Kind, TokenId};
use crate::vocab::Vocab;

use cache::{Key, NARROW, NarrowKey, Table, WIDE, WideKey};
use long::Long;
use merge::{SHORT, merge_short};
pub(crate) use ranks::single_char;
pub use ranks::{UnitKind, merges_from_ranks};
pub(crate) use units::byte_table;
use units::{ABSENT, Unit};
pub use units::{CharTable, Units};

/// Pieces whose cache lines are asked for at once.
const GROUP: usize = 32;

/// What decides the ids of a piece.
#[derive(Debug)]
pub struct Model {
    pub vocab: Vocab,
    pub merges: Merges,
    pub units: Units,
    /// A piece that is a token is that token, whatever the merges say.
    pub whole_pieces: bool,
    /// The unknown token, when runs of it become one.
    pub fused: Option<TokenId>,
}

/// What one thread needs to encode: caches and buffers. Holds nothing but copies of results, so any
/// scratch serves any text of the same model.
#[derive(Debug)]
pub struct Scratch {
    narrow: Table<NarrowKey, 3>,
    wide: Table<WideKey, 7>,
    long: Long,
    units: Vec<Unit>,
    ids: Vec<TokenId>,
}

impl Scratch {
    /// A scratch whose caches take at most about `bytes`.
    pub fn new(bytes: usize) -> Scratch {
        Scratch {
            narrow: Table::new(bytes / 2),
            wide: Table::new(bytes / 2),
            long: Long::default(),
            units: Vec::new(),
            ids: Vec::new(),
        }
    }
}

impl Model {
    /// Appends the ids of the pieces `spans` of `text`.
    pub fn encode(
        &self,
        text: &[u8],
        spans: &[Span],
        scratch: &mut Scratch,
        out: &mut Vec<TokenId>,
    ) {
        for group in spans.chunks(GROUP) {
            self.encode_group(text, group, scratch, out);
        }
    }

    fn encode_group(
        &self,
        text: &[u8],
        spans: &[Span],
        scratch: &mut Scratch,
        out: &mut Vec<TokenId>,
    ) {
        let mut keys = [(NarrowKey::default(), 0); GROUP];
        for (slot, span) in keys.iter_mut().zip(spans) {
            let len = span.end - span.start;
            if len <= NARROW {
                let key = NarrowKey::new(text, span.start, len);
                let hash = key.hash();
                scratch.narrow.prefetch(hash);
                *slot = (key, hash);
            }
        }
        // Every hit copies three ids and then advances by how many there are.
        const ROOM: usize = 3;
        let mut at = out.len();
        out.resize(at + ROOM * GROUP, 0);
        for (span, &(key, hash)) in spans.iter().zip(&keys) {
            if span.end - span.start <= NARROW
                && let Some(hit) = scratch.narrow.get(key, hash)
                && hit.count <= ROOM
            {
                out[at..at + ROOM].copy_from_slice(hit.ids);
                at += hit.count;
            } else {
                out.truncate(at);
                self.encode_slowly(text, *span, scratch, out);
                at = out.len();
                out.resize(at + ROOM * GROUP, 0);
            }
        }
        out.truncate(at);
    }

    #[inline(never)]
    fn encode_slowly(
        &self,
        text: &[u8],
        span: Span,
        scratch: &mut Scratch,
        out: &mut Vec<TokenId>,
    ) {
        let Scratch { narrow, wide, long, units, ids } = scratch;
        let len = span.end - span.start;
        let piece = &text[span.start..span.end];
        let mut merge = |ids: &mut Vec<TokenId>| self.merge(piece, long, units, ids);
        if len <= NARROW {
            look_up(narrow, NarrowKey::new(text, span.start, len), ids, out, &mut merge);
        } else if len <= WIDE {
            look_up(wide, WideKey::new(text, span.start, len), ids, out, &mut merge);
        } else {
            merge(out);
        }
    }

    /// Appends the ids of one piece without the cache.
    fn merge(&self, piece: &[u8], long: &mut Long, units: &mut Vec<Unit>, out: &mut Vec<TokenId>) {
        let before = out.len();
        if let Some(id) = self.whole_piece(piece) {
            out.push(id);
        } else if piece.len() <= SHORT {
            let mut ids = [0; SHORT];
            let len = self.short_units(piece, units, &mut ids);
            let len = merge_short(&self.merges, &mut ids, len);
            out.extend_from_slice(&ids[..len]);
        } else {
            long.encode(&self.merges, &self.units, piece, |id, _| out.push(id));
        }
        if let Some(unknown) = self.fused {
            fuse(unknown, out, before);
        }
    }

    fn whole_piece(&self, piece: &[u8]) -> Option<TokenId> {
        let id = self.whole_pieces.then(|| self.vocab.token_id(piece))??;
        self.vocab.kind(id).has(Kind::MODEL).then_some(id)
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
    pub fn encode_with_starts(
        &self,
        piece: &[u8],
        scratch: &mut Scratch,
        mut emit: impl FnMut(TokenId, usize),
    ) {
        if let Some(id) = self.whole_piece(piece) {
            return emit(id, 0);
        }
        let mut last = None;
        scratch.long.encode(&self.merges, &self.units, piece, |id, start| {
            if self.fused.is_none() || self.fused != Some(id) || last != Some(id) {
                emit(id, start);
            }
            last = Some(id);
        });
    }
}

/// Appends the ids of a piece from `table`, after putting them there if need be.
fn look_up<K: Key, const IDS: usize>(
    table: &mut Table<K, IDS>,
    key: K,
    ids: &mut Vec<TokenId>,
    out: &mut Vec<TokenId>,
    merge: impl FnOnce(&mut Vec<TokenId>),
) {
    let hash = key.hash();
    if let Some(hit) = table.get(key, hash) {
        match hit.count {
            count if count <= IDS => out.extend_from_slice(&hit.ids[..count]),
            _ => out.extend_from_slice(table.spilled(&hit)),
        }
        return;
    }
    ids.clear();
    merge(ids);
    if !ids.is_empty() {
        table.insert(key, hash, ids);
    }
    out.extend_from_slice(ids);
}

/// Joins runs of the unknown token in `out[from..]`.
fn fuse(unknown: TokenId, out: &mut Vec<TokenId>, from: usize) {
    let mut to = from;
    for at in from..out.len() {
        if out[at] != unknown || to == from || out[to - 1] != unknown {
            out[to] = out[at];
            to += 1;
        }
    }
    out.truncate(to);
}
