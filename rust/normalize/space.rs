//! Steps at the ends of the text and between its words.

use std::ops::Range;

use memchr::memmem;

use super::edits::Edits;
use super::step::{Prefix, Scope, Unless};
use crate::error::Watch;
use crate::utf8::{leading_whitespace, trailing_whitespace};

/// Puts `content` before a text that is not empty.
pub(super) fn prepend(content: &str, edits: &mut Edits<'_, '_>) {
    if !edits.text().is_empty() {
        edits.replace(0..0, content.as_bytes());
    }
}

/// Puts the prefix before a text that is not empty, where the step's conditions hold.
///
/// `at_start`: the first byte still comes from the start of the whole text.
pub(super) fn prefix(step: &Prefix, at_start: bool, edits: &mut Edits<'_, '_>) {
    let text = edits.text();
    let present = match step.unless {
        Unless::Content => text.starts_with(step.content.as_bytes()),
        Unless::Never => false,
    };
    if !present && (at_start || step.scope == Scope::Every) {
        prepend(&step.content, edits);
    }
}

/// Removes white space at the chosen ends of the text.
pub(super) fn strip(left: bool, right: bool, edits: &mut Edits<'_, '_>) {
    let text = edits.text();
    let start = if left { leading_whitespace(text) } else { 0 };
    let end = text.len() - if right { trailing_whitespace(&text[start..]) } else { 0 };
    edits.cut(0..start);
    edits.cut(end..text.len());
}

/// Removes plain spaces at both ends and all but the first of every run inside.
pub(super) fn collapse_spaces(edits: &mut Edits<'_, '_>) {
    let text = edits.text();
    let words = trim_spaces(text);
    edits.cut(0..words.start);
    let finder = memmem::Finder::new("  ");
    let mut at = words.start;
    let mut pause = Watch::next_pause(at);
    while edits.watch.passes(at, &mut pause)
        && let Some(found) = finder.find(&text[at..words.end])
    {
        let second = at + found + 1;
        let run = text[second..words.end].iter().take_while(|&&byte| byte == b' ').count();
        at = second + run;
        edits.cut(second..at);
    }
    edits.cut(words.end..text.len());
}

fn trim_spaces(text: &[u8]) -> Range<usize> {
    let Some(start) = text.iter().position(|&byte| byte != b' ') else { return 0..0 };
    let last = text.iter().rposition(|&byte| byte != b' ').unwrap_or(start);
    start..last + 1
}
