//! However a text arrives, in chunks, in batches or piece by piece, its ids are the same.

use std::cell::Cell;

use bytewright::batch::{count_batch, encode_batch};
use bytewright::error::{Error, Poll, Result};
use bytewright::merges::Merge;
use bytewright::pretokenize::named;
use bytewright::stream::StreamEncoder;
use bytewright::token::Kind;
use bytewright::tokenizer::{Allowed, Definition, Tokenizer};
use serde_json::{Value, json};

/// More than a stream gathers, and more than a batch gives to one thread.
const MEGABYTE: usize = 1 << 20;

/// A small deterministic generator.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    /// Words, numbers, white space, other scripts and bytes that are no text.
    fn text(&mut self, len: usize) -> Vec<u8> {
        const PARTS: [&[u8]; 24] = [
            b" the",
            b" quick",
            b" brown",
            b" fox",
            b"ing",
            b" a",
            b" I",
            b"'s",
            b".",
            b", ",
            b"  ",
            b"\n",
            b"\n\n  ",
            b" 2024",
            b"\xC2\xA0",
            " é".as_bytes(),
            " naïve".as_bytes(),
            "日本語".as_bytes(),
            b" _x_",
            b"\xFF",
            b"\xE6\x97",
            b"foo",
            b" <end>",
            b"\r\n",
        ];
        let mut text = Vec::with_capacity(len + 8);
        while text.len() < len {
            text.extend_from_slice(PARTS[self.below(PARTS.len())]);
        }
        text
    }
}

/// Bytes, the words of [`Random::text`] and some that cross them, and tokens that no merge makes.
fn tokenizer(settings: Value) -> Tokenizer {
    let mut tokens: Vec<Vec<u8>> = (0..=255u8).map(|byte| vec![byte]).collect();
    let mut merges = Vec::new();
    let words = [
        "k_", " the", " quick", " brown", " fox", "ing", "ow", " naïve", "日本", "  ", "\n\n",
        " th", "thing", "foo", "ick", "_a",
    ];
    for word in words {
        let mut bytes = word.bytes().map(u32::from);
        let first = bytes.next().expect("words are not empty");
        bytes.fold(first, |left, right| {
            let joined = [&tokens[left as usize][..], &tokens[right as usize]].concat();
            let product = tokens.iter().position(|token| *token == joined).unwrap_or(tokens.len());
            if product == tokens.len() {
                tokens.push(joined);
            }
            merges.push(Merge { left, right, product: product as u32 });
            product as u32
        });
    }
    let mut kinds = vec![Kind::MODEL; tokens.len()];
    tokens.push(b" fo".to_vec());
    kinds.push(Kind::MODEL);
    let mut header = json!({
        "version": 1, "unit": "byte", "byte_units": (0..256).collect::<Vec<i64>>(),
    });
    for (key, value) in settings.as_object().expect("settings are an object") {
        header[key] = value.clone();
    }
    for added in header.get_mut("added").and_then(Value::as_array_mut).into_iter().flatten() {
        added["id"] = tokens.len().into();
        let content = added["content"].as_str().expect("a text");
        tokens.push(content.as_bytes().to_vec());
        kinds.push(Kind::ADDED);
    }
    let mut offsets = vec![0];
    tokens.iter().for_each(|token| offsets.push(offsets[offsets.len() - 1] + token.len() as u32));
    let arena = tokens.concat();
    Tokenizer::new(Definition { header: header.to_string(), arena, offsets, kinds, merges })
        .expect("a sound definition")
}

fn pattern(name: &str) -> Value {
    json!(named::pattern(name).expect("a published pattern"))
}

fn added(content: &str, rules: &[&str]) -> Value {
    let has = |rule: &str| rules.contains(&rule);
    json!({
        "id": 0, "content": content, "single_word": has("single_word"), "lstrip": has("lstrip"),
        "rstrip": has("rstrip"), "normalized": has("normalized"), "special": false,
    })
}

