//! Any list of steps, as `tokenizers` 0.23 runs them.
//!
//! Every step finds matches in a text (by the linear-time engine) and turns matches and what lies
//! between them into pieces, by its behaviour; the next step sees each piece as a text of its own.
//! Empty pieces are dropped. The cursor holds one level per step, each with its place in its own
//! text, so memory does not grow with the text and filling can stop and go on anywhere.

use std::collections::VecDeque;
use std::ops::Range;

use super::named::LONG;
use super::{Behavior, Pattern, Span, Step};
use crate::error::{Poll, Result, Watch};
use crate::regex::{Matches, Regex};

/// `char::is_numeric` of Unicode 17, two runs newer than the engine's tables.
pub const NUMERIC: &str = r"[\p{N}\x{11DE0}-\x{11DE9}\x{16FF4}-\x{16FF6}]";

/// ASCII punctuation and the category P of Unicode 8, whose tables `tokenizers` still uses: of
/// today's P without what came later, and two characters that have left it.
pub const PUNCTUATION: &str = concat!(
    r"[[!-/:-@\[-`{-~\p{P}\x{166D}\x{111C9}]&&[^\x{61D}\x{9FD}\x{A76}\x{C77}\x{C84}",
    r"\x{1B4E}\x{1B4F}\x{1B7D}-\x{1B7F}\x{2E43}-\x{2E4F}\x{2E52}-\x{2E5D}\x{10D6E}\x{10EAD}",
    r"\x{10F55}-\x{10F59}\x{10F86}-\x{10F89}\x{113D4}\x{113D5}\x{113D7}\x{113D8}",
    r"\x{1144B}-\x{1144F}\x{1145A}\x{1145B}\x{1145D}\x{11660}-\x{1166C}\x{116B9}\x{1183B}",
    r"\x{11944}-\x{11946}\x{119E2}\x{11A3F}-\x{11A46}\x{11A9A}-\x{11A9C}\x{11A9E}-\x{11AA2}",
    r"\x{11B00}-\x{11B09}\x{11BE1}\x{11C41}-\x{11C45}\x{11C70}\x{11C71}\x{11EF7}\x{11EF8}",
    r"\x{11F43}-\x{11F4F}\x{11FFF}\x{12FF1}\x{12FF2}\x{16D6D}-\x{16D6F}\x{16E97}-\x{16E9A}",
    r"\x{16FE2}\x{1E5FF}\x{1E95E}\x{1E95F}]]",
);

/// A list of steps, ready to run.
#[derive(Debug)]
pub struct Steps {
    stages: Vec<Stage>,
}

/// One step: what it finds and what becomes of it.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) finder: Finder,
    pub(super) behavior: Behavior,
    pub(super) invert: bool,
}

#[derive(Debug)]
pub(super) enum Finder {
    Pattern(Box<Regex>),
    /// Each byte whose printable stand-in is numeric.
    NumericStandIns,
}

impl Steps {
    /// Compiles the steps.
    ///
    /// # Errors
    /// [`crate::Error::Pattern`] for a pattern that is wrong or cannot run in linear time.
    pub fn new(steps: &[Step]) -> Result<Steps> {
        let stages: Vec<_> = steps.iter().map(Stage::of).collect::<Result<_>>()?;
        Ok(Steps { stages: stages.into_iter().flatten().collect() })
    }

    /// The pieces of a text, from its start.
    pub fn cursor<'a>(&'a self, text: &'a [u8]) -> Cursor<'a> {
        let whole = Some(Span { start: 0, end: text.len() });
        let levels: Vec<_> = self.stages.iter().map(Level::new).collect();
        Cursor { text, levels, depth: 0, whole }
    }
}

impl Steps {
    /// The last places where pieces of the first step end and the text may be cut, whatever
    /// follows it.
    ///
    /// The other steps see each of these pieces as a text of its own. The first must not look
    /// behind or join pieces; then what follows a cut is split as before. What precedes it may see
    /// the end of the text now: the pieces for which the pattern has read so far are made again.
    pub(super) fn settled_ends(&self, text: &[u8], poll: Poll<'_>) -> Result<Vec<usize>> {
        const MOST: usize = 128;
        let Some(stage) = self.stages.first().filter(|stage| stage.stands_alone()) else {
            return Ok(Vec::new());
        };
        let mut watch = Watch::new(poll);
        let mut pause = Watch::next_pause(0);
        let mut level = Level::new(stage);
        level.restart(text, Span { start: 0, end: text.len() });
        // Ends of pieces, and how far the text was read for all up to there.
        let mut known = VecDeque::from([(0, 0)]);
        while let Some(piece) = level.next_piece(&mut watch)
            && watch.passes(piece.end, &mut pause)
            && let Some(reach) = level.settled_reach()
        {
            known.push_back((piece.end, reach));
            if known.len() > MOST {
                known.pop_front();
            }
        }
        let known = known.make_contiguous();
        let ends = (1..known.len()).filter(|&last| {
            let end = known[last].0;
            let sure = known[..last].partition_point(|&(_, reach)| reach < end);
            let Some(first) = sure.checked_sub(1) else { return false };
            level.restart(text, Span { start: known[first].0, end });
            let again = std::iter::from_fn(|| level.next_piece(&mut watch)).map(|piece| piece.end);
            again.eq(known[first + 1..=last].iter().map(|&(end, _)| end))
        });
        let ends = ends.map(|at| known[at].0).collect();
        watch.finish().map(|()| ends)
    }
}

