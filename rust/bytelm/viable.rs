//! Which sequences of tokens can begin the encoding of some text.
//!
//! A sequence is *viable* when text may follow its bytes so that the tokenizer makes these tokens
//! first. Inside a piece neighbours have to go together ([`super::pairs`]); where pieces end, the
//! pre-tokenizer has to be able to end them, and they must not be tokens by themselves
//! ([`super::ways`]); where a piece cannot end, in the middle of a character say, some token has to be
//! able to follow; and added tokens stand where they are found ([`super::added`]), with what the
//! tokenizer puts behind them ([`super::begin`]).

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, OnceLock};

use super::added::{self, Added, Owed};
use super::begin::Begin;
use super::bits::Bits;
use super::pairs::Pairs;
use super::sorted::{self, NOWHERE, Place, Sorted};
use super::trie::ROOT;
use super::ways::Ways;
use crate::Result;
use crate::encode::Model;
use crate::pretokenize::Step;
use crate::pretokenize::outlook::{EMPTY, Outlook, SetId};
use crate::token::{Kind, TokenId};
use crate::tokenizer::Opening;
use crate::utf8::{self, Prefix};
use crate::vocab::Vocab;

/// Bytes of sets of tokens that are kept.
const KEPT_BYTES: usize = 64 << 20;

/// The tokens that may follow a sequence.
#[derive(Debug)]
pub(super) struct Mask {
    places: Bits,
    /// The same by id, once somebody asked: a row that is read behind its first bytes needs none.
    ids: OnceLock<Vec<u64>>,
}

impl Mask {
    fn new(places: Bits) -> Mask {
        Mask { places, ids: OnceLock::new() }
    }

    /// By place.
    pub fn places(&self) -> &Bits {
        &self.places
    }

    /// By id, a bit for each, which is 0 for text that may not follow; what is no text has some bit.
    pub fn ids(&self, sorted: &Sorted) -> &[u64] {
        self.ids.get_or_init(|| {
            let mut ids = vec![u64::MAX; sorted.ids_len().div_ceil(64)];
            self.places.each_missing(&sorted.all(), |place| {
                let id = sorted.id(place);
                ids[id as usize / 64] &= !(1 << (id % 64));
            });
            ids
        })
    }

    /// Bytes that it takes at most.
    fn bytes(&self) -> usize {
        2 * self.places.bytes()
    }
}

/// Where a viable sequence of tokens stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Spot {
    /// The ways to cut the text in which the last piece goes on.
    open: SetId,
    /// Those in which a piece begins here.
    turned: SetId,
    /// The last token.
    last: Place,
    /// The bytes of a character that tokens of single bytes have begun to spell.
    begun: Begun,
    /// What must not be found of added tokens.
    owed: Owed,
    begin: Begin,
}

/// Up to three bytes with which a character begins, the last in the low bits.
type Begun = u32;

/// The order of all tokens that are text, where one of them ends texts and so is none of those that
/// may follow: the tokenizer makes it of a text like any other, and neighbours are as they are with it.
#[derive(Debug)]
pub(super) struct WithEnds(Sorted);

impl WithEnds {
    /// The order, where some end of a text is text.
    pub fn new(vocab: &Vocab, ends: &[TokenId]) -> Option<Arc<WithEnds>> {
        let mut ends = ends.iter().filter(|&&id| (id as usize) < vocab.len());
        let found = ends.any(|&id| sorted::is_text(vocab, id));
        found.then(|| Arc::new(WithEnds(Sorted::new(vocab, &[]))))
    }

    pub fn order(&self) -> &Sorted {
        &self.0
    }

    /// The place of a token that is at a place of the order without ends.
    fn place(&self, sorted: &Sorted, token: Place) -> Place {
        self.0.place(sorted.id(token)).expect("all text is there")
    }

    /// Of a set of places those without ends, in their order.
    fn without(&self, found: &Bits, sorted: &Sorted) -> Bits {
        let mut kept = Bits::none(sorted.len());
        let has = |&token: &Place| found.has(self.place(sorted, token));
        sorted.all().filter(has).for_each(|token| kept.insert(token));
        kept
    }
}

