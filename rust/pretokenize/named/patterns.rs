//! Names and spellings of the published patterns.

use super::Splitter;
use crate::pretokenize::{Behavior, Pattern, Step};

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const CL100K: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s";
const GPT4: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const DEEPSEEK_NUMBERS: &str = r"\p{N}{1,3}";
const DEEPSEEK_CJK: &str = "[一-龥\u{3040}-ゟ゠-ヿ]+";
const DEEPSEEK: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##;
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const FALCON_DIGITS: &str = r"[0-9][0-9][0-9]";
const KIMI_K2: &str = r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Every name, its splitter, and what else it is called.
const NAMES: [(&str, Splitter); 22] = [
    ("gpt2", Splitter::Gpt2),
    ("r50k", Splitter::Gpt2),
    ("p50k", Splitter::Gpt2),
    ("whisper", Splitter::Gpt2),
    ("roberta", Splitter::Gpt2),
    ("gpt-neox", Splitter::Gpt2),
    ("mpt", Splitter::Gpt2),
    ("cl100k", Splitter::Cl100k),
    ("gpt4", Splitter::Gpt4),
    ("llama3", Splitter::Gpt4),
    ("o200k", Splitter::O200k),
    ("gpt-4o", Splitter::O200k),
    ("qwen2", Splitter::Qwen2),
    ("qwen3", Splitter::Qwen2),
    ("qwen3.5", Splitter::Qwen35),
    ("deepseek-v3", Splitter::DeepseekV3),
    ("deepseek-v4", Splitter::DeepseekV3),
    ("tekken", Splitter::Tekken),
    ("falcon", Splitter::Falcon),
    ("starcoder", Splitter::Starcoder),
    ("smollm", Splitter::Starcoder),
    ("kimi-k2", Splitter::KimiK2),
];

/// Other spellings of a pattern that is one regular expression: possessive, atomic and shortened
/// forms. All match alike as `fancy_regex` reads them.
const SPELLINGS: [(&str, Splitter); 17] = [
    (GPT2, Splitter::Gpt2),
    (r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", Splitter::Gpt2),
    (
        r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s",
        Splitter::Gpt2,
    ),
    (
        r"'s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}]+| ?[\p{N}]+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        Splitter::Gpt2,
    ),
    (CL100K, Splitter::Cl100k),
    (GPT4, Splitter::Gpt4),
    (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
        Splitter::Gpt4,
    ),
    (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s*[\r\n]|\s+(?!\S)|\s",
        Splitter::Gpt4,
    ),
    (O200K, Splitter::O200k),
    (QWEN2, Splitter::Qwen2),
    (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
        Splitter::Qwen2,
    ),
    (QWEN35, Splitter::Qwen35),
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{N}\p{M}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        Splitter::Qwen35,
    ),
    (TEKKEN, Splitter::Tekken),
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}{1}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        Splitter::Tekken,
    ),
    (KIMI_K2, Splitter::KimiK2),
    (
        r"\p{Han}+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        Splitter::KimiK2,
    ),
];

/// The splitter of a published pattern's name.
pub fn by_name(name: &str) -> Option<Splitter> {
    NAMES.iter().find(|(known, _)| *known == name).map(|&(_, splitter)| splitter)
}

/// Every name that `by_name` knows.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|&(name, _)| name)
}

/// Every known spelling of the patterns that are one regular expression.
pub fn spellings() -> impl Iterator<Item = (&'static str, Splitter)> {
    SPELLINGS.into_iter()
}

/// The steps that a name stands for, as published.
pub fn pattern(name: &str) -> Option<Vec<Step>> {
    by_name(name).map(Splitter::steps)
}

/// The splitter that equals the steps, when they are a published list in a known spelling.
pub fn recognise(steps: &[Step]) -> Option<Splitter> {
    let splitter = match steps {
        [Step::Split { pattern: Pattern::Regex(regex), .. }] => spelled(regex)?,
        [Step::Digits { .. }, _] => Splitter::Starcoder,
        [Step::Split { .. }, _, _] => Splitter::DeepseekV3,
        [Step::Punctuation { .. }, ..] => Splitter::Falcon,
        _ => return None,
    };
    let canonical = splitter.steps();
    let same =
        canonical.len() == steps.len() && canonical.iter().zip(steps).all(|(a, b)| same(a, b));
    same.then_some(splitter)
}

impl Splitter {
    /// The steps that the splitter is equal to, in the canonical spelling.
    pub fn steps(self) -> Vec<Step> {
        match self {
            Splitter::Gpt2 => vec![split(GPT2)],
            Splitter::Cl100k => vec![split(CL100K)],
            Splitter::Gpt4 => vec![split(GPT4)],
            Splitter::O200k => vec![split(O200K)],
            Splitter::Qwen2 => vec![split(QWEN2)],
            Splitter::Qwen35 => vec![split(QWEN35)],
            Splitter::DeepseekV3 => {
                vec![split(DEEPSEEK_NUMBERS), split(DEEPSEEK_CJK), split(DEEPSEEK)]
            }
            Splitter::Tekken => vec![split(TEKKEN)],
            Splitter::Falcon => vec![
                Step::Punctuation { behavior: Behavior::Contiguous },
                split(GPT2),
                Step::Digits { individual: false, stand_ins: true },
                split(FALCON_DIGITS),
            ],
            Splitter::Starcoder => {
                vec![Step::Digits { individual: true, stand_ins: false }, split(GPT2)]
            }
            Splitter::KimiK2 => vec![split(KIMI_K2)],
        }
    }
}

fn split(regex: &str) -> Step {
    let pattern = Pattern::Regex(regex.to_owned());
    Step::Split { pattern, behavior: Behavior::Isolated, invert: false }
}

/// Equal steps, or two spellings of one pattern in equal places.
fn same(canonical: &Step, step: &Step) -> bool {
    match (canonical, step) {
        (
            Step::Split { pattern: Pattern::Regex(a), .. },
            Step::Split { pattern: Pattern::Regex(b), behavior, invert },
        ) => {
            // A pattern that matches everything leaves nothing for the other behaviours to treat
            // differently, but only this one is published.
            let plain = *behavior == Behavior::Isolated && !invert;
            plain && (*a == written(b) || spelled(a).is_some() && spelled(a) == spelled(b))
        }
        _ => canonical == step,
    }
}

/// The splitter of one regular expression.
fn spelled(regex: &str) -> Option<Splitter> {
    let regex = written(regex);
    SPELLINGS.iter().find(|(known, _)| *known == regex).map(|&(_, splitter)| splitter)
}

/// The pattern with its raw line breaks as escapes.
fn written(regex: &str) -> String {
    regex.replace('\r', r"\r").replace('\n', r"\n")
}
