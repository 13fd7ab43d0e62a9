//! Reads a pattern into a tree.
//!
//! The syntax is the common part of fancy-regex (tiktoken), Oniguruma (tokenizers) and Python; what
//! they read differently is read as fancy-regex does where published patterns rely on it (`$` is the
//! end of the text, `{1,3}+` is possessive) and refused otherwise. Nesting is at most 64 deep.

use regex_syntax::hir::ClassUnicode;

use super::ast::{Look, Node, SetId, Sets, Side, every_character, one_character};
use super::escape::Escape;
use super::look;
use crate::{Error, Result};

const MAX_DEPTH: usize = 64;
const MAX_LENGTH: usize = 1 << 16;

/// What can be refused once more is known of the pattern.
pub(super) const LOOK_AHEAD: &str = "look-ahead at more than one character";

/// The reason why what exists elsewhere is refused.
pub(super) fn unsupported(construct: &str) -> String {
    format!("{construct} is not supported: patterns must run in time linear in the text")
}

/// A pattern as a tree over its sets of characters.
pub(super) struct Parsed {
    pub node: Node,
    pub sets: Sets,
    /// Where the first loop begins that libraries run differently, see [`Parser::quantified`].
    pub odd_loop: Option<usize>,
}

pub(super) fn parse(pattern: &str) -> Result<Parsed> {
    let mut parser = Parser {
        pattern,
        at: 0,
        depth: 0,
        flags: Flags::default(),
        sets: Sets::default(),
        odd_loop: None,
    };
    if pattern.len() > MAX_LENGTH {
        return Err(parser.error(0, format!("the pattern is longer than {MAX_LENGTH} bytes")));
    }
    let node = parser.alternation()?;
    if parser.at < pattern.len() {
        return Err(parser.error(parser.at, "unopened group: `)` without `(`"));
    }
    Ok(Parsed { node, sets: parser.sets, odd_loop: parser.odd_loop })
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    pub ignore_case: bool,
    multi_line: bool,
    dot_matches_newline: bool,
    extended: bool,
}

pub(super) struct Parser<'p> {
    pub(super) pattern: &'p str,
    pub(super) at: usize,
    depth: usize,
    pub(super) flags: Flags,
    sets: Sets,
    pub(super) odd_loop: Option<usize>,
}

