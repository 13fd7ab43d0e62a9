//! Replacement of every match of a string or a regular expression.

use memchr::memmem;

use super::edits::Edits;
use super::step::{Pattern, Replace};
use crate::error::Watch;
use crate::regex::Regex;
use crate::utf8::valid_runs;
use crate::{Error, Result};

/// A pattern ready to search, and what takes the place of its matches.
#[derive(Debug)]
pub(super) struct Replacement {
    search: Search,
    content: Vec<u8>,
}

#[derive(Debug)]
enum Search {
    String(Box<memmem::Finder<'static>>),
    Regex(Box<Regex>),
}

impl Replacement {
    pub fn new(replace: &Replace) -> Result<Self> {
        let search = match &replace.pattern {
            Pattern::String(string) if string.is_empty() => {
                return Err(Error::Definition("replace: the string to replace is empty".into()));
            }
            Pattern::String(string) => {
                Search::String(Box::new(memmem::Finder::new(string).into_owned()))
            }
            Pattern::Regex(regex) => Search::Regex(Box::new(Regex::new(regex)?)),
        };
        Ok(Self { search, content: replace.content.clone().into_bytes() })
    }

    /// Whether no match can hold the character.
    pub fn never_holds(&self, char: char) -> bool {
        match &self.search {
            Search::String(finder) => {
                let mut encoded = [0; 4];
                memmem::find(finder.needle(), char.encode_utf8(&mut encoded).as_bytes()).is_none()
            }
            Search::Regex(_) => false,
        }
    }

    /// Replaces the matches, which do not overlap, from left to right.
    pub fn apply(&self, edits: &mut Edits<'_, '_>) {
        let text = edits.text();
        match &self.search {
            Search::String(finder) => {
                let mut pause = Watch::next_pause(0);
                for start in finder.find_iter(text) {
                    edits.replace(start..start + finder.needle().len(), &self.content);
                    if !edits.watch.passes(start, &mut pause) {
                        return;
                    }
                }
            }
            // The reference looks for no match in an empty text, not even an empty one.
            Search::Regex(regex) => {
                for (base, run) in valid_runs(text) {
                    let mut matches = regex.matches(run.as_bytes());
                    let mut pause = Watch::next_pause(0);
                    while let Some(range) = matches.next_watched(&mut edits.watch)
                        && edits.watch.passes(range.start, &mut pause)
                    {
                        edits.replace(base + range.start..base + range.end, &self.content);
                    }
                }
            }
        }
    }
}
