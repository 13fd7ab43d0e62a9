//! What may not become a token.
//!
//! A rule looks at the bytes of a pair, never at the text, so a pair that is forbidden once is
//! forbidden for ever, and greedy training with rules is exact: it is greedy training over the pairs
//! that are left. A pair is asked about when it would be next, not earlier.

use serde::{Deserialize, Serialize};

/// A rule that a merge must keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Rule {
    /// A token has at most this many bytes.
    MaxBytes { most: usize },
}

/// Whether all rules allow a token of these parts.
pub(super) fn allow(rules: &[Rule], left: &[u8], right: &[u8]) -> bool {
    rules.iter().all(|rule| rule.allows(left, right))
}

impl Rule {
    fn allows(&self, left: &[u8], right: &[u8]) -> bool {
        match self {
            Rule::MaxBytes { most } => left.len() + right.len() <= *most,
        }
    }
}