fn go_on() -> Result<()> {
    Ok(())
}

fn encode(tokenizer: &Tokenizer, text: &[u8]) -> Vec<u32> {
    tokenizer.encode(text, &Allowed::None, &mut go_on).expect("any text is encoded")
}

/// Tokenizers that may cut a text, those that may not, and those for which it is close.
fn tokenizers() -> Vec<(&'static str, Tokenizer)> {
    let cl100k = || pattern("cl100k");
    let replace = |string: &str, content: &str| json!({"type": "replace", "string": string, "content": content});
    let regex = json!([{"type": "split", "regex": r"\w+|\s+|[^\w\s]+", "behavior": "isolated"}]);
    let prefix = |scope: &str| json!({"type": "prefix", "content": " ", "unless": "content", "scope": scope});
    let settings = vec![
        ("cl100k", json!({"pretokenizer": cl100k()})),
        ("gpt2", json!({"pretokenizer": pattern("gpt2")})),
        ("o200k", json!({"pretokenizer": pattern("o200k"), "ignore_merges": true})),
        ("a pattern of one's own", json!({"pretokenizer": regex})),
        ("whole", json!({})),
        ("whole, tokens as they are", json!({"ignore_merges": true})),
        ("whole, with a prefix", json!({"normalizer": [prefix("first")]})),
        (
            "every segment with a prefix",
            json!({
                "normalizer": [prefix("every")], "pretokenizer": cl100k(), "added": [added("<end>", &[])],
            }),
        ),
        (
            "lowercase",
            json!({"normalizer": [{"type": "nfkc"}, {"type": "lowercase"}], "pretokenizer": cl100k()}),
        ),
        ("spaces become something else", json!({"normalizer": [replace(" ", "_")]})),
        (
            "letters become spaces",
            json!({"normalizer": [replace("k", " "), replace("b", " ")], "pretokenizer": cl100k()}),
        ),
        (
            "replaced twice",
            json!({
                "normalizer": [replace(" ", "_"), replace("k_b", "!")], "pretokenizer": cl100k(),
            }),
        ),
        (
            "added",
            json!({"pretokenizer": cl100k(), "added": [added("<end>", &[]), added("fox", &["single_word"])]}),
        ),
        (
            "takes space after",
            json!({"pretokenizer": cl100k(), "added": [added("brown", &["rstrip"])]}),
        ),
        (
            "takes space before",
            json!({"pretokenizer": cl100k(), "added": [added("quick", &["lstrip"])]}),
        ),
        ("added across", json!({"pretokenizer": cl100k(), "added": [added("quick brown", &[])]})),
        (
            "normalized across",
            json!({
                "normalizer": [{"type": "nfkc"}], "pretokenizer": cl100k(),
                "added": [added("quick\u{A0}brown", &["normalized"])],
            }),
        ),
    ];
    settings.into_iter().map(|(name, settings)| (name, tokenizer(settings))).collect()
}

/// Where two sequences part.
fn assert_same(name: &str, found: &[u32], expected: &[u32]) {
    let at = found.iter().zip(expected).position(|(a, b)| a != b);
    assert!(
        found == expected,
        "{name}: {} ids for {}, other from {at:?}",
        found.len(),
        expected.len()
    );
}

#[test]
fn a_stream_has_the_ids_of_the_whole_text() {
    let mut random = Random(1);
    for (name, tokenizer) in tokenizers() {
        // Where all comes at once, the border of the last two words is where the text is cut.
        let ends =
            [(" brown the", 200_000), ("quick fo", 2 * MEGABYTE), ("quick brown", 2 * MEGABYTE)];
        for (end, least) in ends {
            let extra = random.below(MEGABYTE / 8);
            let mut text = random.text(MEGABYTE + extra);
            text.extend_from_slice(end.as_bytes());
            let expected = encode(&tokenizer, &text);
            let mut stream = StreamEncoder::new(Allowed::None);
            let (mut found, mut rest) = (Vec::new(), &text[..]);
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at(rest.len().min(least + random.below(2 * least)));
                found.extend(
                    stream.push(&tokenizer, chunk, &mut go_on).expect("nothing interrupts"),
                );
                rest = after;
            }
            found.extend(stream.finish(&tokenizer, &mut go_on).expect("nothing interrupts"));
            assert_same(name, &found, &expected);
            assert_eq!(stream.finish(&tokenizer, &mut go_on), Ok(vec![]));
        }
    }
}

