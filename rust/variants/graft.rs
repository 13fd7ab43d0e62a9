//! Tokens of one vocabulary made reachable in another.
//!
//! A token that the merges so far bring to two parts becomes reachable by joining these two after
//! everything else. That changes no text that does not come to these two parts, so whatever was
//! reachable stays so: the merges that lead to a token rank before the new one and are unaffected.

use crate::error::{Poll, Result};
use crate::events::{Event, Events, Scratch};
use crate::merges::Merge;
use crate::token::TokenId;

use super::symbols::Symbols;

/// What came of it.
#[derive(Debug, Default)]
pub struct Graft {
    /// Merges to put behind those that were there; their products are the tokens that joined, in
    /// order, from the first free id on.
    pub merges: Vec<Merge>,
    /// Which of the wanted tokens the merges leave in more than two parts.
    pub left_out: Vec<usize>,
}

/// Makes the tokens `wanted` reachable where one more merge each does it. `units` are the ids of
/// the 256 bytes.
///
/// Every round goes through the tokens that are still left out, in their order, until one changes
/// nothing.
///
/// # Errors
/// Those of `poll`.
pub fn graft(
    symbols: &mut Symbols,
    units: &[TokenId; 256],
    merges: &[Merge],
    wanted: &[&[u8]],
    poll: Poll<'_>,
) -> Result<Graft> {
    let mut events = Events::default();
    merges.iter().for_each(|&merge| events.push(Event::Join(merge)));
    let mut made = Graft { merges: Vec::new(), left_out: (0..wanted.len()).collect() };
    let (mut scratch, mut ids) = (Scratch::default(), Vec::new());
    loop {
        let before = made.left_out.len();
        let mut left_out = Vec::new();
        for at in std::mem::take(&mut made.left_out) {
            poll()?;
            ids.clear();
            events.encode(wanted[at], units, &mut scratch, &mut ids);
            if let [left, right] = ids[..] {
                let merge = Merge { left, right, product: symbols.size() as TokenId };
                symbols.push(wanted[at], true);
                events.push(Event::Join(merge));
                made.merges.push(merge);
            } else if ids.len() > 2 {
                left_out.push(at);
            }
        }
        made.left_out = left_out;
        if made.left_out.len() == before {
            return Ok(made);
        }
    }
}
