//! The published patterns, each as a hand-written splitter that equals it on every text.
//!
//! | name | published as |
//! |---|---|
//! | gpt2 | Radford et al. 2019, `encoder.py` of github.com/openai/gpt-2; also r50k, p50k, whisper, roberta, mpt, gpt-neox, phi, and Hugging Face's ByteLevel |
//! | cl100k | github.com/openai/tiktoken, `openai_public.py`, since 0.9: trailing white space is one piece |
//! | gpt4 | the same file before; also llama3 (github.com/meta-llama/llama3, `tokenizer.py`) |
//! | o200k | the same file |
//! | qwen2 | github.com/QwenLM/Qwen, `tokenization_qwen.py` |
//! | qwen3.5 | huggingface.co/Qwen/Qwen3.5, `tokenizer.json` |
//! | deepseek-v3 | huggingface.co/deepseek-ai/DeepSeek-V3, `tokenizer.json`; also R1 and V4 |
//! | tekken | github.com/mistralai/mistral-common, `tekken_240718.json`; also Nemo |
//! | falcon | huggingface.co/tiiuae/falcon-7b, `tokenizer.json` |
//! | starcoder | huggingface.co/bigcode/starcoder, `tokenizer.json`; also smollm |
//! | kimi-k2 | huggingface.co/moonshotai/Kimi-K2-Instruct, `tokenization_kimi.py` |
//!
//! Classes of characters are those of `regex_syntax`'s Unicode version; only characters that newer
//! versions assigned can differ from a library with older tables.

mod common;
mod falcon;
mod marks;
mod patterns;
mod rules;
mod scan;
mod window;

pub use patterns::{by_name, names, pattern, recognise, spellings};
pub use scan::{Cursor, LONG};

use super::Span;
use super::unicode::Classes;
use crate::error::Watch;
use rules::{Contractions, Letters, Numbers, Parts, Rules, Space, Tail};

/// A hand-written splitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Splitter {
    Gpt2,
    Cl100k,
    Gpt4,
    O200k,
    Qwen2,
    Qwen35,
    DeepseekV3,
    Tekken,
    Falcon,
    Starcoder,
    KimiK2,
}

impl Splitter {
    /// Writes the next pieces from the cursor on, and says how many; 0 at the end of the text.
    pub fn fill(
        self,
        classes: &Classes,
        text: &[u8],
        cursor: &mut Cursor,
        out: &mut [Span],
        watch: &mut Watch<'_>,
    ) -> usize {
        let fill = match self {
            Splitter::Gpt2 => scan::fill::<Gpt2>,
            Splitter::Cl100k => scan::fill::<Cl100k>,
            Splitter::Gpt4 => scan::fill::<Gpt4>,
            Splitter::O200k => scan::fill::<O200k>,
            Splitter::Qwen2 => scan::fill::<Qwen2>,
            Splitter::Qwen35 => scan::fill::<Qwen35>,
            Splitter::DeepseekV3 => scan::fill::<DeepseekV3>,
            Splitter::Tekken => scan::fill::<Tekken>,
            Splitter::Falcon => scan::fill_falcon,
            Splitter::Starcoder => scan::fill::<Starcoder>,
            Splitter::KimiK2 => scan::fill::<KimiK2>,
        };
        fill(classes, text, cursor, out, watch)
    }
}

struct Gpt2;
impl Rules for Gpt2 {
    const CONTRACTIONS: Contractions = Contractions::Plain;
    const LETTERS: Letters = Letters::Spaced;
    const NUMBERS: Numbers = Numbers::Spaced;
    const TAIL: Tail = Tail::None;
    const SPACE: Space = Space::Plain;
}

struct Cl100k;
impl Rules for Cl100k {
    const CONTRACTIONS: Contractions = Contractions::Folded;
    const LETTERS: Letters = Letters::Prefixed;
    const NUMBERS: Numbers = Numbers::UpTo(3);
    const TAIL: Tail = Tail::Newlines;
    const SPACE: Space = Space::EndLines;
}

struct Gpt4;
impl Rules for Gpt4 {
    const CONTRACTIONS: Contractions = Contractions::Folded;
    const LETTERS: Letters = Letters::Prefixed;
    const NUMBERS: Numbers = Numbers::UpTo(3);
    const TAIL: Tail = Tail::Newlines;
    const SPACE: Space = Space::Lines;
}

struct O200k;
impl Rules for O200k {
    const CONTRACTIONS: Contractions = Contractions::Suffix;
    const LETTERS: Letters = Letters::Cased;
    const NUMBERS: Numbers = Numbers::UpTo(3);
    const TAIL: Tail = Tail::NewlinesSlash;
    const SPACE: Space = Space::Lines;
}

struct Qwen2;
impl Rules for Qwen2 {
    const CONTRACTIONS: Contractions = Contractions::Folded;
    const LETTERS: Letters = Letters::Prefixed;
    const NUMBERS: Numbers = Numbers::UpTo(1);
    const TAIL: Tail = Tail::Newlines;
    const SPACE: Space = Space::Lines;
}

struct Qwen35;
impl Rules for Qwen35 {
    const CONTRACTIONS: Contractions = Contractions::Folded;
    const LETTERS: Letters = Letters::Marked;
    const NUMBERS: Numbers = Numbers::UpTo(1);
    const TAIL: Tail = Tail::Newlines;
    const SPACE: Space = Space::Lines;
}

struct DeepseekV3;
impl Rules for DeepseekV3 {
    const CONTRACTIONS: Contractions = Contractions::None;
    const LETTERS: Letters = Letters::Deepseek;
    const NUMBERS: Numbers = Numbers::UpTo(3);
    const TAIL: Tail = Tail::Newlines;
    const SPACE: Space = Space::Lines;
    const PARTS: Parts = Parts::NumbersCjk;
}

struct Tekken;
impl Rules for Tekken {
    const CONTRACTIONS: Contractions = Contractions::None;
    const LETTERS: Letters = Letters::Cased;
    const NUMBERS: Numbers = Numbers::UpTo(1);
    const TAIL: Tail = Tail::NewlinesSlash;
    const SPACE: Space = Space::Lines;
}

struct Starcoder;
impl Rules for Starcoder {
    const CONTRACTIONS: Contractions = Contractions::Plain;
    const LETTERS: Letters = Letters::Spaced;
    const NUMBERS: Numbers = Numbers::UpTo(1);
    const TAIL: Tail = Tail::None;
    const SPACE: Space = Space::Plain;
    const PARTS: Parts = Parts::Numbers;
}

struct KimiK2;
impl Rules for KimiK2 {
    const CONTRACTIONS: Contractions = Contractions::Suffix;
    const LETTERS: Letters = Letters::CasedHan;
    const NUMBERS: Numbers = Numbers::UpTo(3);
    const TAIL: Tail = Tail::Newlines;
    const SPACE: Space = Space::Lines;
}