impl Stage {
    /// Whether each piece depends on the text from its start on alone.
    fn stands_alone(&self) -> bool {
        let by_itself = matches!(self.behavior, Behavior::Isolated | Behavior::Removed);
        match &self.finder {
            Finder::Pattern(pattern) => by_itself && !pattern.looks_behind(),
            Finder::NumericStandIns => false,
        }
    }

    /// What runs a step, one after the other: one that groups numbers finds them first.
    pub(super) fn of(step: &Step) -> Result<Vec<Stage>> {
        let stage = |pattern, behavior, invert| Stage {
            finder: Finder::Pattern(Box::new(pattern)),
            behavior,
            invert,
        };
        let one = |pattern, behavior, invert| Ok(vec![stage(pattern, behavior, invert)]);
        match step {
            Step::Split { pattern: Pattern::String(text), behavior, invert } => {
                one(Regex::literal(text)?, *behavior, *invert)
            }
            Step::Split { pattern: Pattern::Regex(pattern), behavior, invert } => {
                let found = |pattern| stage(pattern, *behavior, *invert);
                Ok(match (Regex::cutting(pattern)?, behavior, invert) {
                    ((first, None), ..) => vec![found(first)],
                    ((first, Some(cuts)), Behavior::Isolated, _)
                    | ((first, Some(cuts)), Behavior::Removed, true) => {
                        vec![found(first), stage(cuts, Behavior::Isolated, false)]
                    }
                    // Matches are no pieces, and cannot be cut: the engine refuses this.
                    _ => vec![found(Regex::new(pattern)?)],
                })
            }
            Step::Digits { individual, stand_ins } => {
                let behavior = if *individual { Behavior::Isolated } else { Behavior::Contiguous };
                match stand_ins {
                    false => one(Regex::new(NUMERIC)?, behavior, false),
                    true => {
                        Ok(vec![Stage { finder: Finder::NumericStandIns, behavior, invert: false }])
                    }
                }
            }
            Step::Punctuation { behavior } => one(Regex::new(PUNCTUATION)?, *behavior, false),
            Step::Whitespace => one(Regex::new(r"\w+|[^\w\s]+")?, Behavior::Removed, true),
            Step::WhitespaceSplit => one(Regex::new(r"\s")?, Behavior::Removed, false),
        }
    }
}

/// The pieces of one text; see [`Steps::cursor`].
#[derive(Debug)]
pub struct Cursor<'a> {
    text: &'a [u8],
    levels: Vec<Level<'a>>,
    /// The level that is asked next.
    depth: usize,
    /// The text itself, until the first level has it.
    whole: Option<Span>,
}

impl Cursor<'_> {
    /// Writes the next pieces, in order, and says how many; 0 means that there are no more.
    pub fn fill(&mut self, out: &mut [Span], watch: &mut Watch<'_>) -> usize {
        let mut filled = 0;
        while let Some(slot) = out.get_mut(filled) {
            let Some(piece) = self.next_piece(watch) else { break };
            *slot = piece;
            filled += 1;
            if watch.has_stopped() || piece.end - piece.start >= LONG {
                break;
            }
        }
        filled
    }

    fn next_piece(&mut self, watch: &mut Watch<'_>) -> Option<Span> {
        if let Some(whole) = self.whole.take().filter(|whole| whole.end > 0) {
            match self.levels.first_mut() {
                Some(level) => level.restart(self.text, whole),
                None => return Some(whole),
            }
        }
        let mut pause = 0;
        loop {
            match self.levels.get_mut(self.depth)?.next_piece(watch) {
                Some(piece) => match self.levels.get_mut(self.depth + 1) {
                    Some(level) => {
                        // The steps after this one may remove all that it leaves.
                        if pause == 0 {
                            pause = Watch::next_pause(piece.end);
                        } else if !watch.passes(piece.end, &mut pause) {
                            return None;
                        }
                        level.restart(self.text, piece);
                        self.depth += 1;
                    }
                    None => return Some(piece),
                },
                None => self.depth = self.depth.checked_sub(1)?,
            }
        }
    }
}

/// A match, or what lies between matches, of a level's text.
#[derive(Debug, Clone, Copy)]
struct Segment {
    start: usize,
    end: usize,
    /// Whether the behaviour treats it as a match: with `invert`, when it is none.
    delimiter: bool,
}