#[test]
fn a_stream_that_is_interrupted_goes_on() {
    let (_, tokenizer) = tokenizers().swap_remove(0);
    let text = Random(2).text(MEGABYTE + 10_000);
    let mut stream = StreamEncoder::new(Allowed::None);
    assert_eq!(
        stream.push(&tokenizer, &text, &mut || Err(Error::Interrupted)),
        Err(Error::Interrupted)
    );
    let mut found = stream.push(&tokenizer, b"", &mut go_on).expect("nothing interrupts");
    assert!(!found.is_empty());
    found.extend(stream.finish(&tokenizer, &mut go_on).expect("nothing interrupts"));
    assert_same("cl100k", &found, &encode(&tokenizer, &text));
}

#[test]
fn a_batch_has_the_ids_of_each_row() {
    let mut random = Random(3);
    let mut rows: Vec<Vec<u8>> = vec![vec![], random.text(540_000), vec![], b" fo".to_vec()];
    rows.extend((0..300).map(|row| random.text([0, 3, 900][row % 3])));
    // A row without a place to cut, and rows in which nothing is left.
    rows.extend([b"xyz".repeat(180_000), vec![], vec![]]);
    let texts: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
    let cut = ["o200k", "whole", "every segment with a prefix", "takes space after"];
    for (name, tokenizer) in tokenizers().into_iter().filter(|(name, _)| cut.contains(name)) {
        let expected: Vec<Vec<u32>> = texts.iter().map(|text| encode(&tokenizer, text)).collect();
        let counts: Vec<i64> = expected.iter().map(|ids| ids.len() as i64).collect();
        for threads in [1, 2, 7] {
            let found = encode_batch(&tokenizer, &texts, &Allowed::None, threads, &mut go_on)
                .expect("nothing interrupts");
            assert_same(name, &found.values, &expected.concat());
            let lengths: Vec<i64> = found.offsets.windows(2).map(|w| w[1] - w[0]).collect();
            assert_eq!(lengths, counts, "{name}, {threads} threads");
        }
        let found = count_batch(&tokenizer, &texts, &Allowed::None, 3, &mut go_on);
        assert_eq!(found.expect("nothing interrupts"), counts, "{name}");
    }
}

#[test]
fn a_batch_of_nothing_has_no_rows() {
    let (_, tokenizer) = tokenizers().swap_remove(0);
    for threads in [0, 1, 7] {
        let none = encode_batch(&tokenizer, &[], &Allowed::None, threads, &mut go_on);
        assert_eq!(none.expect("nothing interrupts").offsets, [0]);
        assert_eq!(count_batch(&tokenizer, &[], &Allowed::None, threads, &mut go_on), Ok(vec![]));
    }
}

#[test]
fn an_interrupted_call_leaves_the_tokenizer_as_it_was() {
    let ends = (0..256).collect::<Vec<i64>>();
    let settings = [
        json!({"pretokenizer": pattern("cl100k")}),
        json!({}),
        // One piece that is not cut.
        json!({"final_byte_units": ends}),
    ];
    settings.into_iter().for_each(|settings| check_interruptions(&tokenizer(settings)));
}

