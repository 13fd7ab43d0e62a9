//! Models, with caches, cuts and look-ups of whole pieces, against merging each piece by itself.

use proptest::prelude::*;

use super::super::units::{ABSENT, CharTable, Unit, Units};
use super::super::{Model, Scratch, WholePieces};
use super::{Built, Rules, cases, merged, rules};
use crate::pretokenize::Span;
use crate::token::{Kind, TokenId};
use crate::vocab::Vocab;

/// What text is made of here: letters, a space, characters of two to four bytes, two of which
/// differ in the last byte only, and bytes that are no characters.
const PARTS: [&[u8]; 13] = [
    b"a",
    b"b",
    b" ",
    b"\xC3\xA9",
    b"\xC3\xA8",
    b"\xE6\x97\xA5",
    b"\xE6\x9C\xAC",
    b"\xF0\x9F\x98\x80",
    b"\xE6",
    b"\x97",
    b"\xA5",
    b"\xF0\x9F",
    b"\xFF",
];
/// Budgets of the cache: next to nothing, some slots, all that a test can fill.
const BUDGETS: [usize; 3] = [0, 3_000, 1 << 20];

/// How a model is set up, for [`reference`].
struct Setup {
    built: Built,
    rules: Rules,
    whole: WholePieces,
    /// Characters that are symbols by themselves, by id; without, bytes are.
    chars: Option<Vec<(char, TokenId)>>,
    /// The bytes that have a symbol.
    bytes: Box<[u32; 256]>,
    unknown: Option<TokenId>,
    fused: bool,
}

impl Setup {
    fn bytes(built: Built, whole: WholePieces) -> Setup {
        let Units::Bytes { first, .. } = built.units() else { unreachable!("units are bytes") };
        let rules = rules(&built.merges);
        Setup { built, rules, whole, chars: None, bytes: first, unknown: None, fused: false }
    }

    fn model(&self) -> Model {
        let unknown = self.unknown.unwrap_or(ABSENT);
        let bytes = self.bytes.clone();
        let units = match &self.chars {
            None => Units::Bytes { first: bytes, last: None },
            Some(chars) => {
                let chars = CharTable::new(chars.iter().copied());
                Units::Chars { chars, bytes, unknown }
            }
        };
        let fused = self.unknown.filter(|_| self.fused);
        Model::new(self.vocab(), self.built.table(), units, self.whole, fused)
            .with_unreachable(None)
            .expect("nothing is looked up")
    }

    fn vocab(&self) -> Vocab {
        let Some(_) = self.chars else { return self.built.vocab() };
        let mut offsets = vec![0];
        for token in &self.built.tokens {
            offsets.push(offsets[offsets.len() - 1] + token.len() as u32);
        }
        let kind = |id: usize| if id < 256 { Kind::MODEL | Kind::BYTE } else { Kind::MODEL };
        let kinds = (0..self.built.tokens.len()).map(kind).collect();
        Vocab::new(self.built.tokens.concat(), offsets, kinds).expect("a table of tokens")
    }

    fn symbols(&self, piece: &[u8]) -> Vec<Unit> {
        let mut units = Vec::new();
        let mut at = 0;
        while at < piece.len() {
            let found = (1..5).find_map(|len| {
                let mut chars = std::str::from_utf8(piece.get(at..at + len)?).ok()?.chars();
                Some((chars.next()?, len))
            });
            let known = self.chars.as_ref().zip(found).and_then(|(chars, (c, _))| {
                chars.iter().find(|(symbol, _)| *symbol == c).map(|(_, id)| *id)
            });
            let len = found.filter(|_| self.chars.is_some()).map_or(1, |(_, len)| len);
            let spelled: Vec<u32> =
                piece[at..at + len].iter().map(|&byte| self.bytes[usize::from(byte)]).collect();
            let mut push = |id: u32, at: usize| units.push(Unit { id, start: at as u32 });
            match (known, self.unknown) {
                (Some(id), _) => push(id, at),
                (None, _) if !spelled.contains(&ABSENT) => {
                    spelled.iter().enumerate().for_each(|(k, &id)| push(id, at + k));
                }
                (None, Some(id)) => push(id, at),
                (None, None) => {}
            }
            at += len;
        }
        units
    }

    fn reference(&self, piece: &[u8]) -> Vec<Unit> {
        if self.whole == WholePieces::AreTokens {
            let skipped = if self.chars.is_some() { 256 } else { 0 };
            let token = self.built.tokens.iter().skip(skipped).position(|token| token == piece);
            if let Some(at) = token {
                return vec![Unit { id: (skipped + at) as TokenId, start: 0 }];
            }
        }
        let mut units = merged(&self.rules, self.symbols(piece));
        if self.fused {
            units.dedup_by(|next, unit| Some(unit.id) == self.unknown && next.id == unit.id);
        }
        units
    }

