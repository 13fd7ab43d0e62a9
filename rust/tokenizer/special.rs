//! Which added tokens are active: all that are not special, and the special ones that are allowed.

use std::sync::Arc;

use super::Tokenizer;
use crate::added::{AddedToken, Matcher};
use crate::error::{Error, Result};
use crate::normalize::Normalizer;

/// Which special tokens are matched in text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Allowed {
    /// None: their text is text.
    None,
    /// All of them.
    All,
    /// These, by their text, sorted.
    These(Vec<String>),
}

/// Matchers of the added tokens that one choice of special tokens leaves active.
#[derive(Debug)]
pub(crate) struct Matchers {
    pub(super) raw: Matcher,
    pub(super) normalized: Matcher,
    /// Whether no active token can match across a letter and the space after it.
    pub(crate) keep_words: bool,
}

impl Tokenizer {
    /// Matchers for a choice of special tokens; built once for each choice.
    pub(crate) fn matchers(&self, allowed: &Allowed) -> Result<Arc<Matchers>> {
        const MOST_CHOICES: usize = 64;
        if *allowed == Allowed::None {
            return Ok(self.always.clone());
        }
        // Never waited for: in a forked process, nobody may be left to open a lock.
        let known = self.chosen.try_lock().ok().and_then(|chosen| chosen.get(allowed).cloned());
        if let Some(known) = known {
            return Ok(known);
        }
        self.check_allowed(allowed)?;
        let built = Arc::new(matchers(&self.added, &self.normalizer, allowed)?);
        if let Ok(mut chosen) = self.chosen.try_lock() {
            if chosen.len() >= MOST_CHOICES {
                chosen.clear();
            }
            chosen.insert(allowed.clone(), built.clone());
        }
        Ok(built)
    }

    fn check_allowed(&self, allowed: &Allowed) -> Result<()> {
        let Allowed::These(names) = allowed else { return Ok(()) };
        let known = |name: &String| self.added.iter().any(|t| t.special && t.content == *name);
        match names.iter().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => Err(Error::Argument(format!(
                "{name:?} is not a special token of this tokenizer, which has {}",
                self.added.iter().filter(|token| token.special).count()
            ))),
        }
    }

    /// The added tokens that are found in every text, with the contents by which they are.
    pub(crate) fn found_always(&self) -> Result<Vec<AddedToken>> {
        let as_found = |token: &AddedToken| match token.normalized {
            true => normal_content(token, &self.normalizer),
            false => Ok(token.content.clone()),
        };
        let always = self.added.iter().filter(|token| !token.special);
        always.map(|token| Ok(AddedToken { content: as_found(token)?, ..token.clone() })).collect()
    }
}

pub(super) fn matchers(
    added: &[AddedToken],
    normalizer: &Normalizer,
    allowed: &Allowed,
) -> Result<Matchers> {
    let active = |token: &&AddedToken| {
        !token.special
            || match allowed {
                Allowed::None => false,
                Allowed::All => true,
                Allowed::These(names) => names.binary_search(&token.content).is_ok(),
            }
    };
    let raw = added.iter().filter(active).filter(|token| !token.normalized);
    let mut normalized = Vec::new();
    for token in added.iter().filter(active).filter(|token| token.normalized) {
        let content = normal_content(token, normalizer)?;
        normalized.push(AddedToken { content, ..token.clone() });
    }
    let splits_words = |token: &AddedToken| {
        let content = token.content.as_bytes();
        let inside = content.windows(2).any(|w| w[0].is_ascii_alphabetic() && w[1] == b' ');
        let after = token.rstrip && content.last().is_some_and(u8::is_ascii_alphabetic);
        inside || after || (token.single_word && content.starts_with(b" "))
    };
    Ok(Matchers {
        keep_words: !raw.clone().chain(&normalized).any(splits_words),
        raw: Matcher::new(raw)?,
        normalized: Matcher::new(normalized.iter())?,
    })
}

/// What is matched in normalized text.
fn normal_content(token: &AddedToken, normalizer: &Normalizer) -> Result<String> {
    if token.verbatim {
        return Ok(token.content.clone());
    }
    let content = normalizer.normalize(token.content.as_bytes(), true, &mut || Ok(()))?;
    Ok(String::from_utf8(content.into_owned()).unwrap_or_default())
}

/// Refuses tokens of normalized text of whose content the normalizer leaves nothing: the reference
/// finds nothing everywhere.
pub(super) fn check_contents(added: &[AddedToken], normalizer: &Normalizer) -> Result<()> {
    for token in added.iter().filter(|token| token.normalized && !token.content.is_empty()) {
        if normal_content(token, normalizer)?.is_empty() {
            return Err(Error::Definition(format!(
                "nothing is left of the added token {:?} in normalized text, where it is matched",
                token.content
            )));
        }
    }
    Ok(())
}
