//! The tokenizer: added tokens, normalizer, pre-tokenizer and model, in that order.
//!
//! Text that no added token matches is normalized, cut into pieces and merged. Everything is
//! immutable but a pool of scratches (caches, buffers), so one tokenizer serves any number of
//! threads, and a forked process.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crate::added::{AddedToken, Matcher};
use crate::encode::{CharTable, Model, Scratch, Units, WholePieces, byte_table};
use crate::error::{Error, Poll, Result};
use crate::header::{Decoder, Header, Unit};
use crate::merges::{Merge, Merges};
use crate::normalize::{self, Normalizer};
use crate::pretokenize::{Pretokenizer, Span};
use crate::token::{Kind, TokenId};
use crate::vocab::Vocab;

/// Bytes that the piece cache of one thread may take.
const CACHE_BYTES: usize = 64 << 20;
/// Pieces cut at a time.
const PIECES: usize = 128;
/// Bytes of a long text that are normalized at a time.
const STRETCH: usize = 1 << 22;
/// Bytes of text between two looks at whether to go on.
const POLL_BYTES: usize = 1 << 18;

/// Which special tokens are matched in text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Allowed {
    /// None: their text is text.
    None,
    /// All of them.
    All,
    /// These, by their text, sorted.
    These(Vec<String>),
}

/// The parts of a definition, as flat tables.
#[derive(Debug)]
pub struct Definition {
    pub header: String,
    pub arena: Vec<u8>,
    pub offsets: Vec<u32>,
    pub kinds: Vec<u8>,
    pub merges: Vec<Merge>,
}

/// A tokenizer.
#[derive(Debug)]
pub struct Tokenizer {
    model: Model,
    normalizer: Normalizer,
    /// Puts a space before each text that the pre-tokenizer gets, where the format does so.
    prefixer: Normalizer,
    /// The normalizer of what follows a cut between words, where there may be one.
    inner: Option<Normalizer>,
    pretokenizer: Pretokenizer,
    added: Vec<AddedToken>,
    decoder: Decoder,
    /// Bytes that text must not have, for a strict tokenizer with a partial alphabet.
    foreign: Option<Box<[bool; 256]>>,
    always: Arc<Matchers>,
    chosen: Mutex<HashMap<Allowed, Arc<Matchers>>>,
    scratches: Mutex<Vec<Scratch>>,
}

/// Matchers of the added tokens that one choice of special tokens leaves active.
#[derive(Debug)]
pub(crate) struct Matchers {
    raw: Matcher,
    normalized: Matcher,
    /// Whether no active token can match across a letter and the space after it.
    pub(crate) keep_words: bool,
}

/// A stretch of the text on its way to ids.
pub(crate) enum Segment<'a> {
    /// An added token.
    Token { id: TokenId, source: Range<usize> },
    /// Text for the pre-tokenizer. Byte `i` comes from byte `origins[i]` of the input, or from byte
    /// `start + i` where nothing was normalized and so nothing is tracked.
    Text { text: &'a [u8], start: usize, origins: Option<&'a [usize]> },
}

impl Tokenizer {
    /// Builds a tokenizer from its definition.
    pub fn new(definition: Definition) -> Result<Tokenizer> {
        let Definition { header, arena, offsets, kinds, merges } = definition;
        let header = Header::parse(&header)?;
        let vocab = Vocab::new(arena, offsets, kinds)?;
        let merges = Merges::new(&merges, vocab.len())?;
        let model = model(&header, vocab, merges)?;
        for token in &header.added {
            model.vocab.token_bytes(token.id)?;
        }
        let foreign = foreign_bytes(&header, &model.units);
        let is_prefix = |step: &&normalize::Step| matches!(step, normalize::Step::Prefix { .. });
        let (prefix, steps): (Vec<_>, Vec<_>) = header.normalizer.iter().partition(is_prefix);
        let owned = |steps: Vec<&normalize::Step>| -> Vec<normalize::Step> {
            steps.into_iter().cloned().collect()
        };
        let normalizer = Normalizer::new(&owned(steps))?;
        let (_, inner): (Vec<_>, Vec<_>) = header.normalizer.iter().partition(|step| step.opens());
        let inner = match inner.iter().all(|step| step.cuts_at_words()) {
            true => Some(Normalizer::new(&owned(inner))?),
            false => None,
        };
        let always = Arc::new(matchers(&header.added, &normalizer, &Allowed::None)?);
        Ok(Tokenizer {
            model,
            prefixer: Normalizer::new(&owned(prefix))?,
            pretokenizer: Pretokenizer::new(&header.pretokenizer)?,
            normalizer,
            inner,
            added: header.added,
            decoder: header.decoder,
            foreign,
            always,
            chosen: Mutex::default(),
            scratches: Mutex::default(),
        })
    }

