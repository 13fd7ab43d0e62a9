//! Pieces to ids: the piece cache, and behind it the merges.

mod bytes;
mod cache;
mod cut;
mod long;
mod merge;
mod queue;
mod ranks;
mod reach;
mod settle;
mod short;
mod units;
mod words;

#[cfg(test)]
mod tests;

use crate::error::{Poll, Result};
use crate::merges::Merges;
use crate::pretokenize::Span;
use crate::token::TokenId;
use crate::vocab::Vocab;

use bytes::BytePairs;
use cache::{Asked, BROAD, Cache, NARROW, ROOM};
use cut::Cuts;
use long::{Long, Symbols};
use queue::{Cut, Item, Queue};
pub(crate) use ranks::single_char;
pub use ranks::{UnitKind, merges_from_ranks};
use reach::Unreachable;
use settle::Part;
use short::{ABREAST, SHORT, Short};
pub(crate) use units::byte_table;
use units::{ABSENT, Unit};
pub use units::{CharTable, Units};
use words::Words;

/// How many pieces ahead a slot of the cache is asked for.
const AHEAD: usize = 32;
/// Parts of a piece that are cut at a time.
const PARTS: usize = 32;
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
    /// Pairs of bytes, where every byte is a symbol.
    byte_pairs: Option<BytePairs>,
    /// Where pieces may be cut, if at all.
    cuts: Option<Cuts>,
    /// The words that long pieces are made of, where that is known.
    words: Option<Words>,
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
    cache: Cache,
    queue: Queue,
    parts: Vec<Part>,
    /// Which of the parts the cache has not got.
    fresh: Vec<usize>,
    shorts: Vec<Short>,
    long: Long,
    units: Vec<Unit>,
}

impl Scratch {
    /// A scratch whose caches take at most about `bytes`, and a quarter more where long pieces are made
    /// of words that are looked up.
    pub fn new(bytes: usize) -> Scratch {
        Scratch {
            cache: Cache::new(bytes),
            queue: Queue::default(),
            parts: Vec::new(),
            fresh: Vec::new(),
            shorts: vec![Short::default(); ABREAST],
            long: Long::new(bytes / 4),
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
        let byte_pairs = match &units {
            Units::Bytes { first, .. } if units.are_local() => {
                Some(BytePairs::new(first, &merges, &vocab))
            }
            _ => None,
        };
        let words = match &cuts {
            Some(cuts) if byte_pairs.is_some() && !separates_words(cuts) => {
                Words::new(&merges, &vocab)
            }
            _ => None,
        };
        let unreachable = Unreachable::default();
        Model { vocab, merges, units, whole_pieces, fused, byte_pairs, cuts, words, unreachable }
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
        self.cuts.as_ref().is_some_and(separates_words)
    }

    /// The last place in a piece that no merge can cross and that is accepted, if the piece may be
    /// cut at all.
    pub fn last_cut(&self, piece: &[u8], accept: impl Fn(usize) -> bool) -> Option<usize> {
        self.cuts.as_ref()?.last(piece, accept)
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
        // What an error left there is of another text.
        scratch.queue.clear();
        let mut work = Work { text, scratch, out, poll };
        self.encode_spans(spans, Role::Piece, &mut work)?;
        self.settle(&mut work)
    }

    /// Sets down the ids of the pieces that the cache has, and queues the others.
    fn encode_spans(&self, spans: &[Span], role: Role, work: &mut Work<'_>) -> Result<()> {
        let mut asked = [Asked::default(); AHEAD];
        for (slot, span) in asked.iter_mut().zip(spans) {
            *slot = work.scratch.cache.ask(work.text, *span);
        }
        for (done, span) in spans.iter().enumerate() {
            if work.scratch.queue.is_full(ABREAST) {
                self.settle(work)?;
            }
            let Scratch { cache, queue, .. } = &mut *work.scratch;
            let now = asked[done % AHEAD];
            if let Some(next) = spans.get(done + AHEAD) {
                asked[done % AHEAD] = cache.ask(work.text, *next);
            }
            let is_narrow = span.end - span.start <= NARROW;
            match if is_narrow { cache.get(now) } else { None } {
                // Nearly every hit copies three ids, whatever their number.
                Some(slot) if slot.count() <= ROOM => queue.set_some(&slot.ids, slot.count()),
                Some(slot) => queue.set_packed(cache, slot),
                // A short piece seldom has a place to cut, and not to look is faster, unless its characters
                // are of three bytes or more.
                None if is_narrow
                    && (role != Role::Piece || has_letters(now))
                    && self.unreachable.is_empty() =>
                {
                    queue.push_narrow(*span, now);
                }
                None => self.encode_slowly(*span, now, role, work)?,
            }
        }
        Ok(())
    }

    /// Sets down or queues the ids of a piece that the first table of the cache has not got.
    #[inline(never)]
    fn encode_slowly(
        &self,
        span: Span,
        asked: Asked,
        role: Role,
        work: &mut Work<'_>,
    ) -> Result<()> {
        let piece = &work.text[span.start..span.end];
        let Scratch { cache, queue, .. } = &mut *work.scratch;
        // Such a piece has other ids than the same bytes as a part, so it stays out of the cache.
        if let Some(id) = self.unreachable.get(piece) {
            if role == Role::Piece && self.whole_pieces == WholePieces::AreTokens {
                queue.set_one(id);
            } else {
                queue.push(Item::new(span, asked, Cut::Never, false));
            }
            return Ok(());
        }
        let is_phrase = piece.len() > NARROW / 2 && rarely_repeats(piece[0]);
        if role == Role::Piece && self.cuts.is_some() && (piece.len() > BROAD || is_phrase) {
            return self.encode_parts(span, work);
        }
        if piece.len() > NARROW && piece.len() <= BROAD && queue.set_longer(cache, piece, asked) {
            return Ok(());
        }
        let cut = if role == Role::Piece { Cut::Perhaps } else { Cut::Never };
        queue.push(Item::new(span, asked, cut, piece.len() <= BROAD));
        Ok(())
    }

    /// Sets down or queues the ids of a piece part by part; it is not remembered as a whole.
    fn encode_parts(&self, span: Span, work: &mut Work<'_>) -> Result<()> {
        let Some(cuts) = &self.cuts else { return Ok(()) };
        let mut rest = span;
        let mut polled = span.start;
        while rest.start < rest.end {
            let mut parts = [Span::default(); PARTS];
            let mut found = 0;
            while found < PARTS && rest.start < rest.end {
                let end = cuts.first_part(work.text, rest, work.poll)?;
                parts[found] = Span { start: rest.start, end };
                rest.start = end;
                found += 1;
            }
            // A part cannot be cut again, so this goes no deeper.
            self.encode_spans(&parts[..found], Role::Part, work)?;
            if rest.start - polled >= POLL_BYTES {
                polled = rest.start;
                (work.poll)()?;
            }
        }
        Ok(())
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

    /// The token that a piece of these bytes is, though merging would not make it.
    pub(crate) fn whole_piece(&self, piece: &[u8]) -> Option<TokenId> {
        match self.whole_pieces {
            WholePieces::AreTokens => self.unreachable.get(piece),
            WholePieces::AreMerged => None,
        }
    }

    /// Tells of which characters texts are made that tokens spell.
    pub(crate) fn speller(&self) -> impl Fn(char) -> bool + '_ {
        let spelled: [bool; 256] = std::array::from_fn(|byte| match &self.units {
            Units::Bytes { first, .. } => self.vocab.token_id(&[byte as u8]) == Some(first[byte]),
            Units::Chars { bytes, .. } => bytes[byte] != ABSENT,
        });
        let every = !spelled.contains(&false);
        move |c| {
            let bytes =
                |c: char| c.encode_utf8(&mut [0; 4]).bytes().all(|b| spelled[usize::from(b)]);
            every || self.units.has(c) || bytes(c)
        }
    }

    /// The ids that merging begins with.
    pub(crate) fn units_of(&self, piece: &[u8]) -> Vec<TokenId> {
        let mut units = Vec::new();
        self.units.append(piece, true, &mut units);
        units.into_iter().map(|unit| unit.id).collect()
    }

    fn symbols(&self) -> Symbols<'_> {
        Symbols {
            units: &self.units,
            pairs: self.byte_pairs.as_ref(),
            words: self.words.as_ref().map(|words| (words, &self.vocab)),
        }
    }