    /// Encodes the pieces of `text` with every budget, twice, and with their offsets.
    fn check(&self, text: &[u8], pieces: &[Span]) {
        let expected: Vec<Vec<Unit>> =
            pieces.iter().map(|piece| self.reference(&text[piece.start..piece.end])).collect();
        let ids: Vec<TokenId> = expected.iter().flatten().map(|unit| unit.id).collect();
        let model = self.model();
        for budget in BUDGETS {
            let mut scratch = Scratch::new(budget);
            for round in 0..2 {
                let mut out = vec![7];
                let poll = &mut || Ok(());
                model
                    .encode(text, pieces, &mut scratch, &mut out, poll)
                    .expect("nothing interrupts");
                assert_eq!(out[1..], ids, "budget {budget}, round {round}");
            }
            for (piece, expected) in pieces.iter().zip(&expected) {
                let mut found = Vec::new();
                let piece = &text[piece.start..piece.end];
                let emit = |id, start| found.push(Unit { id, start: start as u32 });
                let poll = &mut || Ok(());
                model.encode_with_starts(piece, &mut scratch, poll, emit).expect("not interrupted");
                assert_eq!(&found, expected);
            }
        }
    }
}

/// Pieces of these lengths, one after another, over and over.
fn cut(text: &[u8], lengths: &[usize]) -> Vec<Span> {
    let mut lengths = lengths.iter().cycle();
    let mut pieces = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let end = text.len().min(start + lengths.next().expect("a cycle of some length"));
        pieces.push(Span { start, end });
        start = end;
    }
    pieces
}

fn joined(parts: &[usize]) -> Vec<u8> {
    parts.iter().flat_map(|&part| PARTS[part % PARTS.len()]).copied().collect()
}

fn part_lists(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..PARTS.len(), count)
}

/// Tokens of whole characters and of parts of them; some of them no merge makes.
fn vocabularies() -> impl Strategy<Value = Built> {
    let words = prop::collection::vec(part_lists(1..5), 0..14);
    let pieces = prop::collection::vec((any::<u16>(), any::<u16>()), 0..10);
    let unreachable = prop::collection::vec(part_lists(1..8), 0..6);
    let keys = prop::collection::vec(any::<u16>(), 0..40);
    (words, pieces, unreachable, keys).prop_map(|(words, pieces, unreachable, keys)| {
        let mut built = Built::bytes();
        for word in words {
            let mut bytes = joined(&word).into_iter().map(Built::byte);
            let first = bytes.next().expect("words are not empty");
            bytes.fold(first, |left, right| built.merge(left, right));
        }
        let symbols: Vec<TokenId> = PARTS.concat().into_iter().map(Built::byte).collect();
        built = built.grow(&symbols, &pieces, 12);
        if !keys.is_empty() {
            built = built.shuffle(&keys);
        }
        unreachable.iter().for_each(|word| {
            built.intern(joined(word));
        });
        built
    })
}

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    let length =
        prop::sample::select(&[0usize, 1, 2, 3, 5, 7, 14, 15, 16, 17, 30, 31, 32, 33, 80][..]);
    prop::collection::vec(length, 1..9)
        .prop_filter("some progress", |all| all.iter().sum::<usize>() > 0)
}

fn whole_pieces() -> impl Strategy<Value = WholePieces> {
    prop::sample::select(&[WholePieces::AreTokens, WholePieces::AreMerged][..])
}