/// What is known of sequences of one tokenizer's tokens; grows with what it is asked.
#[derive(Debug)]
pub(super) struct Viability {
    /// Whose places are those of all else here, unless there is none.
    with_ends: Option<Arc<WithEnds>>,
    ways: Ways,
    pairs: Pairs,
    /// Added tokens that are text, if there are any.
    added: Option<Added>,
    /// How texts begin.
    start: Begin,
    /// The tokens that spell characters which are no symbols.
    spelled: Vec<Place>,
    /// Whether pieces are cut.
    cuts: bool,
    /// For each set of ways and what has begun, the tokens that may follow in the same piece,
    /// neighbours aside.
    following: HashMap<(SetId, Begun), Arc<Bits>>,
    /// For each set of ways, the tokens that may be the whole of a piece that begins.
    whole: HashMap<SetId, Arc<Bits>>,
    /// For places where sequences stood, the tokens that may follow.
    tokens: HashMap<Spot, Arc<Mask>>,
    /// Bytes that these take.
    held: usize,
    /// Whether a piece goes on after a token, where it cannot end.
    goes_on: HashMap<(SetId, Place, Begun), bool>,
}

impl Viability {
    pub fn new(
        model: &Model,
        steps: &[Step],
        added: Option<Added>,
        start: Opening,
        sorted: &Sorted,
        with_ends: Option<Arc<WithEnds>>,
    ) -> Result<Viability> {
        let is_whole = |&place: &Place| {
            let bytes = sorted.bytes(place);
            model.whole_piece(bytes) == Some(sorted.id(place))
        };
        let whole = sorted.all().filter(is_whole).collect();
        let is_byte = |&place: &Place| is_byte(model, sorted, place);
        Ok(Viability {
            ways: Ways::new(Outlook::new(steps, model.speller())?, whole, sorted),
            pairs: Pairs::new(model, sorted)?,
            added,
            start: Begin::of(start),
            spelled: sorted.all().filter(is_byte).collect(),
            with_ends,
            cuts: !steps.is_empty(),
            following: HashMap::new(),
            whole: HashMap::new(),
            tokens: HashMap::new(),
            held: 0,
            goes_on: HashMap::new(),
        })
    }

    /// Where the empty sequence stands.
    pub fn start(&mut self) -> Spot {
        Spot {
            open: EMPTY,
            turned: self.ways.start(),
            last: NOWHERE,
            begun: 0,
            owed: added::NOTHING,
            begin: self.start,
        }
    }

    /// The same where the text goes on with another, which ends with these bytes of a character.
    pub fn start_behind(&mut self, character: &[u8]) -> Result<Spot> {
        let turned = self.ways.start_inside(character)?;
        Ok(Spot { turned, begin: Begin::Anyhow, ..self.start() })
    }

    /// Whether the text may end behind the sequence.
    pub fn ends(&mut self, spot: Spot) -> Result<bool> {
        if spot.begin == Begin::WithMore {
            return Ok(false);
        }
        // No piece is open at the start of a text, and behind an added token.
        if spot.open == EMPTY && spot.turned == self.ways.start() {
            return Ok(true);
        }
        self.ways.ends(if spot.open == EMPTY { spot.turned } else { spot.open })
    }

    /// Where a viable sequence stands after another token with which it stays so.
    pub fn after(
        &mut self,
        model: &Model,
        sorted: &Sorted,
        spot: Spot,
        token: Place,
    ) -> Result<Spot> {
        match self.with_ends.clone() {
            Some(all) => self.moved(model, &all.0, spot, all.place(sorted, token)),
            None => self.moved(model, sorted, spot, token),
        }
    }

    fn moved(&mut self, model: &Model, sorted: &Sorted, spot: Spot, token: Place) -> Result<Spot> {
        let owed = match &mut self.added {
            Some(added) => added.after(sorted, spot.owed, token),
            None => added::NOTHING,
        };
        if let Some(begin) = self.added.as_ref().and_then(|added| added.begin_behind(token)) {
            return Ok(Spot { last: token, owed, begin, ..self.start() });
        }
        let begin = spot.begin.after(sorted.bytes(token));
        if self.ways.whole().binary_search(&token).is_ok() {
            let piece = self.walk(spot.turned, sorted.bytes(token))?;
            let open = self.ways.closed(piece);
            let turned = self.ways.turn(open)?;
            return Ok(Spot { open, turned, last: token, begun: 0, owed, begin });
        }
        let anew = self.walk(spot.turned, sorted.bytes(token))?;
        // A token with which no piece begins goes together with the one before.
        let together = spot.open != EMPTY
            && (anew == EMPTY || self.pairs.go_together(model, sorted, spot.last, token)?);
        let inside = if together { self.walk(spot.open, sorted.bytes(token))? } else { EMPTY };
        let open = self.ways.join(inside, anew);
        let turned = self.ways.turn(open)?;
        Ok(Spot {
            open,
            turned,
            last: token,
            begun: spell(model, sorted, spot.begun, token).0,
            owed,
            begin,
        })
    }

