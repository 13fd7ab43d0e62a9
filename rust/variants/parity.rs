//! Parity-aware BPE: each merge is the best one of the language that is worst off.
//!
//! A language has text to count pairs in and a development text; development texts say the same in
//! every language, so the one that takes the most tokens is the worst off. Its most frequent pair
//! becomes a token for all (Foroutan et al. 2025, arXiv 2508.04796). A language that was helped too
//! often among the last merges waits (the moving window); the first merges may go by the text of
//! all languages together (the hybrid variant). A language without a pair that may be merged is
//! passed over, so the training goes on with the next.
//!
//! There is one trainer a language; each merge is made in all of them and in the development texts.

use std::collections::VecDeque;

use super::chains::Chains;
use crate::error::{Error, Poll, Result};
use crate::token::TokenId;
use crate::train::{Candidate, Pieces, Settings, Step, Tokens, Trainer};

/// The texts of one language.
#[derive(Debug, Clone, Copy)]
pub struct Language<'a> {
    pub text: Pieces<'a>,
    pub development: Pieces<'a>,
    /// Tokens of the development text are divided by this before languages are compared.
    pub expected: f64,
}

/// The rule by which languages take turns.
#[derive(Debug, Clone, Copy)]
pub struct Turns {
    /// This many merges look at all languages together first.
    pub shared: usize,
    /// How many of the last turns are looked at; 0 for none.
    pub window: usize,
    /// A language waits while its share of these turns is above this over the number of languages.
    pub share: f64,
}

/// A parity-aware training that can be stepped. An error leaves it unfit for more.
#[derive(Debug)]
pub struct Parity {
    trainers: Vec<Trainer>,
    /// The text of all languages, while the shared merges are made.
    all: Option<Trainer>,
    shared: usize,
    need: Need,
    window: Window,
    steps: Vec<Step>,
    turns: Vec<Option<usize>>,
}

