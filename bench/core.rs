//! Speed of the core alone: splitting, encoding, decoding, without Python.
//!
//! `cargo run --release --example core -- DEFINITION TEXT [slice bytes]`, where DEFINITION is a
//! folder with the five parts of a definition as `bench/dump_definition.py` writes them.

use std::hint::black_box;
use std::path::Path;
use std::{env, fs};

use bytewright::merges::Merge;
use bytewright::tokenizer::{Allowed, Definition, Tokenizer};

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
}

fn load(folder: &Path) -> Tokenizer {
    let part = |name: &str| fs::read(folder.join(name)).expect("a part of the definition");
    let merges = words(&part("merges"));
    let definition = Definition {
        header: String::from_utf8(part("header")).expect("a JSON header"),
        arena: part("arena"),
        offsets: words(&part("offsets")),
        kinds: part("kinds"),
        merges: merges
            .as_chunks::<3>()
            .0
            .iter()
            .map(|w| Merge { left: w[0], right: w[1], product: w[2] })
            .collect(),
    };
    Tokenizer::new(definition).expect("a sound definition")
}

/// Nanoseconds that this process has run: a shared machine does not disturb it much.
fn processor_time() -> f64 {
    let stat = fs::read_to_string("/proc/self/schedstat").expect("Linux");
    stat.split(' ').next().and_then(|ns| ns.parse().ok()).expect("a number")
}

/// What one call costs, without the way in from Python and the list of ids made there.
fn small_calls(tokenizer: &Tokenizer) {
    const CALLS: u32 = 200_000;
    let text: &[u8] = b"a small text, 20 byt";
    let mut ids = 0;
    for round in ["cold", "warm"] {
        let started = processor_time();
        for _ in 0..CALLS {
            let encoded = tokenizer.encode(black_box(text), &Allowed::None, &mut || Ok(()));
            ids += encoded.expect("ids").len();
        }
        let each = (processor_time() - started) / f64::from(CALLS);
        println!("20 bytes, {round}: {each:.0} ns a call");
    }
    assert!(ids.is_multiple_of(2 * CALLS as usize), "every call gives as many ids");
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let [_, folder, text, rest @ ..] = &arguments[..] else {
        eprintln!("usage: core DEFINITION TEXT [slice bytes]");
        return;
    };
    let size = rest.first().and_then(|s| s.parse().ok()).unwrap_or(4_000_000);
    let started = processor_time();
    let tokenizer = load(Path::new(folder));
    println!("load {:.1} ms", (processor_time() - started) / 1e6);
    let text = fs::read(text).expect("a text");
    small_calls(&tokenizer);
    let mut go_on = || Ok(());
    for (at, slice) in text.chunks(size).take(7).enumerate() {
        let rate = |started: f64| slice.len() as f64 * 1e3 / (processor_time() - started);
        let started = processor_time();
        let pieces = tokenizer.pieces(slice, &mut go_on).expect("pieces");
        let split = rate(started);
        let started = processor_time();
        let ids = tokenizer.encode(slice, &Allowed::None, &mut go_on).expect("ids");
        let encode = rate(started);
        let signed: Vec<i32> = ids.iter().map(|&id| id.cast_signed()).collect();
        let started = processor_time();
        let mut back = Vec::new();
        tokenizer.decode(&signed, &mut back, &mut || Ok(())).expect("text");
        let decode = rate(started);
        assert_eq!(back, slice);
        println!(
            "slice {at}: {} pieces, {} ids; MB/s: split {split:.0}, encode {encode:.0}, decode {decode:.0}",
            pieces.len(),
            ids.len()
        );
    }
}