/// One step at work on one text.
#[derive(Debug)]
struct Level<'a> {
    stage: &'a Stage,
    found: Found<'a>,
    /// Where the level's text lies in the whole one.
    base: usize,
    length: usize,
    /// The end of the last segment.
    covered: usize,
    /// A match behind the gap that was given out before it.
    after_gap: Option<Range<usize>>,
    /// A segment that was read too early.
    unread: Option<Segment>,
}

impl<'a> Level<'a> {
    fn new(stage: &'a Stage) -> Level<'a> {
        let found = match &stage.finder {
            Finder::Pattern(pattern) => Found::Pattern(Box::new(pattern.matches(&[]))),
            Finder::NumericStandIns => Found::NumericStandIns { text: &[], at: 0 },
        };
        Level { stage, found, base: 0, length: 0, covered: 0, after_gap: None, unread: None }
    }

    fn restart(&mut self, text: &'a [u8], span: Span) {
        let text = &text[span.start..span.end];
        match &mut self.found {
            Found::Pattern(matches) => matches.restart(text),
            found => *found = Found::NumericStandIns { text, at: 0 },
        }
        self.base = span.start;
        self.length = text.len();
        self.covered = 0;
        self.after_gap = None;
        self.unread = None;
    }

    /// The next piece that is not empty.
    fn next_piece(&mut self, watch: &mut Watch<'_>) -> Option<Span> {
        let mut pause = Watch::next_pause(self.covered);
        while watch.passes(self.covered, &mut pause) {
            let first = self.segment(watch)?;
            let piece = match self.stage.behavior {
                Behavior::Isolated => first,
                Behavior::Removed if first.delimiter => continue,
                Behavior::Removed => first,
                Behavior::MergedWithPrevious if first.delimiter => first,
                Behavior::MergedWithPrevious => self.merged_when(first, true, watch),
                Behavior::MergedWithNext if first.delimiter => {
                    self.merged_when(first, false, watch)
                }
                Behavior::MergedWithNext => first,
                Behavior::Contiguous => self.run(first, watch),
            };
            if piece.start < piece.end {
                return Some(Span { start: self.base + piece.start, end: self.base + piece.end });
            }
        }
        None
    }

    /// The last place that was read, if the pieces so far are the same whatever follows the text.
    fn settled_reach(&self) -> Option<usize> {
        match &self.found {
            Found::Pattern(matches) => matches.settled_reach(),
            Found::NumericStandIns { .. } => None,
        }
    }

    /// `first` together with the segment after it, when that is (not) a delimiter.
    fn merged_when(&mut self, first: Segment, delimiter: bool, watch: &mut Watch<'_>) -> Segment {
        match self.segment(watch) {
            Some(second) if second.delimiter == delimiter => Segment { end: second.end, ..first },
            second => {
                self.unread = second;
                first
            }
        }
    }

    /// `first` together with all segments of its kind after it.
    fn run(&mut self, first: Segment, watch: &mut Watch<'_>) -> Segment {
        let mut run = first;
        let mut pause = Watch::next_pause(first.end);
        while watch.passes(self.covered, &mut pause)
            && let Some(next) = self.segment(watch)
        {
            if next.delimiter != run.delimiter {
                self.unread = Some(next);
                break;
            }
            run.end = next.end;
        }
        run
    }

    fn segment(&mut self, watch: &mut Watch<'_>) -> Option<Segment> {
        if let Some(segment) = self.unread.take() {
            return Some(segment);
        }
        let (range, is_match) = match self.after_gap.take().or_else(|| self.found.next(watch)) {
            Some(found) if found.start > self.covered => {
                let gap = self.covered..found.start;
                self.after_gap = Some(found);
                (gap, false)
            }
            Some(found) => (found, true),
            None if self.covered < self.length => (self.covered..self.length, false),
            None => return None,
        };
        self.covered = range.end;
        let Range { start, end } = range;
        Some(Segment { start, end, delimiter: is_match != self.stage.invert })
    }
}

/// The matches of one level's text.
#[derive(Debug)]
enum Found<'a> {
    Pattern(Box<Matches<'a, 'a>>),
    NumericStandIns { text: &'a [u8], at: usize },
}

impl Found<'_> {
    fn next(&mut self, watch: &mut Watch<'_>) -> Option<Range<usize>> {
        match self {
            Found::Pattern(matches) => matches.next_watched(watch),
            Found::NumericStandIns { text, at } => {
                let width = |at: usize| usize::from(!stands_for_number(text[at]));
                let start = watch.walk(*at, text.len(), width);
                *at = (start + 1).min(text.len());
                (start < text.len()).then_some(start..start + 1)
            }
        }
    }
}

/// Whether GPT-2's printable stand-in of the byte is a numeric character: the bytes of printable
/// Latin-1 stand for themselves, and of these the digits, superscripts and fractions are numeric.
pub(super) fn stands_for_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | 0xB2 | 0xB3 | 0xB9 | 0xBC..=0xBE)
}

#[cfg(test)]
mod tests;