impl Parity {
    /// Lays out the texts.
    ///
    /// # Errors
    /// As [`Trainer::new`]; no languages; offsets of development texts that do not fit.
    pub fn new(
        languages: &[Language<'_>],
        settings: &Settings,
        turns: Turns,
        poll: Poll<'_>,
    ) -> Result<Parity> {
        if languages.is_empty() {
            return Err(Error::Argument("no languages".into()));
        }
        let mut trainers = Vec::new();
        for language in languages {
            trainers.push(Trainer::new(language.text, settings, poll)?);
        }
        let all = match turns.shared {
            0 => None,
            _ => Some(together(languages, settings, poll)?),
        };
        Ok(Parity {
            trainers,
            all,
            shared: turns.shared,
            need: Need::new(languages, &settings.order)?,
            window: Window::new(turns, languages.len()),
            steps: Vec::new(),
            turns: Vec::new(),
        })
    }

    /// Makes the next merge; false if no language has a pair left.
    ///
    /// # Errors
    /// As [`Trainer::merge`].
    pub fn advance(&mut self, poll: Poll<'_>) -> Result<bool> {
        if self.steps.len() == self.shared {
            self.all = None;
        }
        let best = self.all.as_mut().and_then(Trainer::best);
        let (turn, best) = match best {
            Some(best) => (None, Some(best)),
            None => {
                self.all = None;
                next(&mut self.trainers, &self.need, &self.window)
            }
        };
        let Some(best) = best else { return Ok(false) };
        self.merge(best, turn, poll)?;
        Ok(true)
    }

    /// Makes a merge that [`Parity::advance`] is known to make next, by the language whose turn it
    /// was.
    ///
    /// # Errors
    /// As [`Trainer::merge`]; a turn of no language.
    pub fn replay(
        &mut self,
        left: TokenId,
        right: TokenId,
        turn: Option<usize>,
        poll: Poll<'_>,
    ) -> Result<()> {
        if turn.is_some() {
            self.all = None;
        }
        let trainer = match turn {
            Some(language) => self.trainers.get(language),
            None => self.all.as_ref(),
        };
        let trainer = trainer.ok_or_else(|| Error::Argument("a turn of no language".into()))?;
        let count = trainer.count(left, right);
        self.merge(Candidate { left, right, count }, turn, poll)
    }

    fn merge(&mut self, best: Candidate, turn: Option<usize>, poll: Poll<'_>) -> Result<()> {
        let mut product = None;
        for trainer in self.trainers.iter_mut().chain(&mut self.all) {
            product = Some(trainer.merge(best.left, best.right, poll)?.product);
        }
        let product = product.expect("there is a language");
        let step = Step { left: best.left, right: best.right, product, count: best.count };
        self.need.join(step);
        turn.into_iter().for_each(|language| self.window.push(language));
        self.steps.push(step);
        self.turns.push(turn);
        Ok(())
    }

    /// The merges so far.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// For each merge the language whose turn it was; none for the shared ones.
    pub fn turns(&self) -> &[Option<usize>] {
        &self.turns
    }

    /// The tokens so far, the bytes first.
    pub fn tokens(&self) -> &Tokens {
        self.trainers[0].tokens()
    }

    /// How many tokens the texts have now, each piece as often as it occurs.
    pub fn length(&self) -> u64 {
        self.trainers.iter().map(Trainer::length).fold(0, u64::saturating_add)
    }
}

/// The language whose turn it is and its best pair: of those that have one, the worst off; those
/// that the window keeps waiting come last.
fn next(
    trainers: &mut [Trainer],
    need: &Need,
    window: &Window,
) -> (Option<usize>, Option<Candidate>) {
    let mut order: Vec<usize> = (0..trainers.len()).collect();
    order.sort_by(|&a, &b| {
        let waits = window.waits(a).cmp(&window.waits(b));
        waits.then(need.tokens(b).total_cmp(&need.tokens(a))).then(a.cmp(&b))
    });
    let found = order.into_iter().find_map(|at| Some((at, trainers[at].best()?)));
    found.map_or((None, None), |(at, best)| (Some(at), Some(best)))
}

/// One trainer over the text of all languages.
fn together(languages: &[Language<'_>], settings: &Settings, poll: Poll<'_>) -> Result<Trainer> {
    let (mut arena, mut offsets, mut counts) = (Vec::new(), vec![0], Vec::new());
    for Language { text, .. } in languages {
        let base = arena.len() as u64;
        arena.extend_from_slice(text.arena);
        offsets.extend(text.offsets.iter().skip(1).map(|end| base + end));
        counts.extend_from_slice(text.counts);
    }
    let pieces = Pieces { arena: &arena, offsets: &offsets, counts: &counts };
    Trainer::new(pieces, settings, poll)
}

/// How many tokens the development text of each language takes.
#[derive(Debug)]
struct Need {
    chains: Chains,
    language: Vec<usize>,
    lengths: Vec<u64>,
    expected: Vec<f64>,
}

impl Need {
    fn new(languages: &[Language<'_>], order: &[u8; 256]) -> Result<Need> {
        let mut ids = [0; 256];
        (0..).zip(order).for_each(|(id, &byte)| ids[byte as usize] = id);
        let (mut values, mut ends, mut counts) = (Vec::<TokenId>::new(), vec![0], Vec::new());
        let (mut language, mut lengths) = (Vec::new(), vec![0; languages.len()]);
        for (at, Language { development, .. }) in languages.iter().enumerate() {
            let base = values.len();
            values.extend(development.arena.iter().map(|&byte| ids[byte as usize]));
            for (span, &count) in development.offsets.windows(2).zip(development.counts) {
                ends.push(base + span[1] as usize);
                counts.push(count);
                language.push(at);
                lengths[at] += span[1].saturating_sub(span[0]) * count;
            }
        }
        if ends.last() != Some(&values.len()) || !ends.is_sorted() {
            return Err(Error::Argument("offsets of development texts do not fit".into()));
        }
        let chains = Chains::new(&values, &ends, &counts)?;
        let expected = languages.iter().map(|language| language.expected).collect();
        Ok(Need { chains, language, lengths, expected })
    }

    fn join(&mut self, step: Step) {
        let weights = self.chains.weights();
        let Need { chains, language, lengths, .. } = self;
        let pair = (step.left, step.right);
        chains.join(
            pair,
            step.product,
            |_, _, _| {},
            |_, row| lengths[language[row as usize]] -= weights[row as usize],
        );
    }

    fn tokens(&self, language: usize) -> f64 {
        self.lengths[language] as f64 / self.expected[language]
    }
}

/// The last turns.
#[derive(Debug)]
struct Window {
    size: usize,
    most: f64,
    last: VecDeque<usize>,
    counts: Vec<usize>,
}

impl Window {
    fn new(turns: Turns, languages: usize) -> Window {
        // The text of all languages together counts as one more, where there is such a stage.
        let columns = languages + usize::from(turns.shared > 0);
        let most = turns.share * turns.window as f64 / columns.max(1) as f64;
        Window { size: turns.window, most, last: VecDeque::new(), counts: vec![0; languages] }
    }

    fn push(&mut self, language: usize) {
        self.last.push_back(language);
        self.counts[language] += 1;
        if self.last.len() > self.size
            && let Some(first) = self.last.pop_front()
        {
            self.counts[first] -= 1;
        }
    }

    fn waits(&self, language: usize) -> bool {
        self.size > 0 && self.counts[language] as f64 > self.most
    }
}
