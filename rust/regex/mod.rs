//! Linear-time regular expressions for user patterns.
