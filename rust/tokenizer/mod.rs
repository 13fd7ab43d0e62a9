//! The tokenizer: added tokens, normalizer, pre-tokenizer and model, in that order.
//!
//! Text that no added token matches is normalized, cut into pieces and merged. Everything is
//! immutable but a pool of scratches (caches, buffers), so one tokenizer serves any number of
//! threads, and a forked process.

mod build;
mod cut;
mod inference;
mod segment;
mod special;

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::added::AddedToken;
use crate::encode::{Model, Scratch};
use crate::error::{Error, Poll, Result};
use crate::header::Decoder;
use crate::normalize::Normalizer;
use crate::pretokenize::{self, Pretokenizer, Span};
use crate::token::TokenId;
use crate::vocab::Vocab;

pub use build::Definition;
pub(crate) use segment::{Place, Stretch};
pub use special::Allowed;
pub(crate) use special::Matchers;

use inference::{Across, Inference, Runs};
use segment::{Origins, Segment};

/// Bytes that the piece cache of one thread may take.
const CACHE_BYTES: usize = 64 << 20;
/// Pieces cut at a time.
const PIECES: usize = 512;
/// Bytes of text between two looks at whether to go on.
const POLL_BYTES: usize = 1 << 18;

/// Ids that are decoded between two looks at whether to go on.
const POLL_IDS: usize = 1 << 16;

/// A tokenizer.
#[derive(Debug)]
pub struct Tokenizer {
    model: Model,
    normalizer: Normalizer,
    /// Puts a space before each text that the pre-tokenizer gets, where the format does so.
    prefixer: Normalizer,
    /// The normalizer of what follows a cut, where nothing is put before a text.
    inner: Normalizer,
    /// Whether it never brings a letter and the space before another together.
    keeps_words: bool,
    pretokenizer: Pretokenizer,
    inference: Inference,
    added: Vec<AddedToken>,
    decoder: Decoder,
    /// The unknown token, whose text keeps a space that it begins with.
    unknown: Option<u32>,
    /// Bytes that text must not have, for a strict tokenizer with a partial alphabet.
    foreign: Option<Box<[bool; 256]>>,
    always: Arc<Matchers>,
    chosen: Mutex<HashMap<Allowed, Arc<Matchers>>>,
    scratches: Mutex<Vec<Scratch>>,
}

/// What stands before each text that the pre-tokenizer gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    Nothing,
    /// A space, which is put there unless the text begins with one.
    Space,
    /// A space that is put before every text.
    Another,
}

impl Tokenizer {
    /// The vocabulary.
    pub fn vocab(&self) -> &Vocab {
        &self.model.vocab
    }

    /// What makes ids of pieces.
    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    /// The space that every text begins with, where decoding takes it away again.
    pub(crate) fn lead(&self) -> Option<u8> {
        let puts = self.openings()[0] != Opening::Nothing;
        (self.decoder.strip_leading_space && puts).then_some(b' ')
    }

    /// What is put before a text, before what stands behind an added token that is found in the text
    /// as it is, and behind one that is found in the normalized text.
    pub(crate) fn openings(&self) -> [Opening; 3] {
        let normalizers = [&self.normalizer, &self.prefixer];
        let [start, raw] = [true, false].map(|at_start| self.opening(&normalizers, at_start));
        [start, raw, self.opening(&normalizers[1..], false)]
    }

    fn opening(&self, normalizers: &[&Normalizer], at_start: bool) -> Opening {
        let put = |text: &[u8]| {
            normalizers.iter().try_fold(text.to_vec(), |text, normalizer| {
                let found = normalizer.normalize(&text, at_start, &mut || Ok(()));
                found.map(|found| found.into_owned())
            })
        };
        match (put(b"a").as_deref(), put(b" a").as_deref()) {
            (Ok(b" a"), Ok(b"  a")) => Opening::Another,
            (Ok(b" a"), Ok(b" a")) => Opening::Space,
            _ => Opening::Nothing,
        }
    }

    /// The model and the steps of the pre-tokenizer, where each piece is merged by itself and tokens
    /// spell what is in texts.
    ///
    /// # Errors
    /// [`Error::Argument`] with what else the tokenizer does.
    pub(crate) fn plain_model(&self) -> Result<(&Model, &[pretokenize::Step])> {
        let what = if !self.inference.is_plain() {
            "does more than merge by rank: what it joins and takes apart again, or joins across \
             pieces, does not tell by neighbouring tokens whether it makes them"
        } else if self.model.units.mark_ends() {
            "marks the ends of words: tokens that spell the mark spell what is in no text"
        } else {
            return Ok((&self.model, self.pretokenizer.steps()));
        };
        Err(Error::Argument(format!(
            "the tokenizer {what}, so only semantics 'all' can be asked for"
        )))
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
        let mut ids = Vec::with_capacity(stretch.text.len() / 2);
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
        self.each_stretch(stretch, matchers, poll, &mut |stretch, _, poll| {
            self.encode_at_once(stretch, matchers, scratch, ids, poll)
        })
    }

