//! Text normalization with alignment to the original bytes.
//!
//! A normalizer is a list of steps that change characters before the text is cut into pieces.
//! The steps are those of `tokenizers` 0.23 and SentencePiece, character for character, with the
//! Unicode 9 tables of the former (see `versions`). Bytes that are not UTF-8 pass every step
//! unchanged and separate the text around them. Every step is linear and copies only a text that
//! it changes. Absent: knowledge of tokens, of segments other than "is this the first", and of
//! the second reading that `tokenizers` gives to SentencePiece rules (see `charsmap`).

mod broken;
mod chars;
mod charsmap;
mod edits;
mod replace;
mod space;
mod step;
mod unicode;
mod versions;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::error::{Error, Poll, Result};
use crate::utf8::first_char;
use charsmap::Charsmap;
use edits::{Edited, Edits};
use replace::Replacement;
use unicode::{Form, Normalization};
use versions::is_mark;

pub use step::{Pattern, Prefix, Replace, Scope, Step, Unless};

/// A list of normalization steps, ready to run; immutable and shared between threads.
#[derive(Debug)]
pub struct Normalizer {
    rules: Vec<Rule>,
}

/// Places that are tried between two looks at whether to go on.
const AT_ONCE: usize = 1 << 18;

/// Starts the edits of a step.
type Open = for<'t, 'p> fn(&'t [u8], Poll<'p>) -> Edits<'t, 'p>;

/// A changed text and where its bytes come from.
pub type Aligned = (Vec<u8>, Vec<usize>);

#[derive(Debug)]
enum Rule {
    Unicode(Normalization),
    Lowercase,
    StripAccents,
    Nmt,
    Replace(Replacement),
    Prepend(String),
    Strip { left: bool, right: bool },
    Charsmap(Charsmap),
    Prefix(Prefix),
    CollapseSpaces,
}

impl Normalizer {
    /// Prepares the steps.
    ///
    /// # Errors
    /// A regex that the linear-time engine cannot run, an empty string to replace, damaged
    /// SentencePiece rules, or such rules that write double spaces before `collapse_spaces`:
    /// SentencePiece keeps those, being one step there.
    pub fn new(steps: &[Step]) -> Result<Self> {
        let rules = steps.iter().map(Rule::new).collect::<Result<Vec<_>>>()?;
        let writes =
            |rule: &Rule| matches!(rule, Rule::Charsmap(map) if map.writes_double_spaces());
        let collapse = rules.iter().rposition(|rule| matches!(rule, Rule::CollapseSpaces));
        if rules[..collapse.unwrap_or(0)].iter().any(writes) {
            return Err(Error::Definition(
                "charsmap: a replacement holds two spaces in a row, which collapse_spaces after \
                 it would make one"
                    .into(),
            ));
        }
        Ok(Self { rules })
    }

    /// Whether every text comes back unchanged because there are no steps.
    pub fn is_identity(&self) -> bool {
        self.rules.is_empty()
    }

