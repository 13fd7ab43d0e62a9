//! Spaces that the tokenizer puts before text, at its start or behind an added token.

use crate::tokenizer::Opening;

/// How a text that the pre-tokenizer gets begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Begin {
    /// It has begun, or nothing is known of it.
    Anyhow,
    /// With a space.
    WithSpace,
    /// With a space, which is not all of it.
    WithSpaceAndMore,
    /// It has begun with that space; more has to follow.
    WithMore,
}

impl Begin {
    /// How it begins where the tokenizer puts this before it.
    pub fn of(opening: Opening) -> Begin {
        match opening {
            Opening::Nothing => Begin::Anyhow,
            Opening::Space => Begin::WithSpace,
            Opening::Another => Begin::WithSpaceAndMore,
        }
    }

    /// The same once it has begun with these bytes.
    pub fn after(self, bytes: &[u8]) -> Begin {
        match (self, bytes) {
            (Begin::WithSpaceAndMore, b" ") => Begin::WithMore,
            _ => Begin::Anyhow,
        }
    }
}
