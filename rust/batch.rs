//! Many texts at once: rows by bytes to threads, ids to two flat arrays.
//!
//! Rows are grouped into items of about equal bytes; threads take items in turn, each with a
//! scratch of its own, and the results are joined in row order. One row longer than an item is cut
//! where that is exact.

use crate::error::{Error, Poll, Result};
use crate::parallel;
use crate::pretokenize::last_word_cut;
use crate::ragged::Ragged;
use crate::token::TokenId;
use crate::tokenizer::{Allowed, Matchers, Place, Stretch, Tokenizer};

/// Bytes of text that a thread takes at a time.
const ITEM_BYTES: usize = 1 << 18;

/// Encodes each text; row `i` of the result holds the ids of text `i`.
pub fn encode_batch(
    tokenizer: &Tokenizer,
    texts: &[&[u8]],
    allowed: &Allowed,
    threads: usize,
    poll: Poll<'_>,
) -> Result<Ragged<TokenId>> {
    let matchers = tokenizer.matchers(allowed)?;
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    let mut joined = Ragged { values: Vec::with_capacity(bytes / 4), offsets: vec![0] };
    joined.offsets.reserve(texts.len());
    if threads <= 1 || bytes <= ITEM_BYTES {
        tokenizer.with_scratch(|scratch| {
            for text in texts {
                let stretch = Stretch { text, place: Place::Start };
                tokenizer.encode_into(stretch, &matchers, scratch, &mut joined.values, poll)?;
                joined.offsets.push(joined.values.len() as i64);
            }
            Ok(())
        })?;
        return Ok(joined);
    }
    let items = items(texts, tokenizer.cuts_at_words(&matchers));
    let parts = in_parallel(&items, threads, poll, |item, poll| {
        encode_item(tokenizer, &matchers, item, poll)
    })?;
    for (item, part) in items.iter().zip(parts) {
        let base = joined.values.len() as i64;
        joined.values.extend_from_slice(&part.values);
        let whole = part.offsets.len() - usize::from(!item.ends_row);
        joined.offsets.extend(part.offsets[..whole].iter().map(|end| base + end));
    }
    Ok(joined)
}

/// Counts the ids of each text.
pub fn count_batch(
    tokenizer: &Tokenizer,
    texts: &[&[u8]],
    allowed: &Allowed,
    threads: usize,
    poll: Poll<'_>,
) -> Result<Vec<i64>> {
    let matchers = tokenizer.matchers(allowed)?;
    let items = items(texts, false);
    let threads = if items.len() <= 1 { 1 } else { threads };
    let counts = in_parallel(&items, threads, poll, |item, poll| {
        tokenizer.with_scratch(|scratch| {
            let count = |text: &&[u8]| {
                Ok(tokenizer.count_with(text, &matchers, None, scratch, poll)? as i64)
            };
            item.texts.iter().map(count).collect::<Result<Vec<i64>>>()
        })
    })?;
    Ok(counts.concat())
}

/// The text of each row of ids.
pub fn decode_batch(
    tokenizer: &Tokenizer,
    ids: &[i32],
    offsets: &[i64],
    poll: Poll<'_>,
) -> Result<Ragged<u8>> {
    const POLL_ROWS: usize = 1 << 10;
    let mut joined = Ragged { values: Vec::with_capacity(4 * ids.len()), offsets: vec![0] };
    for (row, pair) in offsets.windows(2).enumerate() {
        let range = usize::try_from(pair[0]).ok().zip(usize::try_from(pair[1]).ok());
        let row_ids = range.and_then(|(start, end)| ids.get(start..end)).ok_or_else(|| {
            Error::Argument(format!(
                "row {row} spans {}..{}, outside its {} ids",
                pair[0],
                pair[1],
                ids.len()
            ))
        })?;
        if row % POLL_ROWS == 0 || row_ids.len() > POLL_ROWS {
            poll()?;
        }
        tokenizer.decode(row_ids, &mut joined.values, poll)?;
        joined.offsets.push(joined.values.len() as i64);
    }
    Ok(joined)
}

/// Consecutive rows, or a stretch of one row.
struct Item<'a> {
    texts: Vec<&'a [u8]>,
    /// Where the first text begins.
    place: Place,
    /// Whether the last text is the end of its row.
    ends_row: bool,
}

fn items<'a>(texts: &[&'a [u8]], cut_rows: bool) -> Vec<Item<'a>> {
    let mut items = Vec::new();
    let mut texts_here = Vec::new();
    let mut bytes = 0;
    let mut place = Place::Start;
    for &text in texts {
        let mut rest = text;
        while cut_rows
            && rest.len() > 2 * ITEM_BYTES
            && let Some(cut) = last_word_cut(&rest[..ITEM_BYTES])
        {
            texts_here.push(&rest[..cut]);
            items.push(Item { texts: std::mem::take(&mut texts_here), place, ends_row: false });
            place = Place::AfterCut;
            bytes = 0;
            rest = &rest[cut..];
        }
        texts_here.push(rest);
        bytes += rest.len();
        if bytes >= ITEM_BYTES {
            items.push(Item { texts: std::mem::take(&mut texts_here), place, ends_row: true });
            place = Place::Start;
            bytes = 0;
        }
    }
    if !texts_here.is_empty() {
        items.push(Item { texts: texts_here, place, ends_row: true });
    }
    items
}

fn encode_item(
    tokenizer: &Tokenizer,
    matchers: &Matchers,
    item: &Item<'_>,
    poll: Poll<'_>,
) -> Result<Ragged<TokenId>> {
    let mut part = Ragged { values: Vec::new(), offsets: Vec::with_capacity(item.texts.len()) };
    tokenizer.with_scratch(|scratch| {
        let mut place = item.place;
        for text in &item.texts {
            let stretch = Stretch { text, place };
            tokenizer.encode_into(stretch, matchers, scratch, &mut part.values, poll)?;
            place = Place::Start;
            part.offsets.push(part.values.len() as i64);
        }
        Ok(part)
    })
}

/// Runs `work` on every item, on `threads` threads beside the calling one, which polls. Results
/// are in the order of the items.
fn in_parallel<I: Sync, T: Send>(
    items: &[I],
    threads: usize,
    poll: Poll<'_>,
    work: impl Fn(&I, Poll<'_>) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let mut done: Vec<Vec<(usize, T)>> = (0..threads.max(1)).map(|_| Vec::new()).collect();
    parallel::each(items, &mut done, poll, |done, at, item, poll| {
        done.push((at, work(item, poll)?));
        Ok(())
    })?;
    let mut done: Vec<_> = done.into_iter().flatten().collect();
    done.sort_unstable_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}
