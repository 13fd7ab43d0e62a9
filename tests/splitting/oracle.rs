//! Steps of a pre-tokenizer as their definition says, with `fancy-regex`: slow and plain.

use bytewright::pretokenize::{Behavior, Pattern, Step, steps};
use fancy_regex::Regex;

/// One step: what it matches, and how it reads its spans.
struct Stage {
    regex: Regex,
    /// Neighbouring matches are one piece.
    joined: bool,
    /// Reads the printable stand-ins of the bytes.
    stand_ins: bool,
}

pub struct Oracle {
    stages: Vec<Stage>,
}

impl Oracle {
    pub fn new(steps: &[Step]) -> Self {
        let (mut stages, mut stand_ins) = (Vec::new(), false);
        for step in steps {
            let (regex, joined) = match step {
                Step::Split { pattern: Pattern::Regex(regex), behavior, invert: false } => {
                    assert_eq!(*behavior, Behavior::Isolated);
                    (regex.clone(), false)
                }
                Step::Digits { individual, stand_ins: after_bytes } => {
                    stand_ins |= after_bytes;
                    (steps::NUMERIC.into(), !individual)
                }
                Step::Punctuation { behavior: Behavior::Contiguous } => {
                    (steps::PUNCTUATION.into(), true)
                }
                _ => panic!("no published pattern has {step:?}"),
            };
            let regex = Regex::new(&regex).expect("a valid pattern");
            stages.push(Stage { regex, joined, stand_ins });
        }
        Oracle { stages }
    }

    /// The pieces of a text as byte ranges.
    pub fn pieces(&self, text: &str) -> Vec<(usize, usize)> {
        let mut spans = vec![(0, text.len())];
        for stage in &self.stages {
            let split = |(start, end): (usize, usize)| {
                stage
                    .split(&text.as_bytes()[start..end])
                    .into_iter()
                    .map(move |(a, b)| (a + start, b + start))
            };
            spans = spans.into_iter().flat_map(split).collect();
        }
        spans
    }
}

impl Stage {
    fn split(&self, bytes: &[u8]) -> Vec<(usize, usize)> {
        let text: String = if self.stand_ins {
            bytes.iter().map(|&byte| stand_in(byte)).collect()
        } else {
            std::str::from_utf8(bytes).expect("whole characters").to_owned()
        };
        let mut pieces = self.cuts(&text);
        if self.stand_ins {
            let back = |at| text[..at].chars().count();
            pieces = pieces.into_iter().map(|(a, b)| (back(a), back(b))).collect();
        }
        pieces
    }

    fn cuts(&self, text: &str) -> Vec<(usize, usize)> {
        let (mut pieces, mut end, mut after_match) = (Vec::new(), 0, false);
        for found in self.regex.find_iter(text) {
            let found = found.expect("a text that the oracle can run");
            if found.start() > end {
                pieces.push((end, found.start()));
                after_match = false;
            }
            match pieces.last_mut() {
                Some(last) if self.joined && after_match => last.1 = found.end(),
                _ => pieces.push((found.start(), found.end())),
            }
            (end, after_match) = (found.end(), true);
        }
        if end < text.len() {
            pieces.push((end, text.len()));
        }
        pieces
    }
}

/// GPT-2's printable stand-in of a byte.
fn stand_in(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    if printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|&other| !printable(other)).count() as u32;
    char::from_u32(256 + before).expect("a stand-in")
}

/// The text with every broken byte as U+FFFD, and where each of its bytes came from.
pub fn replaced(bytes: &[u8]) -> (String, Vec<usize>) {
    let (mut text, mut origins, mut at) = (String::new(), Vec::new(), 0);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        origins.extend(at..at + chunk.valid().len());
        at += chunk.valid().len();
        for _ in chunk.invalid() {
            text.push('\u{FFFD}');
            origins.extend([at; 3]);
            at += 1;
        }
    }
    origins.push(at);
    (text, origins)
}