    /// The vocabulary.
    pub fn vocab(&self) -> &Vocab {
        &self.model.vocab
    }

    /// The tokens that merging cannot reach, by id.
    pub fn unreachable(&self) -> Vec<TokenId> {
        self.model.unreachable()
    }

    /// The ids of `text`.
    pub fn encode(&self, text: &[u8], allowed: &Allowed, poll: Poll<'_>) -> Result<Vec<TokenId>> {
        let matchers = self.matchers(allowed)?;
        self.encode_stretch(Stretch { text, place: Place::Start }, &matchers, poll)
    }

    /// The ids of a stretch of a text.
    pub(crate) fn encode_stretch(
        &self,
        stretch: Stretch<'_>,
        matchers: &Matchers,
        poll: Poll<'_>,
    ) -> Result<Vec<TokenId>> {
        let mut ids = Vec::with_capacity(stretch.text.len() / 3);
        self.with_scratch(|scratch| self.encode_into(stretch, matchers, scratch, &mut ids, poll))?;
        Ok(ids)
    }

    /// Appends the ids of a stretch of a text.
    pub(crate) fn encode_into(
        &self,
        stretch: Stretch<'_>,
        matchers: &Matchers,
        scratch: &mut Scratch,
        ids: &mut Vec<TokenId>,
        poll: Poll<'_>,
    ) -> Result<()> {
        // A long text is normalized, and searched for added tokens, a stretch at a time.
        let Stretch { mut text, mut place } = stretch;
        let cuts = text.len() > 2 * STRETCH && self.cuts_at_words(matchers);
        while cuts
            && text.len() > 2 * STRETCH
            && let Some(cut) = last_word_cut(&text[..STRETCH])
        {
            let (head, tail) = text.split_at(cut);
            self.encode_at_once(Stretch { text: head, place }, matchers, scratch, ids, poll)?;
            poll()?;
            (text, place) = (tail, Place::AfterCut);
        }
        self.encode_at_once(Stretch { text, place }, matchers, scratch, ids, poll)
    }

    fn encode_at_once(
        &self,
        stretch: Stretch<'_>,
        matchers: &Matchers,
        scratch: &mut Scratch,
        ids: &mut Vec<TokenId>,
        poll: Poll<'_>,
    ) -> Result<()> {
        self.each_segment(stretch, matchers, Origins::Untracked, &mut |segment| match segment {
            Segment::Token { id, .. } => {
                ids.push(id);
                Ok(true)
            }
            Segment::Text { text, .. } => self.each_batch(text, poll, |spans, poll| {
                self.model.encode(text, spans, scratch, ids, poll)?;
                Ok(true)
            }),
        })
    }

    /// How many ids `text` has; with a limit, counting may stop at any number above it.
    pub fn count(
        &self,
        text: &[u8],
        allowed: &Allowed,
        limit: Option<usize>,
        poll: Poll<'_>,
    ) -> Result<usize> {
        let matchers = self.matchers(allowed)?;
        self.with_scratch(|scratch| self.count_with(text, &matchers, limit, scratch, poll))
    }

