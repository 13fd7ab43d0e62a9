//! What the engine refuses, where, and with which words.

use super::*;
use crate::Error;

/// The byte offset and the reason of the refusal.
fn refusal(pattern: &str) -> (usize, String) {
    match Regex::new(pattern) {
        Err(Error::Pattern { offset, reason, .. }) => (offset, reason),
        other => panic!("{pattern:?} gave {other:?}"),
    }
}

#[test]
fn unsupported_constructs_are_named_with_their_place() {
    for (pattern, offset, word) in [
        (r"(a)\1", 3, "backreference"),
        (r"(?<n>a)\k<n>", 7, "backreference"),
        (r"(?P<n>a)(?P=n)", 8, "backreference"),
        (r"a\Gb", 1, "\\G"),
        (r"a\Kb", 1, "\\K"),
        (r"\X", 0, "\\X"),
        (r"\R", 0, "\\R"),
        (r"a(?R)", 1, "recursion"),
        (r"a\g<1>", 1, "subroutine"),
        ("x(?=ab)", 1, "look-ahead"),
        ("x(?!a.)", 1, "look-ahead"),
        ("(?<=ab)x", 0, "look-behind"),
        (r"(?=(\d{3})+(?!\d))", 0, "look-ahead"),
        (r"a(?=(?=bc)d)", 1, "look-ahead"),
        ("(?(1)a|b)", 0, "conditional"),
        ("(?~ab)", 0, "absence"),
        ("(*FAIL)", 0, "verb"),
        ("(?>a|ab)c", 0, "atomic"),
        ("(?:ab|a)++b", 0, "possessive"),
    ] {
        let (at, reason) = refusal(pattern);
        assert!(reason.contains(word) && reason.contains("linear"), "{pattern:?}: {reason}");
        assert_eq!(at, offset, "{pattern:?}: {reason}");
    }
}

#[test]
fn malformed_patterns_say_what_is_wrong_and_where() {
    for (pattern, offset, word) in [
        ("ab(c", 2, "unclosed group"),
        ("ab)c", 2, "unopened"),
        ("ab[c", 2, "unclosed set"),
        ("*a", 0, "nothing to repeat"),
        ("a|+", 2, "nothing to repeat"),
        ("é*?+", 2, "quantifier on a quantifier"),
        ("a{3,2}", 1, "maximum"),
        ("a{99999999999}", 1, "too large"),
        ("a{1,1000000}", 0, "too large"),
        ("(?:a{1000}){1000}", 0, "too large"),
        ("(?:(?:a|){1000000}){1000000}", 0, "too large"),
        (r"a\", 1, "backslash"),
        (r"a\y", 1, "unknown escape"),
        (r"\p{Nonsense}", 0, "Unicode property"),
        (r"\p{L", 0, "unclosed"),
        ("[z-a]", 1, "range"),
        (r"[a-\d]", 1, "range"),
        ("[[:alpha:]]", 1, "[:alpha:]"),
        ("[a--b]", 2, "differ between libraries"),
        (r"\xE9", 0, "differs between libraries"),
        (r"\Z", 0, "differs between libraries"),
        (r"\x{110000}", 0, "hexadecimal"),
        (r"\u00", 0, "hexadecimal"),
        ("a(?i)b", 1, "flags may stand"),
        ("(?z)", 0, "unknown group"),
        ("(?<>a)", 0, "group name"),
        (r"\b+", 2, "without width"),
        ("(?=a)*", 5, "without width"),
        ("(?#", 0, "comment"),
    ] {
        let (at, reason) = refusal(pattern);
        assert!(reason.contains(word), "{pattern:?}: {reason}");
        assert_eq!(at, offset, "{pattern:?}: {reason}");
    }
}

#[test]
fn loops_that_libraries_run_differently_are_found() {
    for (pattern, place) in [
        (r"(?:a{0,2}|b\D+)*+", Some(0)),
        ("x(?:a?|b)*c?", Some(1)),
        ("(?:a|(?:|b)+)*", Some(5)),
        (r"(?:d|\b){2}", Some(0)),
        ("(?:c|b?+){2}b", Some(0)),
        ("(?:a??)*", Some(0)),
        ("(?:a|b?)*", None),
        (r"(?:d|\b)*", None),
        (r"(?:d||\b)+", None),
        ("(?:a?){2,}", None),
        ("(?:|a)?", None),
        ("(?:(?:a*b?)+|c*)*", Some(0)),
        (r"\p{L}+|\s+(?!\S)|\s+", None),
    ] {
        assert_eq!(Regex::odd_loop(pattern), Ok(place), "{pattern:?}");
    }
}

#[test]
fn deep_nesting_is_an_error_not_an_overflow() {
    for (open, close) in [("(", ")"), ("(?:", ")"), ("[", "]"), ("(?=", ")"), ("(?>", ")")] {
        let pattern = format!("{}a{}", open.repeat(10_000), close.repeat(10_000));
        assert!(refusal(&pattern).1.contains("nested more than 64 deep"));
        assert!(refusal(&open.repeat(10_000)).1.contains("nested more than 64 deep"));
    }
    assert!(Regex::new(&format!("{}a{}", "(".repeat(64), ")".repeat(64))).is_ok());
    assert!(refusal(&"a".repeat(100_000)).1.contains("longer"));
    assert!(refusal(&"a?".repeat(20_000)).1.contains("too large"));
    let many: String = ('一'..).take(2000).collect();
    assert!(refusal(&many).1.contains("kinds"));
}

#[test]
fn random_bytes_of_pattern_syntax_never_panic() {
    let mut random = Random::new(17);
    let parts = [
        "(", ")", "[", "]", "{", "}", "?", "*", "+", "|", "\\", "^", "$", "-", "&&", "a", "é", "1",
        ",", ":", "=", "!", "<", ">", "p", "L", "x", "u", "i", "(?", " ", "#", "\\p{", "{1,", "\n",
    ];
    let mut accepted = 0;
    for _ in 0..30_000 {
        let pattern: String = (0..random.below(12)).map(|_| *random.pick(&parts)).collect();
        if let Ok(regex) = Regex::new(&pattern) {
            ours(&regex, "aé1 (a)");
            accepted += 1;
        }
    }
    assert!(accepted > 1000, "only {accepted} patterns were accepted");
}
