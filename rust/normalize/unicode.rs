//! The four Unicode normal forms (UAX #15), with the source of every character.
//!
//! A character is *inert* when it is already normal, starts a combining sequence and never joins
//! a character before it. Text of inert characters is skipped at the speed of decoding; around
//! the others the text falls into clusters, each of which is decomposed, sorted by combining
//! class and composed by itself. Cost: linear; memory: one cluster.

use std::iter::{once, repeat_n};
use std::ops::Range;
use std::str;

use unicode_normalization::IsNormalized;
use unicode_normalization::char::{
    canonical_combining_class, compose, decompose_canonical, decompose_compatible,
};
use unicode_normalization::{is_nfc_quick, is_nfd_quick, is_nfkc_quick, is_nfkd_quick};

use super::edits::Edits;
use super::versions::is_later;
use crate::error::Watch;
use crate::utf8::{ascii_prefix, valid_runs};

/// The four normal forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
}

/// A normal form with its table of inert characters.
#[derive(Debug)]
pub(super) struct Normalization {
    form: Form,
    /// One bit for every code point below `TABLED`.
    inert: Box<[u64]>,
}

/// Characters of one cluster between two looks at whether to go on; few in tests.
const AT_ONCE: usize = if cfg!(test) { 4 } else { 1 << 16 };

/// The first two planes hold nearly every character in use; the table takes 16 KiB.
const TABLED: u32 = 0x2_0000;

#[derive(Clone, Copy)]
struct Unit {
    char: char,
    class: u8,
    source: usize,
}

/// Buffers that one call uses for all its clusters.
#[derive(Default)]
struct Scratch {
    units: Vec<Unit>,
    fresh: Vec<Unit>,
    bytes: Vec<u8>,
    sources: Vec<usize>,
}

impl Normalization {
    pub fn new(form: Form) -> Self {
        let word = |first: u32| {
            let bits = (0..64).filter(|bit| form.finds_inert(first + bit));
            bits.fold(0, |word, bit| word | 1u64 << bit)
        };
        Self { form, inert: (0..TABLED).step_by(64).map(word).collect() }
    }

    pub fn apply(&self, edits: &mut Edits<'_, '_>) {
        let text = edits.text();
        if ascii_prefix(text) == text.len() {
            return;
        }
        let mut scratch = Scratch::default();
        for (base, run) in valid_runs(text) {
            let mut at = 0;
            while let Some(found) = self.next_active(run, at, &mut edits.watch) {
                at = self.normalize_around(run, found, base, edits, &mut scratch);
            }
        }
    }

    /// From the character before the next one that is not inert to that one.
    fn next_active(&self, text: &str, from: usize, watch: &mut Watch<'_>) -> Option<Range<usize>> {
        let (mut before, mut at) = (from, from);
        let mut pause = Watch::next_pause(from);
        while watch.passes(at, &mut pause)
            && let Some(&byte) = text.as_bytes().get(at)
        {
            if byte < 0x80 {
                at += ascii_prefix(&text.as_bytes()[at..]);
                before = at - 1;
                continue;
            }
            let found = text[at..].chars().next().expect("a byte stands at this boundary");
            if !self.is_inert(found) {
                return Some(before..at);
            }
            before = at;
            at += found.len_utf8();
        }
        None
    }

    /// Normalizes from `found.start` to the next inert character after `found.end` and returns
    /// where that one is.
    fn normalize_around(
        &self,
        text: &str,
        found: Range<usize>,
        base: usize,
        edits: &mut Edits<'_, '_>,
        scratch: &mut Scratch,
    ) -> usize {
        let mut start = found.start;
        let mut pause = Watch::next_pause(start);
        for (offset, char) in text[found.start..].char_indices() {
            let at = found.start + offset;
            if !edits.watch.passes(at, &mut pause) {
                return text.len();
            }
            if at > found.end && self.is_inert(char) {
                self.flush(base + start..base + at, edits, scratch);
                return at;
            }
            self.form.decompose(char, base + at, &mut scratch.fresh);
            // What begins with an inert character is independent of what stands before it.
            if scratch.fresh.first().is_some_and(|unit| self.is_inert(unit.char)) {
                self.flush(base + start..base + at, edits, scratch);
                start = at;
            }
            scratch.units.append(&mut scratch.fresh);
        }
        self.flush(base + start..base + text.len(), edits, scratch);
        text.len()
    }