    pub(crate) fn count_with(
        &self,
        text: &[u8],
        matchers: &Matchers,
        limit: Option<usize>,
        scratch: &mut Scratch,
        poll: Poll<'_>,
    ) -> Result<usize> {
        let mut ids = Vec::new();
        let mut count = 0;
        let whole = Stretch { text, place: Place::Start };
        let within = |count: usize| limit.is_none_or(|limit| count <= limit);
        self.each_segment(whole, matchers, Origins::Untracked, &mut |segment| match segment {
            Segment::Token { .. } => {
                count += 1;
                Ok(within(count))
            }
            Segment::Text { text, .. } => self.each_batch(text, poll, |spans, poll| {
                ids.clear();
                self.model.encode(text, spans, scratch, &mut ids, poll)?;
                count += ids.len();
                Ok(within(count))
            }),
        })?;
        Ok(count)
    }

    /// Ids and the byte offset in `text` where each begins, then the end; with a limit, at most
    /// that many ids, and the end is where the next would begin.
    pub fn encode_offsets(
        &self,
        text: &[u8],
        allowed: &Allowed,
        limit: Option<usize>,
        poll: Poll<'_>,
    ) -> Result<(Vec<TokenId>, Vec<i64>)> {
        let matchers = self.matchers(allowed)?;
        let room = limit.unwrap_or(usize::MAX);
        let (mut ids, mut starts) = (Vec::new(), Vec::new());
        self.with_scratch(|scratch| {
            let tracked = match self.normalizer.is_identity() && self.prefixer.is_identity() {
                true => Origins::Untracked,
                false => Origins::Tracked,
            };
            let whole = Stretch { text, place: Place::Start };
            self.each_segment(whole, &matchers, tracked, &mut |segment| match segment {
                Segment::Token { id, source } => {
                    ids.push(id);
                    starts.push(source.start as i64);
                    Ok(ids.len() <= room)
                }
                Segment::Text { text: part, start: base, origins } => {
                    let origin = |at: usize| origins.map_or(base + at, |map| map[at]);
                    self.each_batch(part, poll, |spans, poll| {
                        for span in spans {
                            let piece = &part[span.start..span.end];
                            self.model.encode_with_starts(piece, scratch, poll, |id, start| {
                                ids.push(id);
                                starts.push(origin(span.start + start) as i64);
                            })?;
                        }
                        Ok(ids.len() <= room)
                    })
                }
            })
        })?;
        starts.push(text.len() as i64);
        if ids.len() > room {
            ids.truncate(room);
            starts.truncate(room + 1);
        }
        Ok((ids, starts))
    }

    /// The pieces that the pre-tokenizer makes of `text`, as it is.
    pub fn pieces(&self, text: &[u8], poll: Poll<'_>) -> Result<Vec<Span>> {
        let mut all = Vec::new();
        self.each_batch(text, poll, |spans, _| {
            all.extend_from_slice(spans);
            Ok(true)
        })?;
        Ok(all)
    }

    /// Appends the text of `ids`.
    pub fn decode(&self, ids: &[i32], out: &mut Vec<u8>) -> Result<()> {
        let before = out.len();
        self.model.vocab.decode(ids, out)?;
        if self.decoder.strip_leading_space && out.get(before) == Some(&b' ') {
            out.remove(before);
        }
        Ok(())
    }

    /// Whether decoding begins by dropping a space.
    pub fn strips_leading_space(&self) -> bool {
        self.decoder.strip_leading_space
    }

    /// Whether `ids` are what their text encodes to.
    pub fn is_canonical(&self, ids: &[i32], poll: Poll<'_>) -> Result<bool> {
        let mut text = Vec::new();
        self.decode(ids, &mut text)?;
        let again = self.encode(&text, &Allowed::None, poll)?;
        Ok(again.len() == ids.len()
            && again.iter().zip(ids).all(|(&a, &b)| i64::from(a) == i64::from(b)))
    }