fn check_interruptions(tokenizer: &Tokenizer) {
    let text = Random(4).text(MEGABYTE);
    let short = &text[..50_000];
    let expected = encode(tokenizer, short);
    let interrupted = |work: &dyn Fn(Poll<'_>) -> Result<()>| {
        let polled = Cell::new(0);
        let mut poll = || {
            polled.set(polled.get() + 1);
            if polled.get() > 1 { Err(Error::Interrupted) } else { Ok(()) }
        };
        assert_eq!(work(&mut poll), Err(Error::Interrupted));
        assert_eq!(polled.get(), 2);
        assert_same("after", &encode(tokenizer, short), &expected);
    };
    let none = &Allowed::None;
    interrupted(&|poll| tokenizer.encode(&text, none, poll).map(drop));
    interrupted(&|poll| tokenizer.count(&text, none, None, poll).map(drop));
    interrupted(&|poll| tokenizer.encode_offsets(&text, none, None, poll).map(drop));
    let texts = [&text[..]; 40];
    interrupted(&|poll| encode_batch(tokenizer, &texts, none, 1, poll).map(drop));
    interrupted(&|poll| encode_batch(tokenizer, &texts, none, 7, poll).map(drop));
    interrupted(&|poll| count_batch(tokenizer, &texts, none, 2, poll).map(drop));
}

/// A row that cannot be encoded stops the other threads; what stopped them is what is reported.
#[test]
fn the_error_of_a_row_is_not_taken_for_an_interruption() {
    let mut bytes: Vec<i64> = (0..256).collect();
    bytes[usize::from(b'#')] = -1;
    let tokenizer = tokenizer(json!({
        "strict": true, "byte_units": bytes,
        "pretokenizer": [{"type": "split", "regex": r"\w+|\W", "behavior": "isolated"}],
    }));
    let long = b"abc de.".repeat(400_000);
    let texts = [&long[..], b"# is not in the alphabet", &long];
    for count in [false, true] {
        let result = match count {
            false => encode_batch(&tokenizer, &texts, &Allowed::None, 3, &mut go_on).map(drop),
            true => count_batch(&tokenizer, &texts, &Allowed::None, 3, &mut go_on).map(drop),
        };
        assert!(matches!(result, Err(Error::Argument(_))), "{result:?}");
    }
}

#[test]
fn offsets_tile_the_text_and_limits_cut_it() {
    let mut random = Random(5);
    for (name, tokenizer) in tokenizers() {
        for len in [0, 1, 40, 3_000] {
            let text = random.text(len);
            let ids = encode(&tokenizer, &text);
            let offsets = |limit| {
                tokenizer
                    .encode_offsets(&text, &Allowed::None, limit, &mut go_on)
                    .expect("nothing interrupts")
            };
            let (found, starts) = offsets(None);
            assert_same(name, &found, &ids);
            assert_eq!(starts.len(), ids.len() + 1, "{name}");
            assert_eq!((starts[0], starts[ids.len()]), (0, text.len() as i64), "{name}");
            assert!(starts.is_sorted(), "{name}");
            for limit in
                [0, 1, ids.len() / 2, ids.len().saturating_sub(1), ids.len(), ids.len() + 1]
            {
                let kept = limit.min(ids.len());
                let limited = offsets(Some(limit));
                assert_eq!(limited, (ids[..kept].to_vec(), starts[..=kept].to_vec()), "{name}");
                let count = tokenizer.count(&text, &Allowed::None, Some(limit), &mut go_on);
                let count = count.expect("nothing interrupts");
                assert!(count == ids.len() || count > limit && count < ids.len(), "{name}");
            }
        }
    }
}

#[test]
fn each_offset_is_where_the_bytes_of_its_token_are() {
    let (_, tokenizer) = tokenizers().swap_remove(1);
    let text = Random(6).text(20_000);
    let (ids, starts) = tokenizer
        .encode_offsets(&text, &Allowed::None, None, &mut go_on)
        .expect("nothing interrupts");
    for (id, span) in ids.iter().zip(starts.windows(2)) {
        let bytes = tokenizer.vocab().token_bytes(*id).expect("an id of the vocabulary");
        assert_eq!(bytes, &text[span[0] as usize..span[1] as usize]);
    }
}
