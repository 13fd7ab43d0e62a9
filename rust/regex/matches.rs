//! The matches of one text, in order.

use std::ops::Range;

use super::Regex;
use super::dfa::{Cache, DEAD, Scan};
use super::oracle::Oracle;
use super::program::Program;
use crate::error::Watch;

/// Characters that may be read in vain before the first match.
const FIRST_CREDIT: usize = 256;

/// Characters that may be read in vain for each one consumed; published patterns stay below.
const CREDIT: usize = 8;

/// Iterator over the matches of a text; see [`Regex::matches`].
///
/// Holds a cache of the pattern while it lives: to search many texts, [`Matches::restart`] it.
#[derive(Debug)]
pub struct Matches<'r, 't> {
    regex: &'r Regex,
    /// Present until the iterator is dropped.
    cache: Option<Cache>,
    place: Place<'r, 't>,
}

impl<'r, 't> Matches<'r, 't> {
    pub(super) fn new(regex: &'r Regex, text: &'t [u8]) -> Matches<'r, 't> {
        let place = Place::new(regex, text);
        Matches { regex, cache: Some(regex.take_cache()), place }
    }

    /// The next match; `None` also when the watch has stopped the search.
    #[inline]
    pub fn next_watched(&mut self, watch: &mut Watch<'_>) -> Option<Range<usize>> {
        let cache = self.cache.as_mut().expect("the cache is only given back on drop");
        self.place.advance(cache, watch)
    }

    /// Begins again with another text, keeping what was learnt about the pattern.
    pub fn restart(&mut self, text: &'t [u8]) {
        self.place = Place::new(self.regex, text);
    }

    /// The last position that was read, if the matches so far are those of any text that begins
    /// with this one: none was decided by the end of the text, or by a character that it may cut
    /// off.
    pub fn settled_reach(&self) -> Option<usize> {
        const LONGEST_CHAR: usize = 4;
        let Place { text, at, reach, ref oracle, .. } = self.place;
        let reach = reach.max(at);
        (oracle.is_none() && reach + LONGEST_CHAR <= text.len()).then_some(reach)
    }

    /// Goes on from this position.
    pub(super) fn move_to(&mut self, at: usize) {
        self.place.at = at;
    }

    /// Characters read so far, forwards and backwards.
    #[cfg(test)]
    pub(super) fn work(&self) -> u64 {
        self.place.work + self.place.oracle.as_ref().map_or(0, |oracle| oracle.work)
    }

    /// Makes the backward pass before it is needed.
    #[cfg(test)]
    pub(super) fn force_oracle(&mut self) {
        let Place { program, text, at, .. } = self.place;
        let oracle = Oracle::new(program, text, at, &mut Watch::new(&mut || Ok(())));
        self.place.oracle = Some(Box::new(oracle));
    }

    /// Whether the backward pass was made.
    #[cfg(test)]
    pub(super) fn needed_oracle(&self) -> bool {
        self.place.oracle.is_some()
    }
}

impl Iterator for Matches<'_, '_> {
    type Item = Range<usize>;

    #[inline]
    fn next(&mut self) -> Option<Range<usize>> {
        self.next_watched(&mut Watch::new(&mut || Ok(())))
    }
}

impl Drop for Matches<'_, '_> {
    fn drop(&mut self) {
        if let Some(cache) = self.cache.take() {
            self.regex.return_cache(cache);
        }
    }
}

/// How far the matches of a text were read.
#[derive(Debug)]
struct Place<'r, 't> {
    program: &'r Program,
    /// Whether matches are empty, and stand where the program has one.
    empty: bool,
    text: &'t [u8],
    at: usize,
    previous_end: Option<usize>,
    credit: usize,
    /// The last position that was read.
    reach: usize,
    oracle: Option<Box<Oracle>>,
    /// Characters read, for tests of linear time.
    work: u64,
}