    /// Matchers for a choice of special tokens; built once for each choice.
    pub(crate) fn matchers(&self, allowed: &Allowed) -> Result<Arc<Matchers>> {
        const MOST_CHOICES: usize = 64;
        if *allowed == Allowed::None {
            return Ok(self.always.clone());
        }
        if let Some(known) = self.chosen.lock().unwrap_or_else(PoisonError::into_inner).get(allowed)
        {
            return Ok(known.clone());
        }
        self.check_allowed(allowed)?;
        let built = Arc::new(matchers(&self.added, &self.normalizer, allowed)?);
        let mut chosen = self.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        if chosen.len() >= MOST_CHOICES {
            chosen.clear();
        }
        chosen.insert(allowed.clone(), built.clone());
        Ok(built)
    }

    fn check_allowed(&self, allowed: &Allowed) -> Result<()> {
        let Allowed::These(names) = allowed else { return Ok(()) };
        let known = |name: &String| self.added.iter().any(|t| t.special && t.content == *name);
        match names.iter().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => Err(Error::Argument(format!(
                "{name:?} is not a special token of this tokenizer, which has {}",
                self.added.iter().filter(|token| token.special).count()
            ))),
        }
    }

    /// Runs `work` with a scratch of the pool.
    pub(crate) fn with_scratch<T>(&self, work: impl FnOnce(&mut Scratch) -> T) -> T {
        let pool = || self.scratches.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = pool().pop();
        let mut scratch = kept.unwrap_or_else(|| Scratch::new(CACHE_BYTES));
        let result = work(&mut scratch);
        pool().push(scratch);
        result
    }

    /// Whether text may be cut between a letter and the space before a letter, each side encoded
    /// by itself and the ids joined.
    pub(crate) fn cuts_at_words(&self, matchers: &Matchers) -> bool {
        let pieces_end = self.pretokenizer.cuts_at_words();
        let merges_end = self.merges_only() && self.model.separates_words();
        matchers.keep_words && self.inner.is_some() && (pieces_end || merges_end)
    }

    /// The last place where a text that goes on may be cut, found without looking for words; only
    /// where text is not normalized and has no added tokens.
    pub(crate) fn last_settled(&self, text: &[u8], matchers: &Matchers) -> Option<usize> {
        let plain = self.normalizer.is_identity() && self.prefixer.is_identity();
        if !plain || !matchers.raw.is_empty() || !matchers.normalized.is_empty() {
            return None;
        }
        match self.merges_only() {
            true => self.model.last_cut(text),
            false => self.pretokenizer.settled_end(text),
        }
    }

    /// Whether merges alone decide the ids of a text, which is one piece and not looked up whole.
    fn merges_only(&self) -> bool {
        self.pretokenizer.keeps_whole() && self.model.whole_pieces == WholePieces::AreMerged
    }

    /// Cuts `text` into pieces, a buffer at a time, until `visit` returns false. Returns whether
    /// to go on.
    fn each_batch(
        &self,
        text: &[u8],
        poll: Poll<'_>,
        mut visit: impl FnMut(&[Span], Poll<'_>) -> Result<bool>,
    ) -> Result<bool> {
        let mut pieces = self.pretokenizer.pieces(text);
        let mut buffer = [Span::default(); PIECES];
        let mut polled = 0;
        loop {
            let filled = pieces.fill(&mut buffer);
            if filled == 0 {
                return Ok(true);
            }
            if !visit(&buffer[..filled], poll)? {
                return Ok(false);
            }
            let reached = buffer[filled - 1].end;
            if reached - polled >= POLL_BYTES {
                polled = reached;
                poll()?;
            }
        }
    }

    /// Calls `visit` with each stretch of the text until it returns false.
    pub(crate) fn each_segment(
        &self,
        stretch: Stretch<'_>,
        matchers: &Matchers,
        origins: Origins,
        visit: &mut dyn FnMut(Segment<'_>) -> Result<bool>,
    ) -> Result<()> {
        let text = stretch.text;
        self.check_alphabet(text)?;
        let mut from = 0;
        for found in matchers.raw.matches(text) {
            let go_on =
                self.normalized_segments(stretch, from..found.start, matchers, origins, visit)?
                    && visit(Segment::Token { id: found.id, source: found.start..found.end })?;
            if !go_on {
                return Ok(());
            }
            from = found.end;
        }
        self.normalized_segments(stretch, from..text.len(), matchers, origins, visit)?;
        Ok(())
    }

    fn check_alphabet(&self, text: &[u8]) -> Result<()> {
        let Some(foreign) = &self.foreign else { return Ok(()) };
        match text.iter().position(|&byte| foreign[byte as usize]) {
            None => Ok(()),
            Some(at) => Err(Error::Argument(format!(
                "byte 0x{:02x} at offset {at} is not in the alphabet of this tokenizer",
                text[at]
            ))),
        }
    }

    /// The second round: normalized text, and the added tokens that are matched in it.
    fn normalized_segments(
        &self,
        stretch: Stretch<'_>,
        source: Range<usize>,
        matchers: &Matchers,
        origins: Origins,
        visit: &mut dyn FnMut(Segment<'_>) -> Result<bool>,
    ) -> Result<bool> {
        if source.is_empty() {
            return Ok(true);
        }
        let part = &stretch.text[source.clone()];
        let at_start = source.start == 0;
        if at_start
            && stretch.place == Place::AfterCut
            && let Some(inner) = &self.inner
        {
            let text = &inner.normalize(part, false)?;
            return self.matched_segments(text, 0, None, Place::AfterCut, matchers, visit);
        }
        if origins == Origins::Tracked {
            let (normal, mut map) = self.normalizer.normalize_aligned(part, at_start)?;
            map.iter_mut().for_each(|at| *at += source.start);
            let map = Some(&map[..]);
            return self.matched_segments(
                &normal,
                source.start,
                map,
                Place::Start,
                matchers,
                visit,
            );
        }
        let normal = self.normalizer.normalize(part, at_start)?;
        self.matched_segments(&normal, source.start, None, Place::Start, matchers, visit)
    }

    fn matched_segments(
        &self,
        text: &[u8],
        base: usize,
        map: Option<&[usize]>,
        place: Place,
        matchers: &Matchers,
        visit: &mut dyn FnMut(Segment<'_>) -> Result<bool>,
    ) -> Result<bool> {
        let mut from = 0;
        let origin = |at: usize| map.map_or(base + at, |map| map[at]);
        for found in matchers.normalized.matches(text) {
            let source = origin(found.start)..origin(found.end);
            let before = from..found.start;
            let go_on = self.prefixed_segment(text, before, base, map, place, visit)?
                && visit(Segment::Token { id: found.id, source })?;
            if !go_on {
                return Ok(false);
            }
            from = found.end;
        }
        self.prefixed_segment(text, from..text.len(), base, map, place, visit)
    }

    fn prefixed_segment(
        &self,
        text: &[u8],
        range: Range<usize>,
        base: usize,
        map: Option<&[usize]>,
        place: Place,
        visit: &mut dyn FnMut(Segment<'_>) -> Result<bool>,
    ) -> Result<bool> {
        if range.is_empty() {
            return Ok(true);
        }
        let part = &text[range.clone()];
        let start = base + range.start;
        if place == Place::AfterCut && range.start == 0 {
            return visit(Segment::Text { text: part, start, origins: None });
        }
        let Some(map) = map else {
            let text = &self.prefixer.normalize(part, start == 0)?;
            return visit(Segment::Text { text, start, origins: None });
        };
        let (text, inner) = &self.prefixer.normalize_aligned(part, start == 0)?;
        let origins: Vec<usize> = inner.iter().map(|&at| map[range.start + at]).collect();
        visit(Segment::Text { text, start, origins: Some(&origins) })
    }
}

/// A text, or what follows a cut in one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch<'a> {
    pub text: &'a [u8],
    pub place: Place,
}

/// Where a stretch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// At the start of the text.
    Start,
    /// After a cut, where nothing is put before it.
    AfterCut,
}

/// Whether to keep track of where normalized bytes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origins {
    Tracked,
    Untracked,
}

/// The last place between an ASCII letter and a space before an ASCII letter.
pub(crate) fn last_word_cut(text: &[u8]) -> Option<usize> {
    let is_cut =
        |w: &[u8]| w[0].is_ascii_alphabetic() && w[1] == b' ' && w[2].is_ascii_alphabetic();
    text.windows(3).rposition(is_cut).map(|at| at + 1)
}

fn matchers(added: &[AddedToken], normalizer: &Normalizer, allowed: &Allowed) -> Result<Matchers> {
    let active = |token: &&AddedToken| {
        !token.special
            || match allowed {
                Allowed::None => false,
                Allowed::All => true,
                Allowed::These(names) => names.binary_search(&token.content).is_ok(),
            }
    };
    let raw = added.iter().filter(active).filter(|token| !token.normalized);
    let mut normalized = Vec::new();
    for token in added.iter().filter(active).filter(|token| token.normalized) {
        if token.verbatim {
            normalized.push(token.clone());
            continue;
        }
        let content = normalizer.normalize(token.content.as_bytes(), true)?.into_owned();
        let content = String::from_utf8(content).unwrap_or_default();
        normalized.push(AddedToken { content, ..token.clone() });
    }
    let splits_words = |token: &AddedToken| {
        let content = token.content.as_bytes();
        let inside = content.windows(2).any(|w| w[0].is_ascii_alphabetic() && w[1] == b' ');
        let after = token.rstrip && content.last().is_some_and(u8::is_ascii_alphabetic);
        inside || after || (token.single_word && content.starts_with(b" "))
    };
    Ok(Matchers {
        keep_words: !raw.clone().chain(&normalized).any(splits_words),
        raw: Matcher::new(raw)?,
        normalized: Matcher::new(normalized.iter())?,
    })
}

fn foreign_bytes(header: &Header, units: &Units) -> Option<Box<[bool; 256]>> {
    let Units::Bytes { first, .. } = units else { return None };
    let foreign = Box::new(first.each_ref().map(|&id| id == u32::MAX));
    (header.strict && foreign.contains(&true)).then_some(foreign)
}

fn model(header: &Header, vocab: Vocab, merges: Merges) -> Result<Model> {
    let size = vocab.len();
    if let Some(unknown) = header.unk {
        vocab.token_bytes(unknown)?;
    }
    let bytes = byte_table(&header.byte_units, size, "byte_units")?;
    let unknown = header.unk.unwrap_or(u32::MAX);
    let units = match header.unit {
        Unit::Byte => {
            let known = |mut table: Box<[u32; 256]>| {
                table.iter_mut().filter(|id| **id == u32::MAX).for_each(|id| *id = unknown);
                table
            };
            let last = match &header.final_byte_units {
                Some(ids) => Some(known(byte_table(ids, size, "final_byte_units")?)),
                None => None,
            };
            Units::Bytes { first: known(bytes), last }
        }
        Unit::Char => {
            let single = |id: u32| {
                let kind = vocab.kind(id);
                let usable = kind.has(Kind::MODEL) && !kind.has(Kind::BYTE);
                let bytes = vocab.token_bytes(id).ok().filter(|_| usable)?;
                Some((crate::encode::single_char(bytes)?, id))
            };
            let chars = CharTable::new((0..size as u32).filter_map(single));
            Units::Chars { chars, bytes, unknown }
        }
    };
    let whole_pieces = match header.ignore_merges {
        true => WholePieces::AreTokens,
        false => WholePieces::AreMerged,
    };
    // With a byte token for every byte, no character is unknown and none can be joined.
    let spelled = header.unit == Unit::Char && !header.byte_units.contains(&-1);
    let fused = header.unk.filter(|_| header.fuse_unk && !spelled);
    Model::new(vocab, merges, units, whole_pieces, fused)
        .with_unreachable(header.unreachable.as_deref())
}
