//! What may follow a text: the shares of all nodes, byte by byte.

use super::{Goal, Tree, share_of};
use crate::bytelm::masses::{END, OUTCOMES, Totals, log_sum};
use crate::{Error, Result};

/// The outcomes that may follow a text.
#[derive(Debug, Clone)]
pub struct Distribution {
    /// Natural logarithms of probabilities that add up to 1; the last is that of the end.
    pub logprobs: [f64; OUTCOMES],
    /// What the semantics discards here, as a share of the probability of the text.
    pub lost: f64,
    /// The natural logarithm of the share that is left: of a small one, `1 - lost` says too little.
    pub kept: f64,
    /// At most the total-variation distance from what no pruning would give.
    pub bound: f64,
}

impl Tree {
    /// What may follow.
    ///
    /// # Errors
    /// [`Error::Argument`] while rows are pending, [`Error::Data`] when nothing can follow.
    pub fn outcomes(&mut self) -> Result<Distribution> {
        self.refuse_pending(Goal::Next)?;
        let logprob = self.conclude();
        if logprob == f64::NEG_INFINITY {
            return Err(Error::Data(format!(
                "nothing can follow the first {} bytes: their probability is 0",
                self.len()
            )));
        }
        // All of it waits for memory, and better together than one node after the other.
        self.live.iter().for_each(|&at| self.nodes[at].fetch(&self.vocab));
        let known = self.nodes.iter().filter(|node| node.row.is_some());
        let heaviest = known.filter_map(|node| node.weight).fold(f64::NEG_INFINITY, f64::max);
        let mut totals = Totals::new(heaviest);
        for node in &mut self.nodes {
            let (Some(weight), true) = (node.weight, node.lives()) else { continue };
            let Some(row) = &node.row else { continue };
            let ends = node.at == self.len;
            if ends {
                totals.add_log(END, weight + row.end());
            }
            match row.first().filter(|_| ends) {
                Some(first) => totals.add(0..END, first, weight),
                None => {
                    let (bytes, masses) = node.ahead(&self.vocab);
                    totals.add(bytes.iter().map(|&byte| usize::from(byte)), masses, weight);
                }
            }
        }
        let (mut logprobs, total) = totals.logs();
        let waiting = self.waiting(Goal::Next).into_iter();
        let left = log_sum(waiting.filter(|node| node.2 > self.len).map(|node| node.1));
        let bound = share_of(left, total);
        if total == f64::NEG_INFINITY {
            // Whatever the model expects here, the semantics discards.
            return Ok(Distribution { logprobs, lost: 1.0, kept: total, bound });
        }
        logprobs.iter_mut().for_each(|logprob| *logprob -= total);
        let kept = (total - logprob).min(0.0);
        // Not the negation, whose zero has a sign.
        Ok(Distribution { logprobs, lost: 0.0 - kept.exp_m1(), kept, bound })
    }
}
