//! Bytes that are not UTF-8, made such that no step can join them to a character.
//!
//! Two of them between which a step removes everything could be the bytes of one character, which
//! the next step would change. So they are all 0xFF while the steps run, a byte that stands in no
//! character; the steps keep their number and their order.

use std::str;

use crate::error::{Poll, Result, Watch};

/// The byte in place of those that are not UTF-8.
const MASK: u8 = 0xff;

/// The text with its bytes that are not UTF-8 masked; `None` when there are none.
///
/// # Errors
/// Those of `poll`.
pub(super) fn mask(text: &[u8], poll: Poll<'_>) -> Result<Option<Vec<u8>>> {
    let mut watch = Watch::new(poll);
    let mut masked: Option<Vec<u8>> = None;
    let (mut at, mut pause) = (0, Watch::next_pause(0));
    while at < text.len() && watch.passes(at, &mut pause) {
        let block = &text[at..text.len().min(Watch::next_pause(at))];
        let Err(error) = str::from_utf8(block) else {
            at += block.len();
            continue;
        };
        at += error.valid_up_to();
        let broken = match error.error_len() {
            Some(len) => len,
            // The block cuts a character, with which the next begins.
            None if error.valid_up_to() > 0 => continue,
            None => block.len(),
        };
        masked.get_or_insert_with(|| text.to_vec())[at..at + broken].fill(MASK);
        at += broken;
    }
    watch.finish()?;
    Ok(masked)
}

/// Puts the bytes of `text` that are not UTF-8 in the places that their masks came to.
pub(super) fn unmask(bytes: &mut [u8], text: &[u8]) {
    let broken = text.utf8_chunks().flat_map(|chunk| chunk.invalid());
    let places = bytes.iter_mut().filter(|byte| **byte == MASK);
    places.zip(broken).for_each(|(place, &byte)| *place = byte);
}
