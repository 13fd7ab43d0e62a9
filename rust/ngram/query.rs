//! Rows of log-probabilities.
//!
//! A row is the row of single ids, shifted by what all longer contexts give away. Ids that ever
//! followed the last id of the context have other values: those of pairs, which are known
//! beforehand, shifted by what contexts of two and more ids give away. Of these again, those that
//! followed the last two ids have values of their own, and only for them a logarithm is taken.

use std::ops::Range;

use crate::error::{Error, Poll, Result};
use crate::ngram::layout::{Layout, Level, damaged};
use crate::ngram::smooth::{Discounts, Share};
use crate::ngram::suffixes::{Context, Followers};
use crate::token::TokenId;

/// How many occurrences for each different follower the bounded model counts as beside what followed
/// a context as long as the order; half as many beside one that is an id longer, and so on.
///
/// Chosen on held-out text, 4000 ids each: against the bounded model alone code gains 0.06 nats an id,
/// and English loses 0.003 at most. With 8 and with 32 it is the same within 0.008. Plain Witten-Bell,
/// one occurrence at every length, gains 0.02 on code and loses 0.05 on English, and discounts from
/// the counts of counts of each length lose on both.
const TRUST: f64 = 16.0;

/// Ids whose pairs are looked at between two looks at whether to go on.
const POLL_IDS: usize = 1 << 12;

/// What is known of a model beside its array: derived when it is made or mapped, and small.
#[derive(Debug)]
pub struct Model {
    layout: Layout,
    discounts: Vec<Discounts>,
    /// Probability of each id without context.
    base: Vec<f64>,
    log_base: Vec<f64>,
    log_base_short: Vec<f32>,
    /// For each id as a context, its total, and the share of it that is given away.
    shares: Vec<Share>,
    /// Logarithm of the second id's probability behind the first, for each pair of the second level.
    log_pairs: Vec<f64>,
}

/// What rows are made of.
pub trait Real: Copy + Send {
    /// Rounds.
    fn new(value: f64) -> Self;
    /// The row of single ids, plus a shift.
    fn shifted(model: &Model, shift: f64, row: &mut [Self]);
}

impl Real for f64 {
    fn new(value: f64) -> f64 {
        value
    }

    fn shifted(model: &Model, shift: f64, row: &mut [f64]) {
        for (out, log) in row.iter_mut().zip(&model.log_base) {
            *out = log + shift;
        }
    }
}

impl Real for f32 {
    fn new(value: f64) -> f32 {
        value as f32
    }

    fn shifted(model: &Model, shift: f64, row: &mut [f32]) {
        let shift = shift as f32;
        for (out, log) in row.iter_mut().zip(&model.log_base_short) {
            *out = log + shift;
        }
    }
}

/// A row as the row of single ids, and exceptions from it, and exceptions from these.
#[derive(Debug)]
pub struct Sparse<'a> {
    /// What is added to the logarithms of all ids that are not in `pairs`.
    pub shift: f64,
    /// Ids with a logarithm of their own, ascending.
    pub pairs: &'a [TokenId],
    /// Their logarithms, without the shift.
    pub log_pairs: &'a [f64],
    /// What is added to these.
    pub pair_shift: f64,
    /// Those of `pairs` that have another logarithm, ascending.
    pub ids: &'a [TokenId],
    /// Their logarithms.
    pub logs: &'a [f64],
}

/// Room for a query, to be used again.
#[derive(Debug, Default)]
pub struct Scratch {
    context: Vec<TokenId>,
    logs: Vec<f64>,
}

impl Model {
    /// Checks an array, and derives what queries need.
    ///
    /// Ids that are `excluded` and never occurred are no outcomes.
    ///
    /// # Errors
    /// [`Error::Data`] for an array that is damaged; those of `poll`.
    pub fn new(layout: Layout, words: &[u32], excluded: &[bool], poll: Poll<'_>) -> Result<Model> {
        layout.check(words, poll)?;
        let levels = layout.levels(words)?;
        let discounts: Vec<Discounts> =
            levels.iter().map(|level| Discounts::estimate(level.counts)).collect();
        let base = singles(levels[0].counts, &discounts[0], &layout, excluded);
        let log_base: Vec<f64> = base.iter().map(|p| p.ln()).collect();
        let log_base_short = log_base.iter().map(|&log| log as f32).collect();
        let (mut shares, mut log_pairs) = (Vec::new(), Vec::new());
        if let [first, pairs, ..] = levels.as_slice() {
            for id in 0..layout.width {
                if id % POLL_IDS == 0 {
                    poll()?;
                }
                let range = first.followers(id);
                let (ids, counts) = (&pairs.ids[range.clone()], &pairs.counts[range]);
                let share = discounts[1].share(counts);
                let probability =
                    |(&id, &count)| share.of(discounts[1].left(count), base[id as usize]);
                log_pairs.extend(ids.iter().zip(counts).map(probability).map(f64::ln));
                shares.push(share);
            }
        }
        Ok(Model { layout, discounts, base, log_base, log_base_short, shares, log_pairs })
    }

