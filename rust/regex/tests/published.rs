//! Patterns of published tokenizers on random and adversarial texts.

use super::*;

/// Patterns of gpt2, cl100k, o200k, qwen2, qwen3.5, deepseek, tekken, falcon, clip, bloom, kimi.
pub(super) const PATTERNS: &[&str] = &[
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s",
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##,
    r"\p{N}{1,3}",
    "[一-龥\u{3040}-ゟ゠-ヿ]+",
    "[0-9][0-9][0-9]",
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    r" ?[^(\s|[.,!?…。，、।۔،])]+",
    r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"\w+|[^\w\s]+",
];

const CHARACTERS: &[&str] = &[
    "a",
    "b",
    "Z",
    "s",
    "t",
    "re",
    "LL",
    "'",
    "’",
    "ſ",
    "K",
    " ",
    " ",
    "  ",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "\u{A0}",
    "\u{2028}",
    "\u{85}",
    "\u{3000}",
    "1",
    "23",
    "²",
    "٣",
    "½",
    "!",
    ".",
    "/",
    "_",
    "-",
    "…",
    "é",
    "E\u{301}",
    "\u{301}",
    "ǅ",
    "ʰ",
    "中",
    "文",
    "の",
    "ー",
    "한",
    "ا",
    "ִ",
    "😀",
    "👍🏽",
    "\u{200D}",
    "\u{FFFD}",
    "\0",
    "\u{AD}",
    "+",
    "=",
    "$",
    "<|endoftext|>",
    "।",
];

#[test]
fn published_patterns_match_as_in_the_reference() {
    let mut random = Random::new(5);
    for pattern in PATTERNS {
        let regex = Regex::new(pattern).expect("a published pattern");
        let theirs = fancy_regex::Regex::new(pattern).expect("a published pattern");
        for round in 0..1500 {
            let few = [
                random.below(CHARACTERS.len()),
                random.below(CHARACTERS.len()),
                random.below(CHARACTERS.len()),
            ];
            let text: String = (0..random.below(24))
                .map(|_| match round % 2 {
                    0 => *random.pick(CHARACTERS),
                    _ => CHARACTERS[*random.pick(&few)],
                })
                .collect();
            let Some(expected) = reference(&theirs, &text) else { continue };
            assert_eq!(ours(&regex, &text), expected, "pattern {pattern:?} on {text:?}");
        }
    }
}

#[test]
fn published_patterns_match_on_long_runs() {
    for pattern in PATTERNS {
        let regex = Regex::new(pattern).expect("a published pattern");
        let theirs = fancy_regex::Regex::new(pattern).expect("a published pattern");
        for unit in ["a", " ", "\n", "1", "!", "é", "中", "😀", "aB", " a", "\r\n", "a'"] {
            let text = format!("x{}y", unit.repeat(300));
            let Some(expected) = reference(&theirs, &text) else { continue };
            assert!(ours(&regex, &text) == expected, "pattern {pattern:?} on a run of {unit:?}");
        }
    }
}

#[test]
fn every_code_point_has_the_class_of_the_reference() {
    for pattern in
        [r"\p{L}+", r"\p{N}+", r"\s+", r"\w+", r"\p{M}+", r"[\p{P}\p{S}]+", r"(?i:[a-z])+"]
    {
        let regex = Regex::new(pattern).expect("a plain pattern");
        let theirs = fancy_regex::Regex::new(pattern).expect("a plain pattern");
        let text: String = ('\0'..=char::MAX).collect();
        let expected = reference(&theirs, &text).expect("a plain pattern needs no backtracking");
        assert!(ours(&regex, &text) == expected, "{pattern}");
    }
}
