//! Cuts text into pieces, inside which merges happen.
//!
//! A published pattern runs as a hand-written splitter (`named`), any other list of steps through
//! the linear-time engine.

pub mod named;
pub mod outlook;
pub mod steps;
pub mod unicode;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::error::{Poll, Watch};
use named::{Cursor, Splitter};
use steps::Steps;
use unicode::{Classes, classes};

/// A piece of the text: the bytes `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

/// One step of a pre-tokenizer; steps run in sequence, each on every span left by the one before,
/// and a span is a text of its own for look-around.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Step {
    /// Cuts at the matches of a pattern (with `invert`: at what lies between them).
    Split {
        #[serde(flatten)]
        pattern: Pattern,
        behavior: Behavior,
        #[serde(default)]
        invert: bool,
    },
    /// Isolates numeric characters: each one, or each run of them.
    Digits {
        individual: bool,
        /// The step reads GPT-2's printable stand-ins of the bytes, as after a ByteLevel step:
        /// of all bytes above 0x7F only B2, B3, B9, BC, BD and BE are then numeric.
        #[serde(default)]
        stand_ins: bool,
    },
    /// Cuts at punctuation characters: ASCII punctuation and Unicode's P.
    Punctuation { behavior: Behavior },
    /// Cuts into `\w+` and `[^\w\s]+`, and removes the rest.
    Whitespace,
    /// Cuts at white space, and removes it.
    WhitespaceSplit,
}

/// What a split step looks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    Regex(String),
    String(String),
}

/// What happens to a match of a splitting step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behavior {
    Isolated,
    Removed,
    MergedWithPrevious,
    MergedWithNext,
    Contiguous,
}

/// Cuts texts into pieces; immutable, one for all threads.
#[derive(Debug, Clone)]
pub struct Pretokenizer {
    kind: Kind,
    steps: Arc<[Step]>,
}

#[derive(Debug, Clone)]
enum Kind {
    Whole,
    Named(Splitter),
    Steps(Arc<Steps>),
}

impl Pretokenizer {
    /// The pre-tokenizer of a list of steps; without any, a text is one piece.
    ///
    /// # Errors
    /// [`crate::Error::Pattern`] for a pattern that is wrong or cannot run in linear time.
    pub fn new(steps: &[Step]) -> Result<Self> {
        // The tables are built here rather than while the first text waits.
        let _ = classes();
        let kind = match (steps, named::recognise(steps)) {
            ([], _) => Kind::Whole,
            (_, Some(splitter)) => Kind::Named(splitter),
            _ => Kind::Steps(Arc::new(Steps::new(steps)?)),
        };
        Ok(Pretokenizer { kind, steps: steps.into() })
    }

    /// The steps that it was made from.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The pieces of a text, in order.
    pub fn pieces<'a>(&'a self, text: &'a [u8]) -> Pieces<'a> {
        let steps = match &self.kind {
            Kind::Steps(steps) => Some(steps.cursor(text)),
            _ => None,
        };
        Pieces { kind: &self.kind, classes: classes(), text, cursor: Cursor::default(), steps }
    }

    /// Whether a text may be cut between an ASCII letter and a space followed by an ASCII letter
    /// without changing any piece.
    ///
    /// Proof for the named splitters. The left part: no alternative that can match a letter looks
    /// past the letters (and marks, and contractions) that it takes, so a piece that ends at the
    /// cut ends there alike before a space and before the end of the text; pieces that end earlier
    /// look at most one character past themselves, a letter at most. White space on the left
    /// is followed by a letter, so what treats the end of the text otherwise never sees it. The
    /// right part: no class that can follow a letter inside a piece holds the space, so a piece
    /// starts at the space, and no pattern looks behind. Steps before the pattern cut at numbers,
    /// punctuation or CJK only, never depending on a letter or a space.
    pub fn cuts_at_words(&self) -> bool {
        matches!(self.kind, Kind::Named(_))
    }

    /// Whether every text is one piece.
    pub fn keeps_whole(&self) -> bool {
        matches!(self.kind, Kind::Whole)
    }

