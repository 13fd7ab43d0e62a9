//! Rows that nodes waited for, and the weights that they give to those behind.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::Tree;
use super::alike::Alike;
use crate::bytelm::Semantics;
use crate::bytelm::real::Given;
use crate::bytelm::row::{Row, Wanted};
use crate::error::Poll;
use crate::{Error, Result};

/// Bytes of rows that are held at a time.
const MOST_BYTES: usize = 4 << 30;

/// With more nodes than this, rows hold no more than they must.
const FEW_NODES: usize = 1 << 12;

/// A row, and the logarithms of the probabilities of its node's ranges.
type Read = (Row, Vec<f64>);

impl Tree {
    /// Takes rows of logits or of logarithms of probabilities for nodes that [`Tree::pending`]
    /// named, all of them or, where there is an error, none; a row is read where it lies.
    ///
    /// # Errors
    /// [`Error::Argument`] when rows are too narrow or do not belong to nodes, or too many sequences
    /// cover the text, [`Error::Data`] when a row has values that are no probabilities; what `poll`
    /// says.
    pub fn feed<T: Given>(&mut self, nodes: &[usize], rows: &[&[T]], poll: Poll<'_>) -> Result<()> {
        self.refuse_rows(nodes, rows)?;
        let mut read = Vec::with_capacity(nodes.len());
        for (&at, row) in nodes.iter().zip(rows) {
            poll()?;
            let (mut row, masses) = self.read_row(at, row)?;
            if self.nodes.len() > FEW_NODES {
                row.drop_first();
            }
            read.push((row, masses));
        }
        let is_all = self.vocab.semantics == Semantics::All;
        if is_all {
            self.refuse_more(nodes.iter().map(|&at| self.children(at)).sum())?;
        }
        // From here on nothing fails.
        for (&at, (row, masses)) in nodes.iter().zip(read) {
            let node = &mut self.nodes[at];
            let lead = masses.get(self.lead);
            if let (0, false, Some(&lead)) = (node.at, self.given, lead) {
                self.base = lead;
            }
            (node.row, node.masses) = (Some(Arc::new(row)), masses);
        }
        self.weigh();
        if is_all {
            let first = nodes.iter().map(|&at| self.nodes[at].at).min().unwrap_or(self.len);
            let mut alike = Alike::behind(first, self.reach, &self.nodes);
            for &at in nodes {
                for depth in self.depths(at) {
                    self.branch(at, depth, &mut alike);
                }
            }
            self.live = (0..self.nodes.len()).filter(|&at| self.nodes[at].lives()).collect();
        }
        Ok(())
    }

    /// The places behind a node at which its tokens may end, as far as the text is kept.
    fn depths(&self, at: usize) -> RangeInclusive<usize> {
        self.nodes[at].from.max(1)..=self.nodes[at].depth()
    }

    /// How many nodes may begin behind one.
    fn children(&self, at: usize) -> usize {
        self.depths(at).map(|depth| self.exact(at, depth).len()).sum()
    }

    fn refuse_rows<T: Given>(&self, nodes: &[usize], rows: &[&[T]]) -> Result<()> {
        let least = self.vocab.width();
        if let Some(narrow) = rows.iter().find(|row| row.len() < least) {
            return Err(Error::Argument(format!(
                "the model's rows have {} columns: the vocabulary needs at least {least}",
                narrow.len()
            )));
        }
        if rows.len() != nodes.len() {
            let (rows, nodes) = (rows.len(), nodes.len());
            return Err(Error::Argument(format!(
                "{rows} rows are not one for each of {nodes} nodes"
            )));
        }
        let held = self.nodes.iter().filter_map(|node| node.row.as_ref());
        let held: usize = held.map(|row| row.bytes()).sum();
        if held > MOST_BYTES {
            return Err(Error::Argument(format!(
                "the rows of the sequences that cover the text at byte {} take {held} bytes: pass \
                 epsilon, or other semantics than 'all'",
                self.len()
            )));
        }
        let mut waits: Vec<bool> = self.nodes.iter().map(|node| node.row.is_none()).collect();
        for &at in nodes {
            match waits.get_mut(at) {
                Some(waits) if *waits => *waits = false,
                _ => return Err(Error::Argument(format!("node {at} waits for no row"))),
            }
        }
        Ok(())
    }

    fn read_row<T: Given>(&mut self, at: usize, row: &[T]) -> Result<Read> {
        let vocab = Arc::clone(&self.vocab);
        let (sorted, semantics) = (&vocab.sorted, vocab.semantics);
        let mut ends = true;
        if let Some(mut viability) = vocab.viability() {
            if let Some(spot) = self.nodes[at].spot(&vocab, &mut viability)? {
                ends = viability.ends(spot)?;
            }
            if semantics != Semantics::Fast {
                self.nodes[at].look(&vocab, &mut viability)?;
            }
        }
        let node = &self.nodes[at];
        let mask = node.mask.as_deref().filter(|_| semantics != Semantics::Fast);
        let wanted = Wanted {
            range: node.ranges[usize::from(node.from == 0 && node.depth() > 0)].clone(),
            mask,
            local: semantics == Semantics::Local,
            ends,
        };
        let row = Row::new(sorted, &vocab.columns, row, &wanted, &vocab.spare)?;
        let masses = node.ranges.iter().enumerate().map(|(index, range)| {
            if node.from + index == 0 { 0.0 } else { row.mass(sorted, range, mask) }
        });
        let masses = masses.collect();
        Ok((row, masses))
    }

    /// Gives weights to nodes whose sequences are known by now.
    fn weigh(&mut self) {
        let sorted = &self.vocab.sorted;
        for at in 0..self.nodes.len() {
            let Some(parent) = self.nodes[at].parent else { continue };
            let (row, weight) = (&self.nodes[parent].row, self.nodes[parent].weight);
            if weight == Some(f64::NEG_INFINITY) {
                // Its row, if it got one, is of no tokens.
                self.nodes[at].parent = None;
                self.nodes[at].vanish();
                continue;
            }
            let Some(row) = row else { continue };
            // Before the row is narrowed: it holds the tokens of all children now.
            let step =
                self.nodes[at].step.unwrap_or_else(|| row.token(sorted, self.nodes[at].token));
            self.nodes[at].step = Some(step);
            if let Some(weight) = weight.map(|weight| weight + step) {
                self.nodes[at].parent = None;
                self.nodes[at].weight = Some(weight);
                if weight == f64::NEG_INFINITY {
                    self.nodes[at].vanish();
                }
            }
        }
    }
}
