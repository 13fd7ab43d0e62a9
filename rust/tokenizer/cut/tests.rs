//! A cut text has the ids of the whole one, whatever the normalizer, pattern and added tokens.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::Definition;
use super::super::special::Allowed;
use super::*;
use crate::merges::Merge;
use crate::pretokenize::named;
use crate::token::{Kind, TokenId};

/// Bytes, and words that hold some of the borders that texts have.
fn tokenizer(settings: &Value) -> Tokenizer {
    let mut tokens: Vec<Vec<u8>> = (0..=255u8).map(|byte| vec![byte]).collect();
    let mut merges = Vec::new();
    for word in [" the", "ab", "日本", "、日", "12", "  ", "\n\n", "e\u{301}", "é", "한", "_a"]
    {
        let mut left = u32::from(word.as_bytes()[0]);
        for at in 1..word.len() {
            let joined = &word.as_bytes()[..=at];
            let known = tokens.iter().position(|token| token == joined);
            let product = known.unwrap_or(tokens.len()) as u32;
            if known.is_none() {
                tokens.push(joined.to_vec());
            }
            merges.push(Merge { left, right: u32::from(word.as_bytes()[at]), product });
            left = product;
        }
    }
    let mut header = json!({
        "version": 1, "unit": "byte", "byte_units": (0..256).collect::<Vec<i64>>(),
    });
    for (key, value) in settings.as_object().expect("settings are an object") {
        header[key] = value.clone();
    }
    let mut offsets = vec![0];
    tokens.iter().for_each(|token| offsets.push(offsets[offsets.len() - 1] + token.len() as u32));
    let kinds = vec![Kind::MODEL; tokens.len()];
    let arena = tokens.concat();
    Tokenizer::new(Definition { header: header.to_string(), arena, offsets, kinds, merges })
        .expect("a sound definition")
}

fn added(id: u32, content: &str, rules: &[&str]) -> Value {
    let has = |rule: &str| rules.contains(&rule);
    json!({
        "id": id, "content": content, "single_word": has("single_word"), "lstrip": has("lstrip"),
        "rstrip": has("rstrip"), "normalized": has("normalized"), "special": false,
    })
}

/// What may happen to a text, and whether such a tokenizer ever finds a place to cut.
fn settings() -> Vec<(Value, bool)> {
    let named = |name: &str| json!(named::pattern(name).expect("a published pattern"));
    let step = |name: &str| json!({"type": name});
    let replace = |string: &str, content: &str| json!({"type": "replace", "string": string, "content": content});
    let split = |regex: &str, behavior: &str| json!([{"type": "split", "regex": regex, "behavior": behavior}]);
    let prefix = |scope: &str| json!({"type": "prefix", "content": "_", "unless": "content", "scope": scope});
    let words = r"\p{L}+|\p{N}{1,3}|\s+(?!\S)|\s+|[^\s\p{L}\p{N}]+";
    let tokens = [
        added(1, "<end>", &[]),
        added(2, "12", &["single_word"]),
        added(3, "日", &["rstrip", "lstrip"]),
        added(4, "ﬁ", &["normalized"]),
    ];
    vec![
        (json!({"pretokenizer": named("cl100k")}), true),
        (json!({"pretokenizer": named("falcon")}), true),
        (json!({"pretokenizer": named("qwen2"), "normalizer": [step("nfc")]}), true),
        (json!({"pretokenizer": named("gpt2"), "normalizer": [step("nfkd")]}), true),
        (json!({"pretokenizer": named("o200k"), "normalizer": [step("nfkc"), step("nfc")]}), false),
        (
            json!({
                "pretokenizer": named("deepseek-v3"),
                "normalizer": [step("strip_accents"), step("nmt"), step("nfd"), step("lowercase")],
            }),
            true,
        ),
        (json!({"normalizer": [prefix("first"), replace(" ", "_")]}), true),
        (json!({"normalizer": [replace(" ", "_"), replace("ab", "日"), step("nfkc")]}), true),
        (
            json!({
                "normalizer": [prefix("every")], "pretokenizer": named("starcoder"), "added": tokens,
            }),
            true,
        ),
        (
            json!({"pretokenizer": named("cl100k"), "normalizer": [step("nfkc")], "added": tokens}),
            true,
        ),
        (json!({"normalizer": [replace(" ", "_")], "added": tokens}), true),
        (json!({"pretokenizer": split(words, "isolated")}), true),
        (json!({"pretokenizer": split(words, "isolated"), "normalizer": [step("nfc")]}), true),
        (json!({"pretokenizer": split(r"\s", "removed")}), true),
        (json!({"pretokenizer": split(r"a*b|a", "isolated")}), true),
        (json!({"pretokenizer": split(r"\w+(?=\s)|\w+?\b|(?s:.)", "isolated")}), false),
        (json!({"pretokenizer": split(r"\d+", "merged_with_next")}), false),
        (json!({"normalizer": [json!({"type": "strip", "left": true, "right": true})]}), false),
        (json!({"ignore_merges": true}), false),
    ]
}