    /// The sizes of the model.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Logarithms of the probabilities of all ids without context.
    pub fn log_base(&self) -> &[f64] {
        &self.log_base
    }

    /// Writes the row of log-probabilities after a context into `row`, which is as wide as the model.
    ///
    /// # Errors
    /// Those of [`Model::sparse`].
    pub fn row<R: Real>(
        &self,
        words: &[u32],
        context: &[i32],
        scratch: &mut Scratch,
        row: &mut [R],
    ) -> Result<()> {
        let sparse = self.sparse(words, context, scratch)?;
        R::shifted(self, sparse.shift, row);
        for (&id, &log) in sparse.pairs.iter().zip(sparse.log_pairs) {
            row[id as usize] = R::new(log + sparse.pair_shift);
        }
        for (&id, &log) in sparse.ids.iter().zip(sparse.logs) {
            row[id as usize] = R::new(log);
        }
        Ok(())
    }

    /// The row after a context as the row of single ids and exceptions.
    ///
    /// # Errors
    /// [`Error::UnknownToken`] for an id outside the model among the last `order` ids of the context:
    /// before these, it is one that never occurred. [`Error::Data`] for another array than the model
    /// was made of, and where something follows the context that does not follow a shorter end of it.
    pub fn sparse<'a>(
        &'a self,
        words: &'a [u32],
        context: &[i32],
        scratch: &'a mut Scratch,
    ) -> Result<Sparse<'a>> {
        let levels = self.layout.levels(words)?;
        let Scratch { context: history, logs } = scratch;
        self.history(context, history)?;
        let (pairs, deeper) = find_all(&levels, history);
        let mut sparse =
            Sparse { shift: 0.0, pairs: &[], log_pairs: &[], pair_shift: 0.0, ids: &[], logs: &[] };
        let (Some(pairs), Some(&last)) = (pairs, history.last()) else { return Ok(sparse) };
        let share = self.shares[last as usize];
        sparse.pairs = &levels[1].ids[pairs.clone()];
        sparse.log_pairs = &self.log_pairs[pairs.clone()];
        logs.clear();
        if let Some(found) = deeper.first() {
            sparse.ids = &levels[2].ids[found.clone()];
            let counts = &levels[1].counts[pairs];
            for_each_in(sparse.ids, sparse.pairs, |_, at| {
                let base = self.base[sparse.pairs[at] as usize];
                logs.push(share.of(self.discounts[1].left(counts[at]), base));
            })?;
        }
        for (found, (level, discounts)) in
            deeper.into_iter().zip(levels[2..].iter().zip(&self.discounts[2..]))
        {
            let counts = &level.counts[found.clone()];
            let share = discounts.share(counts);
            sparse.pair_shift += share.given.ln();
            logs.iter_mut().for_each(|p| *p *= share.given);
            for_each_in(&level.ids[found], sparse.ids, |of, at| {
                logs[at] += discounts.left(counts[of]) / share.total;
            })?;
        }
        if let Some((length, found)) = self.longest(words, context, self.layout.order()) {
            let total = found.counts.iter().map(|&count| f64::from(count)).sum::<f64>();
            let equal = found.ids.len() as f64 * TRUST / (length + 1 - self.layout.order()) as f64;
            let given = equal / (total + equal);
            sparse.pair_shift += given.ln();
            logs.iter_mut().for_each(|p| *p *= given);
            for_each_in(&found.ids, sparse.ids, |of, at| {
                logs[at] += f64::from(found.counts[of]) / (total + equal);
            })?;
        }
        logs.iter_mut().for_each(|p| *p = p.ln());
        sparse.shift = sparse.pair_shift + share.given.ln();
        sparse.logs = logs;
        Ok(sparse)
    }

    /// The longest end of a context that ever occurred, and what followed it.
    ///
    /// # Errors
    /// [`Error::UnknownToken`] for an id outside the model among the last `order` ids of the context:
    /// before these, it is one that never occurred. [`Error::Data`] for another array than the model
    /// was made of.
    pub fn matches(
        &self,
        words: &[u32],
        context: &[i32],
        scratch: &mut Scratch,
    ) -> Result<Option<(usize, Followers)>> {
        self.layout.levels(words)?;
        self.history(context, &mut scratch.context)?;
        Ok(self.longest(words, context, 1))
    }

    fn longest(&self, words: &[u32], context: &[i32], least: usize) -> Option<(usize, Followers)> {
        let suffixes = self.layout.suffixes(words);
        if suffixes.places.is_empty() {
            return None;
        }
        let found = suffixes.longest(Context::new(context, self.layout.end), least);
        found.filter(|(_, found)| !found.ids.is_empty())
    }

    /// The ids that n-grams may begin with: those after the last end of text, and it before them.
    fn history(&self, context: &[i32], out: &mut Vec<TokenId>) -> Result<()> {
        out.clear();
        let most = self.layout.order() - 1;
        for &id in context.iter().rev() {
            let size = self.layout.width;
            let token = u32::try_from(id).ok().filter(|&id| (id as usize) < size);
            let token = token.ok_or(Error::UnknownToken { id: i64::from(id), size })?;
            if out.len() >= most || token == self.layout.end {
                break;
            }
            out.push(token);
        }
        if out.len() < most {
            out.push(self.layout.end);
        }
        out.reverse();
        Ok(())
    }
}

