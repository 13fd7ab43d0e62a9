//! Finds the ids of the pieces that wait in the queue.
//!
//! All of them go through every step before any goes through the next, and each step begins to load
//! what the next one reads: a piece is cut where no merge can cross, its parts are looked up, what is
//! still not found is looked up in the vocabulary, and only what is no token is merged.

use std::ops::Range;

use super::cache::{Asked, BROAD, NARROW, STRIDE};
use super::queue::{Cut, Item};
use super::short::{ABREAST, SHORT, merge_abreast, merge_bytes_abreast};
use super::{Model, Scratch, Work};
use crate::error::Result;
use crate::key;
use crate::pretokenize::Span;
use crate::token::{Kind, TokenId};

/// A piece, or what is between two cuts of it.
#[derive(Debug, Clone)]
pub(super) struct Part {
    span: Span,
    asked: Asked,
    /// Whether the cache has not got it.
    is_new: bool,
    ids: Range<usize>,
}

impl Model {
    /// Finds the ids of what is queued, appends all that are set down, and remembers them.
    pub(super) fn settle(&self, work: &mut Work<'_>) -> Result<()> {
        if work.scratch.queue.is_empty() {
            return Ok(());
        }
        let mut first = 0;
        while first < work.scratch.queue.items.len() {
            let last = work.scratch.queue.items.len().min(first + ABREAST);
            self.find(first..last, work)?;
            first = last;
        }
        work.scratch.queue.flow(work.out);
        work.scratch.queue.clear();
        Ok(())
    }

    /// Finds and remembers the ids of these items, [`ABREAST`] at most.
    fn find(&self, items: Range<usize>, work: &mut Work<'_>) -> Result<()> {
        let mut ends = [0; ABREAST];
        work.scratch.parts.clear();
        for (end, at) in ends.iter_mut().zip(items.clone()) {
            let item = work.scratch.queue.items[at].clone();
            self.cut(&item, work)?;
            *end = work.scratch.parts.len();
        }
        self.look_up(work);
        self.merge_new(work)?;
        let mut start = 0;
        for (&end, at) in ends.iter().zip(items) {
            self.join(at, start..end, work);
            start = end;
        }
        Ok(())
    }

    /// Cuts an item into parts, and asks the cache for them where there are several.
    fn cut(&self, item: &Item, work: &mut Work<'_>) -> Result<()> {
        let whole = Part { span: item.span, asked: item.asked, is_new: true, ids: 0..0 };
        let (Some(cuts), Cut::Perhaps) = (&self.cuts, item.cut) else {
            work.scratch.parts.push(whole);
            return Ok(());
        };
        let mut rest = item.span;
        while rest.start < rest.end {
            let end = cuts.first_part(work.text, rest, work.poll)?;
            let span = Span { start: rest.start, end };
            if span == item.span {
                work.scratch.parts.push(whole);
                return Ok(());
            }
            let asked = work.scratch.cache.ask(work.text, span);
            work.scratch.parts.push(Part { span, asked, is_new: false, ids: 0..0 });
            rest.start = end;
        }
        Ok(())
    }

    /// Takes the ids of the parts that the cache has.
    fn look_up(&self, work: &mut Work<'_>) {
        let Scratch { queue, cache, parts, .. } = &mut *work.scratch;
        let found = &mut queue.found;
        for part in parts.iter_mut().filter(|part| !part.is_new) {
            let piece = &work.text[part.span.start..part.span.end];
            let before = found.len();
            found.resize(before + BROAD + STRIDE, 0);
            let room = &mut found[before..];
            let count = match piece.len() {
                len if len <= NARROW => cache.get(part.asked).map(|slot| cache.write(slot, room)),
                _ => cache.get_longer(piece, part.asked, room),
            };
            part.is_new = count.is_none();
            part.ids = before..before + count.unwrap_or(0);
            found.truncate(part.ids.end);
        }
    }