fn texts() -> impl Strategy<Value = Vec<u8>> {
    let parts: Vec<&[u8]> = vec![
        b"a",
        b"b",
        b"ab",
        b" ",
        b" ",
        b"  ",
        b"\n",
        b"the",
        b" the",
        b"1",
        b"12",
        b"345",
        b"'",
        b"'ll",
        b".",
        b"<end>",
        b"<end",
        b"\xFF",
        b"\xE6\x97",
        b"_",
        b"A",
        "é".as_bytes(),
        "e\u{301}".as_bytes(),
        "\u{323}".as_bytes(),
        "\u{301}".as_bytes(),
        "日".as_bytes(),
        "日本".as_bytes(),
        "、".as_bytes(),
        "，".as_bytes(),
        "ﬁ".as_bytes(),
        "２".as_bytes(),
        "²".as_bytes(),
        "한".as_bytes(),
        "\u{1112}\u{1161}".as_bytes(),
        "\u{11ab}".as_bytes(),
        "😀".as_bytes(),
        "\u{A0}".as_bytes(),
        "\u{200b}".as_bytes(),
        "Я".as_bytes(),
        "я".as_bytes(),
    ];
    prop::collection::vec(prop::sample::select(parts), 60..220).prop_map(|parts| parts.concat())
}

fn at_once(tokenizer: &Tokenizer, stretch: Stretch<'_>) -> Vec<TokenId> {
    let matchers = tokenizer.matchers(&Allowed::None).expect("no special tokens are asked for");
    let mut ids = Vec::new();
    let go_on = &mut || Ok(());
    tokenizer
        .with_scratch(|scratch| {
            tokenizer.encode_at_once(stretch, &matchers, scratch, &mut ids, go_on)
        })
        .expect("any text is encoded");
    ids
}

#[test]
fn a_cut_text_has_the_ids_of_the_whole() {
    for (settings, ever_cut) in settings() {
        let tokenizer = tokenizer(&settings);
        let matchers = tokenizer.matchers(&Allowed::None).expect("no special tokens");
        let mut runner = prop::test_runner::TestRunner::new(ProptestConfig::with_cases(1000));
        let cuts = std::cell::Cell::new(0);
        // Where a cut is rare, one round may see none.
        for _ in 0..20 {
            if cuts.get() > 0 {
                break;
            }
            let result = runner.run(
                &(texts(), any::<prop::sample::Index>(), any::<bool>()),
                |(text, head, begins)| {
                    let place = if begins { Place::Start } else { Place::AfterCut };
                    let head = Stretch { text: &text[..=head.index(text.len())], place };
                    let settled = tokenizer.last_settled(head, &matchers, &mut || Ok(()));
                    let Some(cut) = settled.expect("never stopped") else { return Ok(()) };
                    cuts.set(cuts.get() + 1);
                    prop_assert!(0 < cut && cut <= head.text.len());
                    let mut ids = at_once(&tokenizer, Stretch { text: &text[..cut], place });
                    ids.extend(at_once(
                        &tokenizer,
                        Stretch { text: &text[cut..], place: Place::AfterCut },
                    ));
                    prop_assert_eq!(ids, at_once(&tokenizer, Stretch { text: &text, place }));
                    Ok(())
                },
            );
            assert!(result.is_ok(), "{settings}: {}", result.expect_err("it failed"));
            if !ever_cut {
                break;
            }
        }
        assert_eq!(cuts.get() > 0, ever_cut, "{settings}: {} cuts", cuts.get());
    }
}