/// What follows the last id, and what follows the last two, the last three and so on, as ranges of
/// their levels; those that nothing follows are left out.
fn find_all(
    levels: &[Level<'_>],
    history: &[TokenId],
) -> (Option<Range<usize>>, Vec<Range<usize>>) {
    let longest = history.len().min(levels.len() - 1);
    let mut found =
        (1..=longest).map_while(|length| find(levels, &history[history.len() - length..]));
    (found.next(), found.collect())
}

/// Calls `work` with the place of every one of `some` and its place in `all`, which holds them;
/// both ascend.
///
/// # Errors
/// [`Error::Data`] where `all` does not hold one: whatever followed a context also followed every
/// end of it, and that is looked at here, as looking at the whole of an array would cost a search
/// for each of its n-grams.
fn for_each_in(
    some: &[TokenId],
    all: &[TokenId],
    mut work: impl FnMut(usize, usize),
) -> Result<()> {
    let mut at = 0;
    for (of, &id) in some.iter().enumerate() {
        // Steps that double: few when the two lie close, and no more than a search otherwise.
        let mut step = 1;
        while all.get(at + step).is_some_and(|&other| other <= id) {
            at += step;
            step *= 2;
        }
        let end = all.len().min(at + step);
        at += all[at..end].partition_point(|&other| other < id);
        if all.get(at) != Some(&id) {
            return Err(damaged("what follows its n-grams"));
        }
        work(of, at);
    }
    Ok(())
}

/// What follows a context, as a range of the level of its n-grams; `None` if nothing does.
fn find(levels: &[Level<'_>], context: &[TokenId]) -> Option<Range<usize>> {
    let (&first, rest) = context.split_first()?;
    let mut found = levels[0].followers(first as usize);
    for (level, id) in levels[1..].iter().zip(rest) {
        let at = level.ids[found.clone()].binary_search(id).ok()?;
        found = level.followers(found.start + at);
    }
    (!found.is_empty()).then_some(found)
}

/// Probabilities of single ids: discounted counts and an equal share for every outcome.
fn singles(counts: &[u32], discounts: &Discounts, layout: &Layout, excluded: &[bool]) -> Vec<f64> {
    let outcome = |id: usize, count: u32| {
        count > 0 || id == layout.end as usize || !excluded.get(id).copied().unwrap_or(false)
    };
    let seen: Vec<u32> = counts.iter().copied().filter(|&count| count > 0).collect();
    let share = discounts.share(&seen);
    let outcomes = counts.iter().enumerate().filter(|&(id, &count)| outcome(id, count)).count();
    let equal = 1.0 / outcomes as f64;
    let probability = |(id, &count): (usize, &u32)| match (count > 0, outcome(id, count)) {
        (true, _) => share.of(discounts.left(count), equal),
        (false, true) => share.of(0.0, equal),
        (false, false) => 0.0,
    };
    counts.iter().enumerate().map(probability).collect()
}
