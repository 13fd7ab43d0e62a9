//! What counts as part of a word at the sides of a `single_word` token: `\w` of UTS #18.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};

use crate::utf8::{first_char, last_char};

pub(super) fn starts_with_word(text: &[u8]) -> bool {
    first_char(text).is_some_and(|(char, _)| is_word(char))
}

pub(super) fn ends_with_word(text: &[u8]) -> bool {
    last_char(text).is_some_and(|(char, _)| is_word(char))
}

fn is_word(char: char) -> bool {
    if char.is_ascii() {
        return char.is_ascii_alphanumeric() || char == '_';
    }
    let next = WORD.partition_point(|&(first, _)| first <= char);
    next > 0 && char <= WORD[next - 1].1
}

/// The ranges of `\w`, sorted.
static WORD: LazyLock<Vec<(char, char)>> = LazyLock::new(|| {
    let parsed = regex_syntax::parse(r"\w").expect("the class is part of the syntax");
    let HirKind::Class(Class::Unicode(class)) = parsed.kind() else { return Vec::new() };
    class.iter().map(|range| (range.start(), range.end())).collect()
});
