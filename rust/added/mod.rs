//! Added tokens: matching them in text.