    fn encode_at_once(
        &self,
        stretch: Stretch<'_>,
        matchers: &Matchers,
        scratch: &mut Scratch,
        ids: &mut Vec<TokenId>,
        poll: Poll<'_>,
    ) -> Result<bool> {
        self.each_segment(stretch, matchers, Origins::Untracked, poll, &mut |segment, poll| {
            match segment {
                Segment::Token { id, .. } => {
                    ids.push(id);
                    Ok(true)
                }
                Segment::Text { text, .. } => match &self.inference {
                    Inference::Across(across) => {
                        self.each_joined(text, across, scratch, poll, |id, _| {
                            ids.push(id);
                            true
                        })
                    }
                    inference => self.each_batch(text, poll, |spans, poll| {
                        inference.encode(&self.model, text, spans, scratch, ids, poll)?;
                        Ok(true)
                    }),
                },
            }
        })
    }

    /// Calls `visit` with each token of a text in which neighbouring pieces may join, and where it
    /// begins, until it returns false. Returns whether to go on.
    fn each_joined(
        &self,
        text: &[u8],
        across: &Across,
        scratch: &mut Scratch,
        poll: Poll<'_>,
        mut visit: impl FnMut(TokenId, usize) -> bool,
    ) -> Result<bool> {
        let (mut runs, mut tokens, go_on) = (Runs::new(across), Vec::new(), Cell::new(true));
        let mut emit = |(id, start)| go_on.set(go_on.get() && visit(id, start));
        self.each_batch(text, poll, |spans, poll| {
            for &span in spans {
                tokens.clear();
                let piece = &text[span.start..span.end];
                across.encode_with_starts(&self.model, piece, scratch, poll, |id, start| {
                    tokens.push((id, span.start + start));
                })?;
                runs.piece(span, &tokens, &mut emit);
            }
            Ok(go_on.get())
        })?;
        runs.finish(&mut emit);
        Ok(go_on.get())
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
        self.each_stretch(whole, matchers, poll, &mut |stretch, _, poll| {
            self.each_segment(stretch, matchers, Origins::Untracked, poll, &mut |segment, poll| {
                match segment {
                    Segment::Token { .. } => {
                        count += 1;
                        Ok(within(count))
                    }
                    Segment::Text { text, .. } => match &self.inference {
                        Inference::Across(across) => {
                            self.each_joined(text, across, scratch, poll, |_, _| {
                                count += 1;
                                within(count)
                            })
                        }
                        inference => self.each_batch(text, poll, |spans, poll| {
                            ids.clear();
                            inference.encode(&self.model, text, spans, scratch, &mut ids, poll)?;
                            count += ids.len();
                            Ok(within(count))
                        }),
                    },
                }
            })
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
            self.each_stretch(whole, &matchers, poll, &mut |stretch, base, poll| {
                self.each_segment(stretch, &matchers, tracked, poll, &mut |segment, poll| {
                    let (part, start, origins) = match segment {
                        Segment::Token { id, source } => {
                            ids.push(id);
                            starts.push((base + source.start) as i64);
                            return Ok(ids.len() <= room);
                        }
                        Segment::Text { text, start, origins } => (text, start, origins),
                    };
                    let mut emit = |id, at: usize| {
                        ids.push(id);
                        starts.push((base + origins.map_or(start + at, |map| map[at])) as i64);
                        ids.len() <= room
                    };
                    if let Inference::Across(across) = &self.inference {
                        return self.each_joined(part, across, scratch, poll, emit);
                    }
                    self.each_batch(part, poll, |spans, poll| {
                        let mut go_on = true;
                        for span in spans {
                            let piece = &part[span.start..span.end];
                            let place = |id, at| go_on = emit(id, span.start + at);
                            let (model, inference) = (&self.model, &self.inference);
                            inference.encode_with_starts(model, piece, scratch, poll, place)?;
                        }
                        Ok(go_on)
                    })
                })
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
    pub fn decode(&self, ids: &[i32], out: &mut Vec<u8>, poll: Poll<'_>) -> Result<()> {
        let before = out.len();
        for (at, part) in ids.chunks(POLL_IDS).enumerate() {
            if at > 0 {
                poll()?;
            }
            self.model.vocab.decode(part, out)?;
        }
        let same = |unknown| ids.first().is_some_and(|&id| i64::from(id) == i64::from(unknown));
        let strips = self.decoder.strip_leading_space && !self.unknown.is_some_and(same);
        if strips && out.get(before) == Some(&b' ') {
            out.remove(before);
        }
        Ok(())
    }

    /// Whether `ids` are what their text encodes to.
    pub fn is_canonical(&self, ids: &[i32], poll: Poll<'_>) -> Result<bool> {
        let mut text = Vec::new();
        self.decode(ids, &mut text, poll)?;
        let again = self.encode(&text, &Allowed::None, poll)?;
        Ok(again.len() == ids.len()
            && again.iter().zip(ids).all(|(&a, &b)| i64::from(a) == i64::from(b)))
    }

    /// Runs `work` with a scratch of the pool.
    pub(crate) fn with_scratch<T>(&self, work: impl FnOnce(&mut Scratch) -> T) -> T {
        // Never waited for: in a forked process, nobody may be left to open a lock.
        let kept = self.scratches.try_lock().ok().and_then(|mut pool| pool.pop());
        let mut scratch = kept.unwrap_or_else(|| Scratch::new(CACHE_BYTES));
        let result = work(&mut scratch);
        if let Ok(mut pool) = self.scratches.try_lock() {
            pool.push(scratch);
        }
        result
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
            let filled = pieces.fill(&mut buffer, poll)?;
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
}
