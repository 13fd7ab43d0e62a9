//! Token ids and the limits that tables rely on.

/// A token id. Below [`MAX_IDS`] everywhere inside the crate.
pub type TokenId = u32;

/// At most this many ids: two ids and a rank fit one 64-bit table entry.
pub const MAX_IDS: usize = (1 << 21) - 1;

/// Merges are fewer than this, for the same reason.
pub const MAX_MERGES: usize = (1 << 22) - 1;

/// What a token is; the bits may be combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind(pub u8);

impl Kind {
    /// No token has this id.
    pub const HOLE: Kind = Kind(0);
    /// In the model's vocabulary: a whole piece may be this token.
    pub const MODEL: u8 = 1;
    /// Its text is matched in the input before the model sees it.
    pub const ADDED: u8 = 2;
    /// Matched only where the caller allows it.
    pub const SPECIAL: u8 = 4;
    /// Stands for one byte of a character outside the vocabulary.
    pub const BYTE: u8 = 8;

    /// Whether any of `bits` is set.
    pub fn has(self, bits: u8) -> bool {
        self.0 & bits != 0
    }
}
