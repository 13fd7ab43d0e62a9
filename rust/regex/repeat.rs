//! Quantifiers: `?`, `*`, `+`, `{m,n}`, each greedy, lazy (`?` after it) or possessive (`+` after it).

use super::ast::Node;
use super::parse::Parser;
use crate::Result;

/// How often something repeats; no maximum means no end.
struct Bounds {
    min: u32,
    max: Option<u32>,
}

impl Parser<'_> {
    /// `node`, which began at `start`, with the quantifier that follows it, if any.
    ///
    /// A loop ends in Oniguruma when its body has matched nothing, and goes on behind it; here, as in
    /// Rust's `regex`, the body is then tried on in another way first. These are the same where a
    /// body tries to match nothing last, as `(?:a|b?)*` does and `(?:a?|b)*` does not; where they
    /// are counted, what it matches must also not depend on what stands there (`(?:a|$){2}`).
    pub(super) fn quantified(&mut self, node: Node, start: usize) -> Result<Node> {
        self.skip_ignored()?;
        let at = self.at;
        let Some(bounds) = self.bounds()? else { return Ok(node) };
        if node != Node::Empty && node.fixed_length() == Some(0) {
            return Err(self.error(at, "a quantifier on something without width"));
        }
        let greedy = !self.eat("?");
        let possessive = greedy && self.eat("+");
        if self.bounds()?.is_some() {
            return Err(self.error(at, "a quantifier on a quantifier; put the first in `(?:...)`"));
        }
        let Bounds { min, max } = bounds;
        let loops = max.is_none_or(|max| max > 1);
        let counts = min > 1 || max.is_some();
        let depends = counts && node.is_nullable() && !node.may_be_nothing();
        if loops && (depends || !node.prefers_width()) {
            self.odd_loop = self.odd_loop.or(Some(start));
        }
        let node = Node::Repeat { node: Box::new(node), min, max, greedy };
        Ok(match possessive {
            true => Node::Atomic { node: Box::new(node), at: start },
            false => node,
        })
    }

    fn bounds(&mut self) -> Result<Option<Bounds>> {
        let bounds = match self.peek() {
            Some('?') => Bounds { min: 0, max: Some(1) },
            Some('*') => Bounds { min: 0, max: None },
            Some('+') => Bounds { min: 1, max: None },
            Some('{') => return self.counted(),
            _ => return Ok(None),
        };
        self.next();
        Ok(Some(bounds))
    }

    /// `{m}`, `{m,}`, `{,n}` or `{m,n}`; any other brace is an ordinary character.
    fn counted(&mut self) -> Result<Option<Bounds>> {
        let start = self.at;
        let Some((inside, _)) = self.rest()[1..].split_once('}') else { return Ok(None) };
        let (low, high) = inside.split_once(',').unwrap_or((inside, inside));
        let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if inside.is_empty() || inside == "," || !is_number(low) || !is_number(high) {
            return Ok(None);
        }
        let number = |text: &str| match text.parse::<u32>() {
            Ok(number) => Ok(number),
            Err(_) => Err(self.error(start, format!("repetition count {text} is too large"))),
        };
        let min = if low.is_empty() { 0 } else { number(low)? };
        let max = if high.is_empty() { None } else { Some(number(high)?) };
        if max.is_some_and(|max| max < min) {
            return Err(self.error(start, "the repetition's maximum is below its minimum"));
        }
        self.at += inside.len() + "{}".len();
        Ok(Some(Bounds { min, max }))
    }
}
