//! Cuts text into pieces, inside which merges happen.

use serde::{Deserialize, Serialize};

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

#[cfg(test)]
mod tests {
    use super::*;

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