    /// Finds the ids of the new parts.
    fn merge_new(&self, work: &mut Work<'_>) -> Result<()> {
        let Work { text, scratch, poll, .. } = work;
        let Scratch { queue, shorts, long, units, parts, fresh, .. } = &mut **scratch;
        let found = &mut queue.found;
        fresh.clear();
        fresh.extend((0..parts.len()).filter(|&at| parts[at].is_new));
        for fresh in fresh.chunks(ABREAST) {
            let mut hashes = [0; ABREAST];
            for (hash, &at) in hashes.iter_mut().zip(fresh) {
                let Part { span, asked, .. } = &parts[at];
                *hash = match span.end - span.start {
                    len if len <= NARROW => asked.hash,
                    len if len <= self.vocab.longest() => key::hash(&text[span.start..span.end]),
                    _ => continue,
                };
                self.vocab.prefetch(*hash);
            }
            hashes[..fresh.len()].iter().for_each(|&hash| self.vocab.prefetch_token(hash));
            let mut merged = [0; ABREAST];
            let mut pieces: [&[u8]; ABREAST] = [&[]; ABREAST];
            let mut abreast = 0;
            for (&hash, &at) in hashes.iter().zip(fresh) {
                let Part { span, asked, ids, .. } = &mut parts[at];
                let piece = &text[span.start..span.end];
                let before = found.len();
                if let Some(id) = self.known(piece, *asked, hash) {
                    found.push(id);
                } else if piece.len() > SHORT {
                    long.encode(&self.merges, self.symbols(), piece, poll, |id, _| found.push(id))?;
                    self.fuse(found, before);
                } else {
                    match &self.byte_pairs {
                        Some(_) => pieces[abreast] = piece,
                        None => shorts[abreast].set(|ids| self.short_units(piece, units, ids)),
                    }
                    merged[abreast] = at;
                    abreast += 1;
                }
                *ids = before..found.len();
            }
            let shorts = &mut shorts[..abreast];
            match &self.byte_pairs {
                Some(table) => merge_bytes_abreast(&self.merges, table, &pieces[..abreast], shorts),
                None => merge_abreast(&self.merges, shorts),
            }
            for (short, &at) in shorts.iter().zip(&merged[..abreast]) {
                let before = found.len();
                found.extend(short.ids());
                self.fuse(found, before);
                parts[at].ids = before..found.len();
            }
        }
        Ok(())
    }

    /// Puts the ids of the parts of an item together, and remembers all that is new.
    fn join(&self, at: usize, range: Range<usize>, work: &mut Work<'_>) {
        let Work { text, scratch, .. } = work;
        let Scratch { queue, cache, parts, .. } = &mut **scratch;
        let (item, found) = (&mut queue.items[at], &mut queue.found);
        let piece = |span: Span| &text[span.start..span.end];
        if let [whole] = &parts[range.clone()] {
            item.ids = whole.ids.clone();
        } else {
            let start = found.len();
            for part in &parts[range] {
                found.extend_from_within(part.ids.clone());
                // As a piece, an unreachable token has other ids than as a part.
                if part.is_new && self.unreachable.get(piece(part.span)).is_none() {
                    cache.insert(piece(part.span), part.asked, &found[part.ids.clone()]);
                }
            }
            item.ids = start..found.len();
        }
        if item.keep {
            cache.insert(piece(item.span), item.asked, &found[item.ids.clone()]);
        }
    }

    /// The token that merging these bytes would give, where that can be told without merging.
    fn known(&self, piece: &[u8], asked: Asked, hash: u64) -> Option<TokenId> {
        if self.cuts.is_none() || self.unreachable.get(piece).is_some() {
            return None;
        }
        let id = match piece.len() {
            len if len <= NARROW => self.vocab.token_of_key(asked.key, hash)?,
            len if len <= self.vocab.longest() => self.vocab.token_of_hash(piece, hash)?,
            _ => return None,
        };
        let kind = self.vocab.kind(id);
        (kind.has(Kind::MODEL) && !kind.has(Kind::BYTE)).then_some(id)
    }
}