proptest! {
    #![proptest_config(cases(250))]

    #[test]
    fn cuts_and_caches_do_not_show(
        built in vocabularies(),
        text in part_lists(0..120),
        lengths in lengths(),
        whole in whole_pieces(),
    ) {
        let text = joined(&text);
        let setup = Setup::bytes(built, whole);
        prop_assert!(setup.model().cuts.is_some());
        setup.check(&text, &cut(&text, &lengths));
    }

    #[test]
    fn a_whole_piece_that_is_a_token_is_that_token_and_a_part_is_not(
        built in vocabularies(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
        whole in whole_pieces(),
    ) {
        // Tokens stand alone and side by side in one piece, in any order, in one cache.
        let words: Vec<&[u8]> =
            order.iter().map(|at| &built.tokens[at.index(built.tokens.len())][..]).collect();
        let (mut text, mut pieces) = (Vec::new(), Vec::new());
        for pair in words.chunks(2) {
            for piece in [pair[0].to_vec(), pair.concat(), pair[pair.len() - 1].to_vec()] {
                pieces.push(Span { start: text.len(), end: text.len() + piece.len() });
                text.extend(piece);
            }
        }
        Setup::bytes(built.clone(), whole).check(&text, &pieces);
    }

    #[test]
    fn characters_are_symbols_bytes_or_unknown(
        choices in prop::collection::vec((any::<u16>(), any::<u16>()), 0..20),
        text in part_lists(0..120),
        lengths in lengths(),
        known in prop::sample::subsequence(vec!['a', 'b', ' ', 'é', '日', '😀'], 1..6),
        (spelled, has_unknown, fused) in (0..3u8, any::<bool>(), any::<bool>()),
        whole in whole_pieces(),
    ) {
        let mut setup = Setup::bytes(Built::bytes(), whole);
        // Fallbacks for every byte, for those of the first two ranges of lead bytes, for none.
        for byte in 0..=255u8 {
            if spelled == 0 || spelled == 1 && byte >= 0xE0 {
                setup.bytes[usize::from(byte)] = ABSENT;
            }
        }
        let mut built = setup.built;
        setup.unknown = has_unknown.then(|| built.intern(b"<unk>".to_vec()));
        let mut pool = Vec::new();
        for c in known {
            // A character of one byte has an id of its own, beside that of the byte.
            built.tokens.push(c.to_string().into_bytes());
            pool.push((c, built.tokens.len() as TokenId - 1));
        }
        let symbols: Vec<TokenId> = pool.iter().map(|(_, id)| *id).collect();
        built = built.grow(&symbols, &choices, 24);
        setup.rules = rules(&built.merges);
        setup.chars = Some(pool);
        setup.fused = fused && has_unknown;
        setup.built = built;
        let text = joined(&text);
        setup.check(&text, &cut(&text, &lengths));
    }
}

#[test]
fn pieces_of_every_length_end_the_text() {
    let built = Built::bytes().grow(&b"ab".map(Built::byte), &[(0, 1), (2, 2), (3, 3), (1, 1)], 8);
    let setup = Setup::bytes(built, WholePieces::AreMerged);
    let text: Vec<u8> = b"abbab".iter().copied().cycle().take(40).collect();
    for len in 0..=40 {
        for before in [0, 1, 3, 40 - len] {
            let end = text.len().min(before + len);
            let spans = [Span { start: 0, end: before }, Span { start: before, end }];
            setup.check(&text[..end], &spans);
        }
    }
}

#[test]
fn pieces_that_differ_after_their_end_or_in_zeros_have_their_own_keys() {
    let setup = Setup::bytes(Built::bytes(), WholePieces::AreMerged);
    let mut text = Vec::new();
    let mut pieces = Vec::new();
    for len in 0..34 {
        for last in [0u8, 1, len as u8, 0xFF] {
            let start = text.len();
            text.extend(vec![0; len]);
            text.push(last);
            pieces.push(Span { start, end: start + len });
            pieces.push(Span { start, end: start + len + 1 });
        }
    }
    setup.check(&text, &pieces);
}

#[test]
fn more_pieces_than_slots() {
    // 8,000 pieces of 4 bytes with 1 to 4 ids, and of 20 bytes with up to 20, which spill.
    let pairs = [(0, 1), (1, 1), (2, 3), (4, 4)];
    let built = Built::bytes().grow(&b"ab".map(Built::byte), &pairs, 20);
    let setup = Setup::bytes(built, WholePieces::AreMerged);
    let mut text = Vec::new();
    let mut pieces = Vec::new();
    for number in 0..16_000u32 {
        let len = if number % 2 == 0 { 4 } else { 20 };
        let start = text.len();
        text.extend(
            (0..len).map(|k| b"abcd"[(number.wrapping_mul(40_503) >> (k % 16)) as usize % 4]),
        );
        let own =
            [b'A' + (number >> 10) as u8, (number >> 1 & 0x1F) as u8, (number >> 6 & 0x1F) as u8];
        text[start..start + 3].copy_from_slice(&own);
        pieces.push(Span { start, end: start + len });
    }
    setup.check(&text, &pieces);
}

#[test]
fn a_token_that_merging_cannot_reach_is_one_only_as_a_whole_piece() {
    let mut built = Built::bytes().grow(&b"ab".map(Built::byte), &[(0, 1)], 2);
    let bab = built.intern(b"bab".to_vec());
    let long = built.intern(b"ba".repeat(20));
    let setup = Setup::bytes(built, WholePieces::AreTokens);
    assert_eq!(setup.reference(b"bab"), [Unit { id: bab, start: 0 }]);
    assert_eq!(setup.reference(b"bab ").len(), 3);
    assert_eq!(setup.reference(&b"ba".repeat(20)), [Unit { id: long, start: 0 }]);
    for text in ["bab", "bab ", " bab", "é bab日", "babbab"] {
        for order in [[0, 1], [1, 0]] {
            let both = [format!("{text}bab"), format!("bab{text}")];
            let text = both[order[0]].as_bytes();
            let (start, middle, end) = (0, [text.len() - 3, 3][order[0]], text.len());
            let parts = [Span { start, end: middle }, Span { start: middle, end }];
            let spans = [parts[0], Span { start, end }, parts[1], parts[0]];
            setup.check(text, &spans);
        }
    }
    let text = [b"ba".repeat(20), "日".into(), b"ba".repeat(20)].concat();
    setup.check(&text, &cut(&text, &[40, 43]));
    setup.check(&text, &cut(&text, &[83, 40]));
}