    fn short_units(
        &self,
        piece: &[u8],
        units: &mut Vec<Unit>,
        ids: &mut [TokenId; SHORT],
    ) -> usize {
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
        self.merge(piece, scratch, poll, emit)
    }

    /// Calls `emit` with each token that merging makes of the bytes, and where it begins.
    ///
    /// # Errors
    /// Those of `poll`.
    pub(crate) fn merge(
        &self,
        piece: &[u8],
        scratch: &mut Scratch,
        poll: Poll<'_>,
        mut emit: impl FnMut(TokenId, usize),
    ) -> Result<()> {
        let mut last = None;
        scratch.long.encode(&self.merges, self.symbols(), piece, poll, |id, start| {
            if self.fused.is_none() || self.fused != Some(id) || last != Some(id) {
                emit(id, start);
            }
            last = Some(id);
        })
    }
}

fn separates_words(cuts: &Cuts) -> bool {
    (b'A'..=b'Z').chain(b'a'..=b'z').all(|letter| cuts.separates(letter, b' '))
}

/// A text on its way to ids.
struct Work<'a> {
    text: &'a [u8],
    scratch: &'a mut Scratch,
    out: &'a mut Vec<TokenId>,
    poll: Poll<'a>,
}

/// Whether a short piece begins with a character of at most two bytes, also after a space. Only speed
/// depends on it.
#[inline(always)]
fn has_letters(asked: Asked) -> bool {
    let [first, second, ..] = asked.key.to_bytes();
    first.max(second) < 0xe0
}

/// Whether a piece that begins with this byte is in a script without spaces: a phrase, not a word.
/// The lead bytes are those of kana and Han. Only speed depends on it.
fn rarely_repeats(lead: u8) -> bool {
    matches!(lead, 0xe3..=0xe9)
}