impl Parser<'_> {
    pub(super) fn error(&self, at: usize, reason: impl Into<String>) -> Error {
        Error::Pattern { pattern: self.pattern.to_owned(), offset: at, reason: reason.into() }
    }

    /// An error for what exists elsewhere but cannot run in linear time.
    pub(super) fn unsupported(&self, at: usize, construct: &str) -> Error {
        self.error(at, unsupported(construct))
    }

    pub(super) fn rest(&self) -> &str {
        &self.pattern[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    pub(super) fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    pub(super) fn enter(&mut self, at: usize) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(at, format!("nested more than {MAX_DEPTH} deep")));
        }
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// White space and comments of the extended syntax, and `(?#...)`.
    pub(super) fn skip_ignored(&mut self) -> Result<()> {
        loop {
            if self.rest().starts_with("(?#") {
                let length = self.rest().find(')');
                let length = length.ok_or_else(|| self.error(self.at, "unclosed comment `(?#`"))?;
                self.at += length + 1;
            } else if self.flags.extended && self.peek().is_some_and(char::is_whitespace) {
                self.next();
            } else if self.flags.extended && self.peek() == Some('#') {
                self.at += self.rest().find('\n').unwrap_or(self.rest().len());
            } else {
                return Ok(());
            }
        }
    }

    fn alternation(&mut self) -> Result<Node> {
        self.leading_flags();
        let mut branches = vec![self.sequence()?];
        while self.eat("|") {
            branches.push(self.sequence()?);
        }
        Ok(match branches.len() {
            1 => branches.swap_remove(0),
            _ => Node::Alternate(branches),
        })
    }

    fn sequence(&mut self) -> Result<Node> {
        let mut nodes = Vec::new();
        loop {
            self.skip_ignored()?;
            if matches!(self.peek(), None | Some('|' | ')')) {
                break;
            }
            let start = self.at;
            let node = self.atom()?;
            let node = self.quantified(node, start)?;
            nodes.push(node);
        }
        Ok(match nodes.len() {
            0 => Node::Empty,
            1 => nodes.swap_remove(0),
            _ => Node::Concat(nodes),
        })
    }

    fn atom(&mut self) -> Result<Node> {
        let start = self.at;
        match self.next().expect("the caller saw a character") {
            '(' => self.group(start),
            '[' => {
                let set = self.bracket(start)?;
                Ok(self.class(set))
            }
            '.' => {
                let mut set = every_character();
                if !self.flags.dot_matches_newline {
                    set.difference(&one_character('\n'));
                }
                Ok(self.class(set))
            }
            '^' => Ok(self.line_edge(Side::Behind, self.flags.multi_line)),
            '$' => Ok(self.line_edge(Side::Ahead, self.flags.multi_line)),
            '*' | '+' | '?' => Err(self.error(start, "nothing to repeat")),
            '\\' => match self.escape(start)? {
                Escape::Char(c) => Ok(self.literal(c)),
                Escape::Set(set) => Ok(self.class(set)),
                Escape::TextEdge(side) => Ok(self.line_edge(side, false)),
                Escape::WordBoundary { negated } => self.word_boundary(negated),
            },
            c => Ok(self.literal(c)),
        }
    }

    fn class(&mut self, set: ClassUnicode) -> Node {
        Node::Class(self.sets.intern(set))
    }

    fn literal(&mut self, c: char) -> Node {
        let mut set = one_character(c);
        if self.flags.ignore_case {
            set.case_fold_simple();
        }
        self.class(set)
    }

    fn line_edge(&mut self, side: Side, multi_line: bool) -> Node {
        let set = if multi_line { one_character('\n') } else { ClassUnicode::empty() };
        Node::Look(Look { side, set: self.sets.intern(set), edge: true })
    }

    /// A word character on one side and none on the other, or (negated) the same on both.
    fn word_boundary(&mut self, negated: bool) -> Result<Node> {
        let word = self.perl_class(self.at, 'w')?;
        let word = self.sets.intern(word);
        let other = self.sets.negated(word);
        let both = |behind: SetId, ahead: SetId| {
            let look = |side, set| Node::Look(Look { side, set, edge: set == other });
            Node::Concat(vec![look(Side::Behind, behind), look(Side::Ahead, ahead)])
        };
        Ok(Node::Alternate(match negated {
            false => vec![both(word, other), both(other, word)],
            true => vec![both(word, word), both(other, other)],
        }))
    }

    /// The group whose `(` is at `start`.
    fn group(&mut self, start: usize) -> Result<Node> {
        self.enter(start)?;
        let outer = self.flags;
        let kind = self.group_kind(start)?;
        let node = self.alternation()?;
        if !self.eat(")") {
            return Err(self.error(start, "unclosed group"));
        }
        self.flags = outer;
        self.leave();
        match kind {
            GroupKind::Plain => Ok(node),
            GroupKind::Atomic => Ok(Node::Atomic { node: Box::new(node), at: start }),
            GroupKind::Look { side, negated } => self.look_around(node, side, negated, start),
        }
    }

    fn look_around(&mut self, node: Node, side: Side, negated: bool, at: usize) -> Result<Node> {
        match (look::condition(&node, side, &mut self.sets), side) {
            (Some(found), _) if negated => Ok(Node::Look(look::opposite(found, &mut self.sets))),
            (Some(found), _) => Ok(Node::Look(found)),
            // Who runs the pattern says whether it can be.
            (None, Side::Ahead) if !negated => Ok(Node::Ahead { node: Box::new(node), at }),
            (None, Side::Ahead) => Err(self.unsupported(at, LOOK_AHEAD)),
            (None, Side::Behind) => {
                Err(self.unsupported(at, "look-behind at more than one character"))
            }
        }
    }

    fn group_kind(&mut self, start: usize) -> Result<GroupKind> {
        let look = |side, negated| Ok(GroupKind::Look { side, negated });
        if self.rest().starts_with('*') {
            return Err(self.unsupported(start, "a backtracking verb"));
        }
        if !self.eat("?") {
            return Ok(GroupKind::Plain);
        }
        for (mark, side, negated) in [
            ("=", Side::Ahead, false),
            ("!", Side::Ahead, true),
            ("<=", Side::Behind, false),
            ("<!", Side::Behind, true),
        ] {
            if self.eat(mark) {
                return look(side, negated);
            }
        }
        if self.eat(">") {
            return Ok(GroupKind::Atomic);
        }
        for (mark, construct) in [
            ("~", "an absence operator `(?~`"),
            ("(", "a conditional group"),
            ("|", "a branch reset group"),
            ("P=", "a backreference"),
            ("P>", "a subroutine call"),
            ("&", "a subroutine call"),
            ("R", "recursion"),
        ] {
            if self.rest().starts_with(mark) {
                return Err(self.unsupported(start, construct));
            }
        }
        for (open, close) in [("P<", '>'), ("<", '>'), ("'", '\'')] {
            if self.eat(open) {
                return self.group_name(start, close);
            }
        }
        self.group_flags(start)
    }

    fn group_name(&mut self, start: usize, close: char) -> Result<GroupKind> {
        let length = self.rest().find(close).unwrap_or(0);
        let name = &self.rest()[..length];
        if name.is_empty() || !name.chars().all(|c| c == '_' || c.is_alphanumeric()) {
            return Err(self.error(start, "a group name is one or more letters, digits and `_`"));
        }
        self.at += length + close.len_utf8();
        Ok(GroupKind::Plain)
    }

    /// Applies `(?i)` and the like where a pattern or a group begins, to the rest of it.
    fn leading_flags(&mut self) {
        loop {
            let Some(rest) = self.rest().strip_prefix("(?") else { return };
            let Some((letters, _)) = rest.split_once(')') else { return };
            let Some(flags) = self.flags.changed(letters) else { return };
            self.at += "(?".len() + letters.len() + ")".len();
            self.flags = flags;
        }
    }

    /// The flags of `(?i:...)`.
    fn group_flags(&mut self, start: usize) -> Result<GroupKind> {
        let length = self.rest().find([':', ')']).unwrap_or(self.rest().len());
        let letters = &self.rest()[..length];
        let Some(flags) = self.flags.changed(letters) else {
            let reason = "unknown group: after `(?` comes `:`, `=`, `!`, `<=`, `<!`, `>`, a name or \
                          flags among i, m, s, x and u";
            return Err(self.error(start, reason));
        };
        self.at += length;
        if self.eat(":") {
            self.flags = flags;
            return Ok(GroupKind::Plain);
        }
        let reason = "flags may stand at the start of the pattern or of a group, or as `(?i:...)`";
        Err(self.error(start, reason))
    }
}

impl Flags {
    /// The flags after `letters` such as `i-s`, or `None` where these are not flags.
    fn changed(mut self, letters: &str) -> Option<Flags> {
        let mut value = true;
        for letter in letters.chars() {
            match letter {
                'i' => self.ignore_case = value,
                'm' => self.multi_line = value,
                's' => self.dot_matches_newline = value,
                'x' => self.extended = value,
                'u' if value => {}
                '-' if value => value = false,
                _ => return None,
            }
        }
        Some(self)
    }
}

enum GroupKind {
    Plain,
    Atomic,
    Look { side: Side, negated: bool },
}