    /// The tokens with which the sequence stays viable.
    pub fn tokens(&mut self, model: &Model, sorted: &Sorted, spot: Spot) -> Result<Arc<Mask>> {
        if let Some(known) = self.tokens.get(&spot) {
            return Ok(Arc::clone(known));
        }
        let found = match self.with_ends.clone() {
            Some(all) => all.without(&self.places(model, &all.0, spot)?, sorted),
            None => self.places(model, sorted, spot)?,
        };
        let found = Arc::new(Mask::new(found));
        self.held += found.bytes();
        if self.held > KEPT_BYTES {
            self.tokens.clear();
            self.held = found.bytes();
        }
        self.tokens.insert(spot, Arc::clone(&found));
        Ok(found)
    }

    /// The same by place, with ends.
    fn places(&mut self, model: &Model, sorted: &Sorted, spot: Spot) -> Result<Bits> {
        let mut found = Bits::none(sorted.len());
        if spot.open != EMPTY {
            found.add(&*self.following(model, sorted, spot.open, spot.begun)?);
            self.pairs.each_forbidden(model, sorted, spot.last, |place| found.remove(place))?;
        }
        found.add(&*self.following(model, sorted, spot.turned, 0)?);
        if !self.ways.whole().is_empty() {
            found.add(&*self.whole(sorted, spot.turned)?);
        }
        for &token in self.spelled.iter().filter(|_| spot.begun != 0) {
            if spell(model, sorted, spot.begun, token).1 {
                found.remove(token);
            }
        }
        if matches!(spot.begin, Begin::WithSpace | Begin::WithSpaceAndMore) {
            let (all, spaced) = (sorted.all(), sorted.beginning(b' '));
            (all.start..spaced.start).chain(spaced.end..all.end).for_each(|p| found.remove(p));
        }
        let ends = self.added.is_some() && self.ends(spot)?;
        if let Some(added) = &self.added {
            added.restrict(&mut found, sorted, (spot.owed, spot.begin), ends);
        }
        Ok(found)
    }

    fn walk(&mut self, set: SetId, bytes: &[u8]) -> Result<SetId> {
        let step = |set, &byte| if set == EMPTY { Ok(set) } else { self.ways.step(set, byte) };
        bytes.iter().try_fold(set, step)
    }

    /// The tokens that may follow in the same piece, whatever the one before.
    fn following(
        &mut self,
        model: &Model,
        sorted: &Sorted,
        set: SetId,
        begun: Begun,
    ) -> Result<Arc<Bits>> {
        // Where all is one piece it may end anywhere, whatever has begun.
        let begun = if self.cuts { begun } else { 0 };
        if let Some(known) = self.following.get(&(set, begun)) {
            return Ok(Arc::clone(known));
        }
        let mut found = Bits::none(sorted.len());
        let mut stuck = Vec::new();
        let Viability { ways, pairs, .. } = self;
        each_token(ways, sorted, set, |ways, place, after| {
            if pairs.is_reachable(place) {
                match may_stop(ways, after)? {
                    true => found.insert(place),
                    false => stuck.push((place, after)),
                }
            }
            Ok(true)
        })?;
        for (place, after) in stuck {
            let (begun, is_symbol) = spell(model, sorted, begun, place);
            if !is_symbol && self.goes_on(model, sorted, (after, place, begun))? {
                found.insert(place);
            }
        }
        Ok(kept(&mut self.following, (set, begun), found))
    }

