//! Texts as runs of words: which words follow each other, and how often.
//!
//! A text is cut into pieces; a piece that is a word ([`is_word`]) may join its neighbours, any other
//! stands between runs. Equal runs are kept once. Memory: four bytes for each word of a distinct
//! run, and the distinct pieces.

use std::collections::HashMap;

use super::arriving::Arriving;
use crate::error::{Poll, Result};
use crate::pretokenize::unicode::{LETTER, MARK, classes};
use crate::pretokenize::{Pretokenizer, Span, Step};

/// Pieces cut at a time.
const PIECES: usize = 256;
/// Words of a run; a longer one is cut, so that no run takes more than its share of memory.
const LONGEST: usize = 1 << 20;

/// Distinct pieces and runs of them, with how often each stands in the texts.
#[derive(Debug)]
pub struct Runs {
    pretokenizer: Pretokenizer,
    arriving: Arriving,
    ids: HashMap<Vec<u8>, u32>,
    pub pieces: Vec<Vec<u8>>,
    pub counts: Vec<u64>,
    words: Vec<bool>,
    pub runs: HashMap<Vec<u32>, u64>,
    total: u64,
}

impl Runs {
    /// Runs of the pieces that `steps` make.
    ///
    /// # Errors
    /// [`crate::Error::Pattern`] for a pattern that is wrong or cannot run in linear time.
    pub fn new(steps: &[Step]) -> Result<Runs> {
        Ok(Runs {
            pretokenizer: Pretokenizer::new(steps)?,
            arriving: Arriving::default(),
            ids: HashMap::new(),
            pieces: Vec::new(),
            counts: Vec::new(),
            words: Vec::new(),
            runs: HashMap::new(),
            total: 0,
        })
    }

    /// Pieces so far, equal ones included.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Adds a text.
    ///
    /// # Errors
    /// Those of `poll`.
    pub fn push(&mut self, text: &[u8], poll: Poll<'_>) -> Result<()> {
        let pretokenizer = self.pretokenizer.clone();
        let mut pieces = pretokenizer.pieces(text);
        let mut spans = [Span::default(); PIECES];
        let (mut run, mut end) = (Vec::new(), 0);
        loop {
            let filled = pieces.fill(&mut spans, poll)?;
            for span in &spans[..filled] {
                let id = self.piece(&text[span.start..span.end]);
                // Removed text between two pieces parts them.
                if span.start != end || !self.words[id as usize] || run.len() == LONGEST {
                    self.close(&mut run);
                }
                if self.words[id as usize] {
                    run.push(id);
                }
                end = span.end;
            }
            if filled == 0 {
                self.close(&mut run);
                return Ok(());
            }
            poll()?;
        }
    }

    /// Adds a part of a text that arrives in several.
    ///
    /// # Errors
    /// Those of `poll`.
    pub fn push_part(&mut self, part: &[u8], last: bool, poll: Poll<'_>) -> Result<()> {
        self.arriving.add(part, last).map_or(Ok(()), |text| self.push(&text, poll))
    }

    fn piece(&mut self, piece: &[u8]) -> u32 {
        self.total += 1;
        if let Some(&id) = self.ids.get(piece) {
            self.counts[id as usize] += 1;
            return id;
        }
        let id = self.pieces.len() as u32;
        self.ids.insert(piece.to_vec(), id);
        self.pieces.push(piece.to_vec());
        self.counts.push(1);
        self.words.push(is_word(piece));
        id
    }

    fn close(&mut self, run: &mut Vec<u32>) {
        if run.len() > 1 {
            match self.runs.get_mut(run.as_slice()) {
                Some(count) => *count += 1,
                None => {
                    self.runs.insert(run.clone(), 1);
                }
            }
        }
        run.clear();
    }
}

/// Whether a piece is letters, each with its marks, and spaces, underscores or apostrophes, with a
/// letter behind the first character: `^(?=.+\p{L})(?:\p{L}\p{M}*|[ _'’])+$`.
pub fn is_word(piece: &[u8]) -> bool {
    let (classes, mut at, mut lettered, mut later) = (classes(), 0, false, false);
    while at < piece.len() {
        let (class, width) = classes.at(piece, at);
        let letter = class & LETTER != 0;
        let joint = [&b" "[..], b"_", b"'", "\u{2019}".as_bytes()];
        let is_joint = joint.contains(&&piece[at..at + width]);
        if !(letter || is_joint || lettered && class & MARK != 0) {
            return false;
        }
        later |= letter && at > 0;
        // A mark follows a letter, perhaps behind other marks, but never a space.
        lettered = !is_joint;
        at += width;
    }
    later
}
