//! A text that arrives in parts, where only the whole text will do.

/// The parts so far of a text.
#[derive(Debug, Default)]
pub(super) struct Arriving(Vec<u8>);

impl Arriving {
    /// Adds a part; with the last one, the whole text is there, and the next one may begin.
    pub(super) fn add(&mut self, part: &[u8], last: bool) -> Option<Vec<u8>> {
        self.0.extend_from_slice(part);
        last.then(|| std::mem::take(&mut self.0))
    }
}