    /// The normalized text, borrowed when nothing changed.
    ///
    /// `at_start`: the segment begins at offset 0 of the text.
    ///
    /// # Errors
    /// Those of `poll`.
    pub fn normalize<'a>(
        &self,
        text: &'a [u8],
        at_start: bool,
        poll: Poll<'_>,
    ) -> Result<Cow<'a, [u8]>> {
        let edited = self.run(text, at_start, |text, poll| Edits::new(text, poll), poll)?;
        Ok(edited.map_or(Cow::Borrowed(text), |edited| Cow::Owned(edited.bytes)))
    }

    /// The normalized text and for each of its bytes the offset in `text` where its source
    /// begins, with `text.len()` at the end; the offsets never decrease. `None` for a text that
    /// stays as it is.
    ///
    /// # Errors
    /// As `normalize`.
    pub fn normalize_aligned(
        &self,
        text: &[u8],
        at_start: bool,
        poll: Poll<'_>,
    ) -> Result<Option<Aligned>> {
        let edited =
            self.run(text, at_start, |text, poll| Edits::with_sources(text, poll), poll)?;
        Ok(edited.and_then(|edited| Some((edited.bytes, edited.sources?))))
    }

    /// The last place up to `end` where [`Normalizer::may_cut`] holds.
    ///
    /// # Errors
    /// Those of `poll`.
    pub fn last_cut(&self, text: &[u8], end: usize, poll: Poll<'_>) -> Result<Option<usize>> {
        for at in (1..=end).rev() {
            if self.may_cut(text, at) {
                return Ok(Some(at));
            }
            if at.is_multiple_of(AT_ONCE) {
                poll()?;
            }
        }
        Ok(None)
    }

    /// Whether normalizing the two sides of `at` gives what normalizing the whole gives, whatever
    /// stands around the characters there.
    ///
    /// They are two characters that no rule changes or takes into a match, and before which every
    /// normal form begins anew. So they reach every rule side by side: a rule that looks at single
    /// characters keeps them, no match of a replacement can hold them, and nothing before or after
    /// them composes with them or moves past them. After a normal form the second may have taken a
    /// mark, so a second form is not allowed. Rules about the ends of a text, or with matches of
    /// unknown length, allow no cut.
    pub fn may_cut(&self, text: &[u8], at: usize) -> bool {
        if self.rules.is_empty() {
            return true;
        }
        let forms = self.rules.iter().filter(|rule| matches!(rule, Rule::Unicode(_))).count();
        if forms > 1 || is_continuation(text.get(at)) {
            return false;
        }
        let Some((first, len)) = text.get(at..).and_then(first_char) else { return false };
        let Some((second, _)) = first_char(&text[at + len..]) else { return false };
        self.rules.iter().all(|rule| rule.keeps(first) && rule.keeps(second))
    }

    /// Runs all rules on any bytes; `None` when none changed the text.
    fn run(
        &self,
        text: &[u8],
        at_start: bool,
        open: Open,
        poll: Poll<'_>,
    ) -> Result<Option<Edited>> {
        let masked = if self.rules.len() > 1 { broken::mask(text, poll)? } else { None };
        let mut edited =
            self.run_masked(masked.as_deref().unwrap_or(text), at_start, open, poll)?;
        if let Some(edited) = edited.as_mut().filter(|_| masked.is_some()) {
            broken::unmask(&mut edited.bytes, text);
        }
        Ok(edited)
    }

    fn run_masked(
        &self,
        text: &[u8],
        mut at_start: bool,
        open: Open,
        poll: Poll<'_>,
    ) -> Result<Option<Edited>> {
        let mut current: Option<Edited> = None;
        for rule in &self.rules {
            let input = current.as_ref().map_or(text, |edited| &edited.bytes);
            let mut edits = open(input, poll);
            rule.apply(at_start, &mut edits);
            if let Some(edited) = edits.finish()? {
                at_start &= edited.lead == 0;
                current = Some(match current {
                    Some(before) => before.followed_by(edited, poll)?,
                    None => edited,
                });
            }
        }
        Ok(current)
    }
}

impl Rule {
    fn new(step: &Step) -> Result<Self> {
        Ok(match step {
            Step::Nfc => Rule::Unicode(Normalization::new(Form::Nfc)),
            Step::Nfd => Rule::Unicode(Normalization::new(Form::Nfd)),
            Step::Nfkc => Rule::Unicode(Normalization::new(Form::Nfkc)),
            Step::Nfkd => Rule::Unicode(Normalization::new(Form::Nfkd)),
            Step::Lowercase => Rule::Lowercase,
            Step::StripAccents => Rule::StripAccents,
            Step::Nmt => Rule::Nmt,
            Step::Replace(replace) => Rule::Replace(Replacement::new(replace)?),
            Step::Prepend { content } => Rule::Prepend(content.clone()),
            &Step::Strip { left, right } => Rule::Strip { left, right },
            Step::Charsmap { base64 } => Rule::Charsmap(Charsmap::from_base64(base64)?),
            Step::Prefix(prefix) => Rule::Prefix(prefix.clone()),
            Step::CollapseSpaces => Rule::CollapseSpaces,
        })
    }

    /// Whether the character comes through wherever it stands, and what is before it does not see
    /// it.
    fn keeps(&self, char: char) -> bool {
        match self {
            Rule::Unicode(form) => form.is_inert(char),
            Rule::Lowercase => char.to_lowercase().eq([char]),
            Rule::StripAccents => !is_mark(char),
            Rule::Nmt => !chars::is_cleaned(char),
            Rule::Replace(replacement) => replacement.never_holds(char),
            Rule::Prepend(_) | Rule::Prefix(_) => true,
            Rule::Strip { .. } | Rule::Charsmap(_) | Rule::CollapseSpaces => false,
        }
    }

    fn apply(&self, at_start: bool, edits: &mut Edits<'_, '_>) {
        match self {
            Rule::Unicode(form) => form.apply(edits),
            Rule::Lowercase => chars::lowercase(edits),
            Rule::StripAccents => chars::strip_accents(edits),
            Rule::Nmt => chars::nmt(edits),
            Rule::Replace(replacement) => replacement.apply(edits),
            Rule::Prepend(content) => space::prepend(content, edits),
            &Rule::Strip { left, right } => space::strip(left, right, edits),
            Rule::Charsmap(map) => map.apply(edits),
            Rule::Prefix(prefix) => space::prefix(prefix, at_start, edits),
            Rule::CollapseSpaces => space::collapse_spaces(edits),
        }
    }
}

/// Whether the byte goes on with a character that began before it.
fn is_continuation(byte: Option<&u8>) -> bool {
    byte.is_some_and(|byte| byte & 0xc0 == 0x80)
}
