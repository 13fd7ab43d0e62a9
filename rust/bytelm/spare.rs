//! The memory of rows that are gone, for those to come.
//!
//! A row is as long as the vocabulary and mostly gone one byte later. New memory of that size has
//! to be mapped and cleared, and is in no cache; the last row's is there and warm.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// Pieces of memory that are kept at most.
const KEPT: usize = 4;

/// Memory for rows.
#[derive(Debug, Default)]
pub struct Spare(Mutex<Vec<Vec<f32>>>);

/// Values whose memory goes back to its owner, if it has one, when they are dropped.
#[derive(Debug)]
pub struct Lent {
    values: Vec<f32>,
    owner: Option<Arc<Spare>>,
}

impl Spare {
    /// An empty list, with memory if there is any.
    pub fn lend(self: &Arc<Spare>) -> Lent {
        let values = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Lent { values: values.unwrap_or_default(), owner: Some(Arc::clone(self)) }
    }
}

impl From<Vec<f32>> for Lent {
    fn from(values: Vec<f32>) -> Lent {
        Lent { values, owner: None }
    }
}

impl Deref for Lent {
    type Target = Vec<f32>;

    fn deref(&self) -> &Vec<f32> {
        &self.values
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Vec<f32> {
        &mut self.values
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(owner) = &self.owner else { return };
        let mut kept = owner.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(std::mem::take(&mut self.values));
        }
    }
}