    /// The tokens that may be the whole of a piece that begins.
    fn whole(&mut self, sorted: &Sorted, set: SetId) -> Result<Arc<Bits>> {
        if let Some(known) = self.whole.get(&set) {
            return Ok(Arc::clone(known));
        }
        let mut found = Bits::none(sorted.len());
        for token in self.ways.whole().to_vec() {
            let piece = self.walk(set, sorted.bytes(token))?;
            let closed = self.ways.closed(piece);
            if may_stop(&mut self.ways, closed)? {
                found.insert(token);
            }
        }
        Ok(kept(&mut self.whole, set, found))
    }

    /// Whether tokens can follow one in its piece, up to where the piece may end: a search.
    fn goes_on(
        &mut self,
        model: &Model,
        sorted: &Sorted,
        from: (SetId, Place, Begun),
    ) -> Result<bool> {
        if let Some(&known) = self.goes_on.get(&from) {
            return Ok(known);
        }
        let Viability { ways, pairs, goes_on, .. } = self;
        let (mut seen, mut waiting) = (HashSet::from([from]), vec![from]);
        let mut found = false;
        while let Some((set, token, begun)) = waiting.pop() {
            each_token(ways, sorted, set, |ways, next, after| {
                let (begun, is_symbol) = spell(model, sorted, begun, next);
                let may = !is_symbol
                    && pairs.is_reachable(next)
                    && pairs.go_together(model, sorted, token, next)?;
                if may {
                    let next = (after, next, begun);
                    found = may_stop(ways, after)? || goes_on.get(&next) == Some(&true);
                    if !found && seen.insert(next) {
                        waiting.push(next);
                    }
                }
                Ok(!found)
            })?;
            if found {
                break;
            }
        }
        self.goes_on.insert(from, found);
        if !found {
            self.goes_on.extend(seen.into_iter().map(|stuck| (stuck, false)));
        }
        Ok(found)
    }
}

/// Keeps a set of tokens, and forgets others when they take too much.
fn kept<K: Eq + Hash>(sets: &mut HashMap<K, Arc<Bits>>, key: K, found: Bits) -> Arc<Bits> {
    if (sets.len() + 1) * found.bytes() > KEPT_BYTES {
        sets.clear();
    }
    let found = Arc::new(found);
    sets.insert(key, Arc::clone(&found));
    found
}

/// Whether a token spells a byte of characters that are no symbols.
fn is_byte(model: &Model, sorted: &Sorted, token: Place) -> bool {
    model.units.are_characters() && model.vocab.kind(sorted.id(token)).has(Kind::BYTE)
}

/// What a token makes of a character that has begun, and whether the character is whole and a
/// symbol itself, so that it is never spelled.
fn spell(model: &Model, sorted: &Sorted, begun: Begun, token: Place) -> (Begun, bool) {
    let is_byte = is_byte(model, sorted, token);
    let (&[byte], true) = (sorted.bytes(token), is_byte) else { return (0, false) };
    let longer = begun << 8 | u32::from(byte);
    let bytes = longer.to_be_bytes();
    let start = bytes.iter().position(|&byte| byte != 0).unwrap_or(3);
    match (utf8::prefix(&bytes[start..]), begun) {
        (Prefix::Part(_), _) => (longer, false),
        (Prefix::Whole(code), _) => (0, char::from_u32(code).is_some_and(|c| model.units.has(c))),
        (Prefix::Wrong, 0) => (0, false),
        // What had begun was no character; another may begin here.
        (Prefix::Wrong, _) => spell(model, sorted, 0, token),
    }
}

/// Whether the piece or the text may end here.
fn may_stop(ways: &mut Ways, set: SetId) -> Result<bool> {
    Ok(ways.turn(set)? != EMPTY || ways.ends(set)?)
}

/// Calls `visit` with each token whose bytes may follow in the same piece, and with the ways after
/// it, until it returns false.
fn each_token(
    ways: &mut Ways,
    sorted: &Sorted,
    set: SetId,
    mut visit: impl FnMut(&mut Ways, Place, SetId) -> Result<bool>,
) -> Result<()> {
    if set == EMPTY {
        return Ok(());
    }
    let trie = sorted.trie();
    let mut waiting = vec![(ROOT, set)];
    while let Some((node, set)) = waiting.pop() {
        for place in trie.exact(node) {
            if !visit(ways, place, set)? {
                return Ok(());
            }
        }
        for child in trie.children(node) {
            let after = ways.step(set, trie.byte(child))?;
            if after != EMPTY {
                waiting.push((child, after));
            }
        }
    }
    Ok(())
}