    /// Writes the cluster collected in `scratch`, which comes from `range`.
    fn flush(&self, range: Range<usize>, edits: &mut Edits<'_, '_>, scratch: &mut Scratch) {
        let Scratch { units, bytes, sources, .. } = scratch;
        sort_marks(units, &mut edits.watch);
        if matches!(self.form, Form::Nfc | Form::Nfkc) {
            compose_cluster(units, &mut edits.watch);
        }
        bytes.clear();
        sources.clear();
        each_part(units.chunks(AT_ONCE), &mut edits.watch, |part| {
            for unit in part {
                let mut buffer = [0; 4];
                bytes.extend_from_slice(unit.char.encode_utf8(&mut buffer).as_bytes());
            }
        });
        if edits.are_tracked() && edits.text()[range.clone()] != **bytes {
            settle_sources(units, &mut edits.watch);
            let width = |unit: &Unit| repeat_n(unit.source, unit.char.len_utf8());
            each_part(units.chunks(AT_ONCE), &mut edits.watch, |part| {
                sources.extend(part.iter().flat_map(width));
            });
        }
        units.clear();
        if !edits.watch.has_stopped() {
            edits.splice(range, bytes, sources);
        }
    }

    pub fn is_inert(&self, char: char) -> bool {
        let code = u32::from(char);
        match self.inert.get((code / 64) as usize) {
            Some(word) => word >> (code % 64) & 1 == 1,
            None => self.form.finds_inert(code),
        }
    }
}

impl Form {
    /// Whether the code point is inert, from the tables of Unicode.
    fn finds_inert(self, code: u32) -> bool {
        let Some(char) = char::from_u32(code) else { return false };
        let normal = match self {
            Form::Nfc => is_nfc_quick(once(char)),
            Form::Nfd => is_nfd_quick(once(char)),
            Form::Nfkc => is_nfkc_quick(once(char)),
            Form::Nfkd => is_nfkd_quick(once(char)),
        };
        is_later(char) || normal == IsNormalized::Yes && canonical_combining_class(char) == 0
    }

    fn decompose(self, char: char, source: usize, units: &mut Vec<Unit>) {
        if is_later(char) {
            units.push(Unit { char, class: 0, source });
            return;
        }
        let push = |char| {
            units.push(Unit { char, class: canonical_combining_class(char), source });
        };
        match self {
            Form::Nfc | Form::Nfd => decompose_canonical(char, push),
            Form::Nfkc | Form::Nfkd => decompose_compatible(char, push),
        }
    }
}

/// Canonical ordering: every run of marks by combining class, equal ones in place.
fn sort_marks(units: &mut [Unit], watch: &mut Watch<'_>) {
    for marks in units.chunk_by_mut(|a, b| (a.class == 0) == (b.class == 0)) {
        if marks.len() < 2 || marks[0].class == 0 {
            continue;
        }
        match marks.len() > AT_ONCE {
            true => sort_many(marks, watch),
            false => marks.sort_by_key(|unit| unit.class),
        }
    }
}

/// The same for any number of marks, by counting: linear, and `watch` may stop it.
fn sort_many(marks: &mut [Unit], watch: &mut Watch<'_>) {
    let (mut starts, mut buffer) = ([0; 257], Vec::with_capacity(marks.len()));
    each_part(marks.chunks(AT_ONCE), watch, |part| {
        part.iter().for_each(|unit| starts[usize::from(unit.class) + 1] += 1);
    });
    for class in 1..starts.len() {
        starts[class] += starts[class - 1];
    }
    each_part(marks.chunks(AT_ONCE), watch, |part| buffer.extend_from_slice(part));
    each_part(buffer.chunks(AT_ONCE), watch, |part| {
        for unit in part {
            let place = &mut starts[usize::from(unit.class)];
            marks[*place] = *unit;
            *place += 1;
        }
    });
}

/// Works on one part after the other until `watch` stops it.
fn each_part<T>(
    mut parts: impl Iterator<Item = T>,
    watch: &mut Watch<'_>,
    mut work: impl FnMut(T),
) {
    let Some(mut part) = parts.next() else { return };
    loop {
        work(part);
        match parts.next() {
            Some(next) if watch.goes_on() => part = next,
            _ => return,
        }
    }
}