    /// The last ends of pieces that are the same whatever follows `text`, where it may be cut.
    ///
    /// Proof for the named splitters. They decide a piece by what it holds and a few characters
    /// after it, but for white space, which they scan to its end. So a piece that ends in something
    /// else, far enough from the end of the text, was decided by characters that are there.
    ///
    /// # Errors
    /// Those of `poll`.
    pub fn settled_ends(&self, text: &[u8], poll: Poll<'_>) -> Result<Vec<usize>> {
        const MARGIN: usize = 64;
        match &self.kind {
            Kind::Whole => Ok(Vec::new()),
            Kind::Steps(steps) => steps.settled_ends(text, poll),
            Kind::Named(_) => {
                let Some(limit) = text.len().checked_sub(MARGIN) else { return Ok(Vec::new()) };
                let mut pause = Watch::next_pause(0);
                let mut ends = Vec::new();
                let mut pieces = self.pieces(text);
                let mut spans = [Span::default(); 128];
                loop {
                    let filled = pieces.fill(&mut spans, poll)?;
                    // No more than these are asked for.
                    ends.drain(..ends.len().saturating_sub(spans.len()));
                    let known = spans[..filled].iter().map(|span| span.end);
                    let settled = known.take_while(|&end| end <= limit);
                    ends.extend(settled.filter(|&end| !ends_in_space(text, end)));
                    if filled == 0 || spans[filled - 1].end > limit {
                        return Ok(ends);
                    }
                    if spans[filled - 1].end >= pause {
                        pause = Watch::next_pause(spans[filled - 1].end);
                        poll()?;
                    }
                }
            }
        }
    }
}

/// The last place between an ASCII letter and a space before an ASCII letter.
pub(crate) fn last_word_cut(text: &[u8]) -> Option<usize> {
    let is_cut =
        |w: &[u8]| w[0].is_ascii_alphabetic() && w[1] == b' ' && w[2].is_ascii_alphabetic();
    text.windows(3).rposition(is_cut).map(|at| at + 1)
}

/// Whether the character before `end` is white space, or no character.
fn ends_in_space(text: &[u8], end: usize) -> bool {
    let start = end.saturating_sub(4);
    let lead = (start..end).rev().find(|&at| text[at] & 0xc0 != 0x80);
    let char = lead.and_then(|at| std::str::from_utf8(&text[at..end]).ok());
    char.is_none_or(|char| char.chars().all(char::is_whitespace))
}

/// The pieces of one text.
pub struct Pieces<'a> {
    kind: &'a Kind,
    classes: &'static Classes,
    text: &'a [u8],
    cursor: Cursor,
    /// The place in the text where the kind is steps.
    steps: Option<steps::Cursor<'a>>,
}

