//! Escapes, inside and outside brackets, and named sets of characters.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

use super::ast::Side;
use super::parse::Parser;
use crate::Result;

/// What a backslash and its letters stand for.
pub(super) enum Escape {
    Char(char),
    Set(ClassUnicode),
    TextEdge(Side),
    WordBoundary { negated: bool },
}

impl Parser<'_> {
    /// The escape outside brackets whose backslash, at `start`, was just read.
    pub(super) fn escape(&mut self, start: usize) -> Result<Escape> {
        let construct = match self.peek() {
            Some('A') => {
                self.next();
                return Ok(Escape::TextEdge(Side::Behind));
            }
            Some('z') => {
                self.next();
                return Ok(Escape::TextEdge(Side::Ahead));
            }
            Some(c @ ('b' | 'B')) => {
                self.next();
                if self.peek() == Some('{') {
                    return Err(self.error(start, "word boundaries with braces are not supported"));
                }
                return Ok(Escape::WordBoundary { negated: c == 'B' });
            }
            Some('1'..='9' | 'k') => "a backreference",
            Some('g') => "a subroutine call",
            Some('G') => "`\\G`, the end of the previous match,",
            Some('K') => "`\\K`, a moved match start,",
            Some('X') => "`\\X`, a grapheme cluster,",
            Some('R') => "`\\R`, which is atomic (write `(?:\\r\\n|[\\n\\r])`),",
            Some('Z') => {
                let reason = "`\\Z` differs between libraries; `\\z` is the end of the text";
                return Err(self.error(start, reason));
            }
            Some(c @ ('<' | '>')) => {
                let reason = format!("`\\{c}` differs between libraries; write `{c}` or `\\b`");
                return Err(self.error(start, reason));
            }
            _ => return self.shared_escape(start),
        };
        Err(self.unsupported(start, construct))
    }

    /// The escapes that mean the same inside brackets.
    pub(super) fn shared_escape(&mut self, start: usize) -> Result<Escape> {
        let Some(c) = self.next() else {
            return Err(self.error(start, "a backslash at the end of the pattern"));
        };
        Ok(match c {
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => Escape::Set(self.perl_class(start, c)?),
            'h' | 'H' => Escape::Set(hexadecimal_digits(c == 'H')),
            'p' | 'P' => Escape::Set(self.property(start, c == 'P')?),
            'x' => Escape::Char(self.hexadecimal(start, 2)?),
            'u' => Escape::Char(self.hexadecimal(start, 4)?),
            'U' => Escape::Char(self.hexadecimal(start, 8)?),
            'a' => Escape::Char('\x07'),
            'e' => Escape::Char('\x1B'),
            'f' => Escape::Char('\x0C'),
            'n' => Escape::Char('\n'),
            'r' => Escape::Char('\r'),
            't' => Escape::Char('\t'),
            'v' => Escape::Char('\x0B'),
            c if c.is_ascii_alphanumeric() => {
                return Err(self.error(start, format!("unknown escape `\\{c}`")));
            }
            c => Escape::Char(c),
        })
    }

    /// `\d`, `\s` and `\w` of Unicode, and their negations in capitals.
    pub(super) fn perl_class(&self, at: usize, letter: char) -> Result<ClassUnicode> {
        self.named_set(at, &format!(r"\{letter}"))
    }

    /// `\pL`, `\p{Letter}`, `\p{^Letter}`, `\p{Script=Greek}`; the `p` was just read.
    fn property(&mut self, start: usize, negated: bool) -> Result<ClassUnicode> {
        let name = if self.eat("{") {
            let Some(length) = self.rest().find('}') else {
                return Err(self.error(start, "unclosed `\\p{`"));
            };
            let name = self.rest()[..length].to_owned();
            self.at += length + "}".len();
            name
        } else {
            self.next().map(String::from).unwrap_or_default()
        };
        let (name, negated) = match name.strip_prefix('^') {
            Some(name) => (name, !negated),
            None => (name.as_str(), negated),
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ' | '=');
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(self.error(start, format!("unknown Unicode property {name:?}")));
        }
        let mut set = self.named_set(start, &format!(r"\p{{{name}}}"))?;
        if self.flags.ignore_case {
            set.case_fold_simple();
        }
        if negated {
            set.negate();
        }
        Ok(set)
    }

    /// A set that `regex-syntax` knows by name.
    fn named_set(&self, at: usize, name: &str) -> Result<ClassUnicode> {
        let unknown = || self.error(at, format!("unknown Unicode property `{name}`"));
        let tree = regex_syntax::parse(name).map_err(|_| unknown())?;
        match tree.into_kind() {
            HirKind::Class(Class::Unicode(set)) => Ok(set),
            HirKind::Literal(literal) => {
                let text = std::str::from_utf8(&literal.0).map_err(|_| unknown())?;
                Ok(ClassUnicode::new(text.chars().map(|c| ClassUnicodeRange::new(c, c))))
            }
            _ => Err(unknown()),
        }
    }

    /// The digits of `\x41`, `\x{41}`, `\u0041`, `\u{41}` or `\U00000041`.
    fn hexadecimal(&mut self, start: usize, width: usize) -> Result<char> {
        let length = match self.eat("{") {
            true => self.rest().find('}'),
            false => Some(width),
        };
        let braced = self.pattern[..self.at].ends_with('{');
        let digits = length.and_then(|length| self.rest().get(..length)).unwrap_or("");
        let valid =
            (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let code = if valid { u32::from_str_radix(digits, 16).ok() } else { None };
        let Some(c) = code.and_then(char::from_u32) else {
            return Err(self.error(start, "this escape is no hexadecimal code of a character"));
        };
        if width == 2 && !braced && c > '\x7F' {
            let reason =
                format!("`\\x{digits}` differs between libraries; write `\\x{{{digits}}}`");
            return Err(self.error(start, reason));
        }
        self.at += digits.len() + usize::from(braced);
        Ok(c)
    }
}

fn hexadecimal_digits(negated: bool) -> ClassUnicode {
    let ranges = [('0', '9'), ('A', 'F'), ('a', 'f')];
    let mut set = ClassUnicode::new(ranges.map(|(a, b)| ClassUnicodeRange::new(a, b)));
    if negated {
        set.negate();
    }
    set
}