impl<'r, 't> Place<'r, 't> {
    fn new(regex: &'r Regex, text: &'t [u8]) -> Place<'r, 't> {
        Place {
            program: &regex.program,
            empty: regex.places,
            text,
            at: 0,
            previous_end: None,
            credit: FIRST_CREDIT,
            reach: 0,
            oracle: None,
            work: 0,
        }
    }

    #[inline]
    fn advance(&mut self, cache: &mut Cache, watch: &mut Watch<'_>) -> Option<Range<usize>> {
        let mut pause = Watch::next_pause(self.at);
        while self.at <= self.text.len() && watch.passes(self.at, &mut pause) {
            if !self.program.looks_behind() {
                self.skip(cache, watch);
            }
            let start = self.at;
            let found = self.scan(cache, watch);
            if watch.has_stopped() {
                return None;
            }
            let Some(end) = found else {
                self.at = self.after_char(start);
                continue;
            };
            self.at = if end == start { self.after_char(end) } else { end };
            let repeated = end == start && self.previous_end == Some(end);
            self.previous_end = Some(end);
            if !repeated {
                return Some(start..end);
            }
        }
        None
    }

    /// Moves to the first position where a match may begin, when the next character alone tells.
    #[inline]
    fn skip(&mut self, cache: &mut Cache, watch: &mut Watch<'_>) {
        let state = cache.start(self.program, 0);
        let from = self.at;
        self.at = watch.walk(from, self.text.len(), |at| {
            let (kind, width) = self.program.alphabet.at(self.text, at);
            if cache.dies_at(state, kind) { width } else { 0 }
        });
        self.work += (self.at - from) as u64;
    }

    /// The end of the preferred match that begins here.
    #[inline]
    fn scan(&mut self, cache: &mut Cache, watch: &mut Watch<'_>) -> Option<usize> {
        let at = self.at;
        if let Some(oracle) = self.oracle.as_mut().filter(|_| self.empty) {
            let start = cache.start(self.program, self.program.facts_at(self.text, at));
            self.work += 1;
            return oracle
                .is_alive(self.program, self.text, at, cache.threads(start))
                .then_some(at);
        }
        if let Some(oracle) = &mut self.oracle {
            let Scan { end, stop } = scan_with(oracle, cache, self.program, self.text, at, watch);
            self.work += (stop - at) as u64 + 1;
            return end;
        }
        let Scan { end, stop } = cache.scan(self.program, self.text, at, watch);
        let end = if self.empty { end.map(|_| at) } else { end };
        self.reach = self.reach.max(stop);
        self.work += (stop - at) as u64 + 1;
        let consumed = end.map_or(0, |end| end - at);
        let wasted = (stop - at) - consumed;
        let credit = self.credit + CREDIT * consumed.max(1);
        self.credit = credit.saturating_sub(wasted);
        if credit < wasted {
            let from = end.unwrap_or(at);
            let oracle = Oracle::new(self.program, self.text, from, watch);
            // A pass that was stopped knows too little to be asked.
            self.oracle = (!watch.has_stopped()).then(|| Box::new(oracle));
        }
        end
    }

    /// The position after the character at `at`; beyond the text, after its end.
    fn after_char(&self, at: usize) -> usize {
        at + self.program.alphabet.at(self.text, at).1.max(1)
    }
}

/// Like [`Cache::scan`], but stops as soon as no thread can reach a match.
fn scan_with(
    oracle: &mut Oracle,
    cache: &mut Cache,
    program: &Program,
    text: &[u8],
    at: usize,
    watch: &mut Watch<'_>,
) -> Scan {
    let mut state = cache.start(program, program.facts_at(text, at));
    let mut end = None;
    let mut stop = at;
    let mut pause = Watch::next_pause(at);
    while state != DEAD
        && watch.passes(stop, &mut pause)
        && oracle.is_alive(program, text, stop, cache.threads(state))
    {
        let (kind, width) = program.alphabet.at(text, stop);
        let (matched, next) = cache.step(program, state, kind);
        if matched {
            end = Some(stop);
        }
        if width == 0 {
            break;
        }
        state = next;
        stop += width;
    }
    Scan { end, stop }
}