impl Pieces<'_> {
    /// Writes the next pieces, in order, and says how many; 0 means that there are no more.
    ///
    /// Gaps lie between pieces only where a step removes text. A long piece ends what is written
    /// at once, and `poll` is asked inside of longer ones.
    ///
    /// # Errors
    /// Those of `poll`; the next pieces are unknown then.
    pub fn fill(&mut self, out: &mut [Span], poll: Poll<'_>) -> Result<usize> {
        let mut watch = Watch::new(poll);
        let filled = match self.kind {
            Kind::Whole => self.whole(out),
            Kind::Steps(_) => self.steps.as_mut().map_or(0, |steps| steps.fill(out, &mut watch)),
            Kind::Named(splitter) => {
                splitter.fill(self.classes, self.text, &mut self.cursor, out, &mut watch)
            }
        };
        watch.finish().map(|()| filled)
    }

    fn whole(&mut self, out: &mut [Span]) -> usize {
        let (start, end) = (self.cursor.at, self.text.len());
        match out.first_mut() {
            Some(first) if start < end => {
                *first = Span { start, end };
                self.cursor.at = end;
                1
            }
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    /// The pieces, and how often `poll` was asked; it fails when asked more than `most` times.
    fn watched(
        pretokenizer: &Pretokenizer,
        text: &[u8],
        most: usize,
    ) -> (Result<Vec<Span>>, usize) {
        let (mut asked, mut all, mut spans) = (0, Vec::new(), [Span::default(); 8]);
        let mut pieces = pretokenizer.pieces(text);
        let result = loop {
            let mut poll = || {
                asked += 1;
                if asked > most { Err(Error::Interrupted) } else { Ok(()) }
            };
            match pieces.fill(&mut spans, &mut poll) {
                Ok(0) => break Ok(all),
                Ok(filled) => all.extend_from_slice(&spans[..filled]),
                Err(error) => break Err(error),
            }
        };
        (result, asked)
    }

    /// Long runs of one kind of character, cut by the pauses of a scan anywhere, and what ends them.
    fn runs() -> impl Iterator<Item = Vec<u8>> {
        let ends = ["", "x", "q.", "\n", "12"].map(str::as_bytes);
        let kinds = ["a", " ", "!", "7", "\n", "é", "日", "\u{301}", "𝒳", "カ", "\u{AD}"];
        let kinds = kinds.map(str::as_bytes).into_iter().chain([&b"\x80"[..], b"\xC2"]);
        kinds.flat_map(move |kind| {
            ends.into_iter().flat_map(move |end| {
                ["", "q."].map(|start| {
                    [start.as_bytes(), &kind.repeat(150), end, &kind.repeat(150)].concat()
                })
            })
        })
    }

    #[test]
    fn pauses_of_a_scan_do_not_show_and_a_stop_at_any_is_an_error() {
        let regex = |regex: &str| {
            let pattern = Pattern::Regex(regex.to_owned());
            vec![Step::Split { pattern, behavior: Behavior::Contiguous, invert: false }]
        };
        let named = named::names().map(|name| named::pattern(name).expect("a listed name"));
        let patterns = [r"\S+|\s+", r"[a ]*b|[a ]", r"(?<=q)q", r"(?s).", r"[^\x{80}]+"];
        for steps in named.chain(patterns.map(regex)) {
            let pretokenizer = Pretokenizer::new(&steps).expect("a sound pattern");
            let engine = Kind::Steps(Arc::new(Steps::new(&steps).expect("a sound pattern")));
            let engine = Pretokenizer { kind: engine, steps: steps.clone().into() };
            for text in runs() {
                let (pieces, asked) = watched(&pretokenizer, &text, usize::MAX);
                let pieces = pieces.expect("never stopped");
                assert_eq!(Ok(&pieces), watched(&engine, &text, usize::MAX).0.as_ref());
                let longest = pieces.iter().map(|piece| piece.end - piece.start).max();
                assert!(asked > 0 || longest < Some(100), "{steps:?}: {longest:?}");
                for most in [0, 1, asked / 2, asked.saturating_sub(1)] {
                    let stopped = watched(&pretokenizer, &text, most);
                    assert!(most >= asked || stopped == (Err(Error::Interrupted), most + 1));
                }
            }
        }
    }

    #[test]
    fn steps_read_the_definition_json() {
        let json = r#"[{"type":"split","regex":"\\s+","behavior":"merged_with_next","invert":true},
            {"type":"split","string":" ","behavior":"removed"},
            {"type":"digits","individual":true},{"type":"punctuation","behavior":"contiguous"},
            {"type":"whitespace"},{"type":"whitespace_split"}]"#;
        let steps: Vec<Step> = serde_json::from_str(json).expect("the schema's own example");
        let split = |pattern, behavior, invert| Step::Split { pattern, behavior, invert };
        let expected = vec![
            split(Pattern::Regex(r"\s+".into()), Behavior::MergedWithNext, true),
            split(Pattern::String(" ".into()), Behavior::Removed, false),
            Step::Digits { individual: true, stand_ins: false },
            Step::Punctuation { behavior: Behavior::Contiguous },
            Step::Whitespace,
            Step::WhitespaceSplit,
        ];
        assert_eq!(steps, expected);
    }
}
