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
use crate::train::{Candidate, Pieces, Settings, Step, Trainer};

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

/// Merges, and for each the language whose turn it was; none for the shared ones.
#[derive(Debug, Default)]
pub struct Parity {
    pub steps: Vec<Step>,
    pub turns: Vec<Option<usize>>,
}

/// Trains until there are `vocab_size` tokens or no language has a pair left.
///
/// # Errors
/// As [`Trainer::new`] and [`Trainer::merge`]; no languages.
pub fn train_parity(
    languages: &[Language<'_>],
    vocab_size: usize,
    settings: &Settings,
    turns: Turns,
    poll: Poll<'_>,
) -> Result<Parity> {
    let mut trainers = Vec::new();
    for language in languages {
        trainers.push(Trainer::new(language.text, settings, poll)?);
    }
    let mut all = match turns.shared {
        0 => None,
        _ => Some(together(languages, settings, poll)?),
    };
    let mut need = Need::new(languages, &settings.order)?;
    let mut window = Window::new(turns, languages.len());
    let mut made = Parity::default();
    while trainers.first().is_some_and(|trainer| trainer.tokens().len() < vocab_size) {
        if made.steps.len() == turns.shared {
            all = None;
        }
        let (turn, best) = match &mut all {
            Some(trainer) => (None, trainer.best()),
            None => next(&mut trainers, &need, &window),
        };
        let Some(best) = best else {
            if all.take().is_some() {
                continue;
            }
            break;
        };
        let mut step = None;
        for trainer in trainers.iter_mut().chain(&mut all) {
            step = Some(trainer.merge(best.left, best.right, poll)?);
        }
        let Some(step) = step else { break };
        need.join(step);
        turn.into_iter().for_each(|language| window.push(language));
        made.steps.push(Step { count: best.count, ..step });
        made.turns.push(turn);
        poll()?;
    }
    Ok(made)
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
