//! Speed of splitting alone: `cargo run --release --example split -- FILE [PATTERN ...]`.
//!
//! FILE is a text whose documents are separated by NUL. Prints MB/s of each pattern and a checksum
//! of the piece ends. The time is the sum over slices of about 256 KiB of the best of nine passes,
//! which other programs on the machine disturb least.

use std::time::Instant;

use bytewright::pretokenize::{Pretokenizer, Span, named};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().expect("the name of a text file");
    let bytes = std::fs::read(&file).expect("a readable file");
    let documents: Vec<&[u8]> = bytes.split(|&byte| byte == 0).collect();
    let slices = slices(&documents);
    let mut names: Vec<String> = arguments.collect();
    if names.is_empty() {
        names = ["gpt2", "cl100k", "o200k", "qwen3.5", "deepseek-v3", "starcoder", "falcon"]
            .map(String::from)
            .to_vec();
    }
    for name in names {
        let steps = named::pattern(&name).expect("a published name");
        let pretokenizer = Pretokenizer::new(&steps).expect("a published pattern");
        let mut best = vec![f64::INFINITY; slices.len()];
        let (mut count, mut sum) = (0, 0);
        for _ in 0..9 {
            (count, sum) = (0, 0);
            for (slice, best) in slices.iter().zip(&mut best) {
                let (seconds, pieces, checksum) = pass(&pretokenizer, slice);
                *best = best.min(seconds);
                count += pieces;
                sum = checksum ^ u64::rotate_left(sum, 1);
            }
        }
        let speed = bytes.len() as f64 / best.iter().sum::<f64>() / 1e6;
        let length = bytes.len() as f64 / count as f64;
        println!("{name:12} {speed:6.0} MB/s  {length:.2} bytes a piece  {sum:016x}");
    }
}

/// Documents in slices of about 256 KiB.
fn slices<'a>(documents: &[&'a [u8]]) -> Vec<Vec<&'a [u8]>> {
    let (mut slices, mut size) = (vec![Vec::new()], 0);
    for document in documents {
        if size > 256 << 10 {
            slices.push(Vec::new());
            size = 0;
        }
        size += document.len();
        slices.last_mut().expect("there is one from the start").push(*document);
    }
    slices
}

/// Seconds, pieces, and a checksum.
fn pass(pretokenizer: &Pretokenizer, documents: &[&[u8]]) -> (f64, usize, u64) {
    let (mut spans, mut total, mut sum) = ([Span::default(); 256], 0, 0u64);
    let start = Instant::now();
    for document in documents {
        let mut pieces = pretokenizer.pieces(document);
        loop {
            let count = pieces.fill(&mut spans, &mut || Ok(())).expect("never stopped");
            if count == 0 {
                break;
            }
            total += count;
            sum = spans[..count]
                .iter()
                .fold(sum, |sum, span| sum.wrapping_add(span.end as u64).rotate_left(1));
        }
    }
    (start.elapsed().as_secs_f64(), total, sum)
}
