//! Rows of log-probabilities.
//!
//! A row is the row of single ids, shifted by what all longer contexts give away, and other values
//! for the ids that ever followed the last id of the context. Contexts that are longer are followed
//! by some of these and by no other.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::ngram::layout::{Layout, Level};
use crate::ngram::smooth::Discounts;
use crate::token::TokenId;

/// What is known of a model beside its array: derived when it is made or mapped, and small.
#[derive(Debug)]
pub struct Model {
    layout: Layout,
    discounts: Vec<Discounts>,
    /// Probability of each id without context.
    base: Vec<f64>,
    log_base: Vec<f64>,
    log_base_short: Vec<f32>,
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

/// A row as the row of single ids and exceptions from it.
#[derive(Debug, Default)]
pub struct Sparse {
    /// What is added to the logarithms of all other ids.
    pub shift: f64,
    /// The exceptions, in ascending order.
    pub ids: Vec<TokenId>,
    /// Their logarithms.
    pub logs: Vec<f64>,
}

/// Room for a query, to be used again.
#[derive(Debug, Default)]
pub struct Scratch {
    context: Vec<TokenId>,
    sparse: Sparse,
}

impl Model {
    /// Checks an array, and derives what queries need.
    ///
    /// Ids that are `excluded` and never occurred are no outcomes.
    ///
    /// # Errors
    /// [`Error::Data`] for an array that is damaged.
    pub fn new(layout: Layout, words: &[u32], excluded: &[bool]) -> Result<Model> {
        layout.check(words)?;
        let levels = layout.levels(words)?;
        let discounts: Vec<Discounts> =
            levels.iter().map(|level| Discounts::estimate(level.counts)).collect();
        let base = singles(levels[0].counts, &discounts[0], &layout, excluded);
        let log_base: Vec<f64> = base.iter().map(|p| p.ln()).collect();
        let log_base_short = log_base.iter().map(|&log| log as f32).collect();
        Ok(Model { layout, discounts, base, log_base, log_base_short })
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
        let mut sparse = std::mem::take(&mut scratch.sparse);
        let done = self.sparse(words, context, scratch, &mut sparse);
        R::shifted(self, sparse.shift, row);
        for (&id, &log) in sparse.ids.iter().zip(&sparse.logs) {
            row[id as usize] = R::new(log);
        }
        scratch.sparse = sparse;
        done
    }

    /// The row after a context as the row of single ids and exceptions.
    ///
    /// # Errors
    /// [`Error::UnknownToken`] for an id of the context that is outside the model, [`Error::Data`]
    /// for another array than the model was made of.
    pub fn sparse(
        &self,
        words: &[u32],
        context: &[i32],
        scratch: &mut Scratch,
        out: &mut Sparse,
    ) -> Result<()> {
        let levels = self.layout.levels(words)?;
        let history = &mut scratch.context;
        self.history(context, history)?;
        out.shift = 0.0;
        out.ids.clear();
        out.logs.clear();
        for length in 1..self.layout.order().min(history.len() + 1) {
            let Some(found) = find(&levels, &history[history.len() - length..]) else { break };
            self.deepen(&levels[length], length, found, out);
        }
        out.logs.iter_mut().for_each(|p| *p = p.ln());
        Ok(())
    }

    /// The ids that a model may look at: those after the last end of text, and it before them.
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

    /// Goes from the probabilities after a context to those after a longer one.
    fn deepen(&self, level: &Level<'_>, length: usize, found: Range<usize>, out: &mut Sparse) {
        let (ids, counts) = (&level.ids[found.clone()], &level.counts[found]);
        let discounts = &self.discounts[length];
        let (total, given) = discounts.share(counts);
        out.shift += given.ln();
        if length == 1 {
            out.ids.extend_from_slice(ids);
            out.logs.extend(ids.iter().map(|&id| self.base[id as usize]));
        }
        out.logs.iter_mut().for_each(|p| *p *= given);
        let mut at = 0;
        for (&id, &count) in ids.iter().zip(counts) {
            at += out.ids[at..].partition_point(|&other| other < id);
            if let Some(p) = out.logs.get_mut(at) {
                *p += discounts.left(count) / total;
            }
        }
    }
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
    let (total, given) = if seen.is_empty() { (1.0, 1.0) } else { discounts.share(&seen) };
    let outcomes = counts.iter().enumerate().filter(|&(id, &count)| outcome(id, count)).count();
    let equal = given / outcomes as f64;
    let probability = |(id, &count): (usize, &u32)| match (count > 0, outcome(id, count)) {
        (true, _) => discounts.left(count) / total + equal,
        (false, true) => equal,
        (false, false) => 0.0,
    };
    counts.iter().enumerate().map(probability).collect()
}
