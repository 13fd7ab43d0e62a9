//! Sets of characters in brackets: ranges, nested sets, intersections, negation.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::ast::one_character;
use super::escape::Escape;
use super::parse::Parser;
use crate::Result;

impl Parser<'_> {
    /// The set whose `[`, at `start`, was just read.
    pub(super) fn bracket(&mut self, start: usize) -> Result<ClassUnicode> {
        self.enter(start)?;
        let negated = self.eat("^");
        let mut left: Option<ClassUnicode> = None;
        let mut set = ClassUnicode::empty();
        if self.eat("]") {
            set.union(&self.after_char(start, ']')?);
        }
        loop {
            let at = self.at;
            if self.eat("&&") {
                left = Some(self.intersected(left, set));
                set = ClassUnicode::empty();
                continue;
            }
            match self.next() {
                None => return Err(self.error(start, "unclosed set of characters `[`")),
                Some(']') => break,
                Some(_) => set.union(&self.bracket_item(at)?),
            }
        }
        let mut set = self.intersected(left, set);
        if negated {
            set.negate();
        }
        self.leave();
        Ok(set)
    }

    /// `left && right`, each closed under case where case is ignored.
    fn intersected(&self, left: Option<ClassUnicode>, mut right: ClassUnicode) -> ClassUnicode {
        if self.flags.ignore_case {
            right.case_fold_simple();
        }
        if let Some(left) = left {
            right.intersect(&left);
        }
        right
    }

    /// A character, a range, an escape or a nested set; its first character, at `at`, was read.
    fn bracket_item(&mut self, at: usize) -> Result<ClassUnicode> {
        let item = &self.pattern[at..];
        if item.starts_with("--") || item.starts_with("~~") {
            let reason = "`--` and `~~` in brackets differ between libraries; escape the first";
            return Err(self.error(at, reason));
        }
        if item.starts_with("[:") {
            let reason = "named sets such as [:alpha:] differ between libraries; write \\p{...}";
            return Err(self.error(at, reason));
        }
        if item.starts_with('[') {
            return self.bracket(at);
        }
        match self.bracket_char(at)? {
            Escape::Char(c) => self.after_char(at, c),
            Escape::Set(set) => Ok(set),
            Escape::TextEdge(_) | Escape::WordBoundary { .. } => {
                Err(self.error(at, "an assertion inside brackets"))
            }
        }
    }

    /// One character or escape at `at`, whose first character was read.
    fn bracket_char(&mut self, at: usize) -> Result<Escape> {
        match self.pattern[at..].chars().next() {
            Some('\\') if self.eat("b") => Ok(Escape::Char('\x08')),
            Some('\\') => self.shared_escape(at),
            Some(c) => Ok(Escape::Char(c)),
            None => Err(self.error(at, "unclosed set of characters `[`")),
        }
    }

    /// The character `low` alone, or the range that it begins.
    fn after_char(&mut self, at: usize, low: char) -> Result<ClassUnicode> {
        let mut following = self.rest().chars();
        let is_range = following.next() == Some('-') && following.next() != Some(']');
        if !is_range || self.rest().starts_with("--") {
            return Ok(one_character(low));
        }
        self.next();
        let high_at = self.at;
        if self.peek() == Some('[') || self.next().is_none() {
            return Err(self.error(at, "a range without an end"));
        }
        match self.bracket_char(high_at)? {
            Escape::Char(high) if low <= high => {
                Ok(ClassUnicode::new([ClassUnicodeRange::new(low, high)]))
            }
            _ => Err(self.error(at, "a range must go from a character to a later one")),
        }
    }
}