/// Canonical composition of sorted units, in place.
fn compose_cluster(units: &mut Vec<Unit>, watch: &mut Watch<'_>) {
    let mut starter: Option<usize> = None;
    let mut last_class: Option<u8> = None;
    let (mut kept, mut pause) = (0, AT_ONCE);
    for next in 0..units.len() {
        if next == pause {
            pause += AT_ONCE;
            if !watch.goes_on() {
                return;
            }
        }
        let unit = units[next];
        let open = last_class.is_none_or(|class| class < unit.class);
        if let Some(base) = starter.filter(|_| open)
            && let Some(composed) = compose_known(units[base].char, unit.char)
        {
            units[base].char = composed;
            continue;
        }
        if unit.class == 0 {
            starter = Some(kept);
            last_class = None;
        } else {
            last_class = Some(unit.class);
        }
        units[kept] = unit;
        kept += 1;
    }
    units.truncate(kept);
}

fn compose_known(first: char, second: char) -> Option<char> {
    compose(first, second).filter(|_| !is_later(first) && !is_later(second))
}

/// Sorting moves marks; a source is the first that this or any later character comes from.
fn settle_sources(units: &mut [Unit], watch: &mut Watch<'_>) {
    let mut least = usize::MAX;
    each_part(units.rchunks_mut(AT_ONCE), watch, |part| {
        for unit in part.iter_mut().rev() {
            least = least.min(unit.source);
            unit.source = least;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization;

    static FORMS: LazyLock<[Normalization; 4]> =
        LazyLock::new(|| [Form::Nfc, Form::Nfd, Form::Nfkc, Form::Nfkd].map(Normalization::new));

    fn normalized(form: Form, text: &str) -> String {
        let mut go_on = || Ok(());
        let mut edits = Edits::new(text.as_bytes(), &mut go_on);
        FORMS[form as usize].apply(&mut edits);
        let edited = edits.finish().expect("never stopped");
        let bytes = edited.map_or(text.as_bytes().to_vec(), |edited| edited.bytes);
        String::from_utf8(bytes).expect("normal forms of text are text")
    }

    /// Letters, marks of several classes, Hangul, compatibility characters and exclusions.
    fn tangled() -> impl Strategy<Value = String> {
        "[a-cé\u{1e09}\u{300}-\u{345}\u{5b0}-\u{5b9}\u{915}\u{93c}\u{958}\u{9be}\u{9c7}\u{1100}-\u{1103}\u{1161}-\u{1163}\u{11a7}-\u{11a9}가각ﬁＡ\u{fdfa}ﾞカ\u{1d15e}-\u{1d160}\u{2f800}-\u{2f804}]{0,24}"
    }

    #[test]
    fn many_marks_on_one_letter_are_ordered_as_few_are() {
        let marks = ["\u{301}", "\u{323}", "\u{345}", "\u{5b0}", "\u{328}", "\u{1d165}"];
        let text: String = (0..5000).map(|at| marks[at * at % 101 % 6]).collect();
        let text = format!("xa{text}b");
        assert_eq!(normalized(Form::Nfd, &text), text.nfd().collect::<String>());
        assert_eq!(normalized(Form::Nfc, &text), text.nfc().collect::<String>());
    }

    #[test]
    fn a_stop_inside_one_cluster_is_an_error() {
        let text = "\u{323}\u{301}".repeat(1000);
        for form in &*FORMS {
            let looks = |most: usize| {
                let mut asked = 0;
                let mut poll = || {
                    asked += 1;
                    if asked > most { Err(crate::Error::Interrupted) } else { Ok(()) }
                };
                let mut edits = Edits::with_sources(text.as_bytes(), &mut poll);
                form.apply(&mut edits);
                let stopped = edits.finish().is_err();
                (stopped, asked)
            };
            let (stopped, all) = looks(usize::MAX);
            assert!(!stopped && all > 100, "{all} looks");
            for most in (0..all).step_by(97) {
                // Nobody is asked again, and what was half done is not given out.
                assert_eq!(looks(most), (true, most + 1));
            }
        }
    }

    proptest! {
        #[test]
        fn forms_agree_with_the_crate_on_old_characters(text in tangled()) {
            prop_assert_eq!(normalized(Form::Nfc, &text), text.nfc().collect::<String>());
            prop_assert_eq!(normalized(Form::Nfd, &text), text.nfd().collect::<String>());
            prop_assert_eq!(normalized(Form::Nfkc, &text), text.nfkc().collect::<String>());
            prop_assert_eq!(normalized(Form::Nfkd, &text), text.nfkd().collect::<String>());
        }
    }
}
