//! Initial symbols: what a piece is made of before the first merge.

use crate::error::{Error, Result};
use crate::token::TokenId;

/// No symbol: the text there has no token, and the format drops it.
pub(crate) const ABSENT: u32 = u32::MAX;

const PAGE: usize = 256;
const PAGES: usize = 0x11_0000 / PAGE;

/// How text becomes initial symbols.
#[derive(Debug)]
pub enum Units {
    /// One symbol a byte; `last` replaces the symbol of the last byte of a piece (CLIP's `</w>`).
    Bytes { first: Box<[u32; 256]>, last: Option<Box<[u32; 256]>> },
    /// One symbol a character; unknown characters become byte tokens, else the unknown token.
    Chars { chars: CharTable, bytes: Box<[u32; 256]>, unknown: u32 },
}

/// A symbol and the offset of its first byte in the piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Unit {
    pub id: TokenId,
    pub start: u32,
}

impl Units {
    /// Appends the symbols of `text[..]`, whose end is the end of the piece when `ends_piece`.
    pub(crate) fn append(&self, text: &[u8], ends_piece: bool, out: &mut Vec<Unit>) {
        match self {
            Units::Bytes { first, last } => {
                append_bytes(first, text, out);
                if let (Some(last), Some((&byte, start))) = (last, text.split_last())
                    && ends_piece
                {
                    out.truncate(out.len() - usize::from(first[byte as usize] != ABSENT));
                    push(last[byte as usize], start.len(), out);
                }
            }
            Units::Chars { chars, bytes, unknown } => {
                append_chars(chars, bytes, *unknown, text, out);
            }
        }
    }

    /// Whether the symbols of a text are those of its parts, joined, wherever it is cut between
    /// characters, and every byte has one.
    pub(crate) fn are_local(&self) -> bool {
        match self {
            Units::Bytes { first, last } => last.is_none() && !first.contains(&ABSENT),
            Units::Chars { bytes, unknown, .. } => *unknown != ABSENT || !bytes.contains(&ABSENT),
        }
    }

    /// Whether symbols are characters.
    pub(crate) fn are_characters(&self) -> bool {
        matches!(self, Units::Chars { .. })
    }

    /// Whether a character is a symbol.
    pub(crate) fn has(&self, c: char) -> bool {
        matches!(self, Units::Chars { chars, .. } if chars.get(c) != ABSENT)
    }

    /// Whether the last byte of a piece has a symbol of its own, which its token spells out.
    pub(crate) fn mark_ends(&self) -> bool {
        matches!(self, Units::Bytes { last: Some(_), .. })
    }

    /// Where a window of `text` that should end at `end` may end: not inside a character.
    pub(crate) fn boundary(&self, text: &[u8], end: usize) -> usize {
        match self {
            Units::Bytes { .. } => end,
            Units::Chars { .. } => {
                let floor = end.saturating_sub(3);
                let continues = |at: &usize| text.get(*at).is_some_and(|b| b & 0xc0 == 0x80);
                (floor..=end).rev().find(|at| !continues(at)).unwrap_or(end)
            }
        }
    }
}

fn push(id: u32, start: usize, out: &mut Vec<Unit>) {
    if id != ABSENT {
        out.push(Unit { id, start: start as u32 });
    }
}

fn append_bytes(table: &[u32; 256], text: &[u8], out: &mut Vec<Unit>) {
    out.reserve(text.len());
    for (start, &byte) in text.iter().enumerate() {
        push(table[byte as usize], start, out);
    }
}

fn append_chars(
    chars: &CharTable,
    bytes: &[u32; 256],
    unknown: u32,
    text: &[u8],
    out: &mut Vec<Unit>,
) {
    let mut base = 0;
    for chunk in text.utf8_chunks() {
        for (at, c) in chunk.valid().char_indices() {
            let start = base + at;
            match chars.get(c) {
                ABSENT => {
                    let spelled = &text[start..start + c.len_utf8()];
                    append_unknown(bytes, unknown, spelled, start, out);
                }
                id => push(id, start, out),
            }
        }
        base += chunk.valid().len();
        for byte in chunk.invalid() {
            append_unknown(bytes, unknown, &[*byte], base, out);
            base += 1;
        }
    }
}

/// Byte tokens when there is one for every byte of the character, else the unknown token.
fn append_unknown(
    bytes: &[u32; 256],
    unknown: u32,
    spelled: &[u8],
    start: usize,
    out: &mut Vec<Unit>,
) {
    if spelled.iter().all(|&b| bytes[b as usize] != ABSENT) {
        for (at, &byte) in spelled.iter().enumerate() {
            push(bytes[byte as usize], start + at, out);
        }
    } else {
        push(unknown, start, out);
    }
}

/// Characters to ids: a page table, since vocabularies cover few blocks of Unicode densely.
#[derive(Debug)]
pub struct CharTable {
    pages: Vec<u16>,
    ids: Vec<[u32; PAGE]>,
}

impl CharTable {
    /// Of two ids for one character the first counts.
    pub fn new(entries: impl Iterator<Item = (char, TokenId)>) -> CharTable {
        let mut table = CharTable { pages: vec![0; PAGES], ids: vec![[ABSENT; PAGE]] };
        for (c, id) in entries {
            let page = &mut table.pages[c as usize / PAGE];
            if *page == 0 {
                *page = table.ids.len() as u16;
                table.ids.push([ABSENT; PAGE]);
            }
            let entry = &mut table.ids[*page as usize][c as usize % PAGE];
            if *entry == ABSENT {
                *entry = id;
            }
        }
        table
    }

    #[inline]
    fn get(&self, c: char) -> u32 {
        self.ids[self.pages[c as usize / PAGE] as usize][c as usize % PAGE]
    }
}

/// A table of 256 ids from a definition, where -1 stands for none.
pub(crate) fn byte_table(ids: &[i64], vocab_size: usize, name: &str) -> Result<Box<[u32; 256]>> {
    if ids.len() != 256 {
        return Err(Error::Definition(format!("{name} has {} entries: 256 are needed", ids.len())));
    }
    let mut table = Box::new([ABSENT; 256]);
    for (entry, &id) in table.iter_mut().zip(ids) {
        match usize::try_from(id) {
            Ok(known) if known < vocab_size => *entry = known as u32,
            Err(_) if id == -1 => {}
            _ => {
                return Err(Error::Definition(format!(
                    "{name} names token id {id}, outside the vocabulary of {vocab_size}"
                )));
            }
        }
    }
    Ok(table)
}
