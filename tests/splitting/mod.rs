//! What the tests of splitters share.

pub mod oracle;
pub mod texts;
