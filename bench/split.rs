//! Speed of splitting alone: `cargo run --release --example split -- FILE [PATTERN ...]`.
//!
//! FILE is a text whose documents are separated by NUL. Prints MB/s of each pattern, the best and
//! the median of seven passes, and a checksum of the piece ends.

use std::time::Instant;

use bytewright::pretokenize::{Pretokenizer, Span, named};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().expect("the name of a text file");
    let bytes = std::fs::read(&file).expect("a readable file");
    let documents: Vec<&[u8]> = bytes.split(|&byte| byte == 0).collect();
    let mut names: Vec<String> = arguments.collect();
    if names.is_empty() {
        names = ["gpt2", "cl100k", "o200k", "qwen3.5", "deepseek-v3", "starcoder", "falcon"]
            .map(String::from)
            .to_vec();
    }
    for name in names {
        let steps = named::pattern(&name).expect("a published name");
        let pretokenizer = Pretokenizer::new(&steps).expect("a published pattern");
        let passes: Vec<_> = (0..7).map(|_| pass(&pretokenizer, &documents)).collect();
        let mut seconds: Vec<f64> = passes.iter().map(|pass| pass.0).collect();
        seconds.sort_by(f64::total_cmp);
        let speed = |seconds: f64| bytes.len() as f64 / seconds / 1e6;
        let (_, count, sum) = passes[0];
        println!(
            "{name:12} best {:6.0} MB/s  median {:6.0} MB/s  {:.2} bytes a piece  {sum:016x}",
            speed(seconds[0]),
            speed(seconds[3]),
            bytes.len() as f64 / count as f64,
        );
    }
}

/// Seconds, pieces, and a checksum.
fn pass(pretokenizer: &Pretokenizer, documents: &[&[u8]]) -> (f64, usize, u64) {
    let (mut spans, mut total, mut sum) = ([Span::default(); 256], 0, 0u64);
    let start = Instant::now();
    for document in documents {
        let mut pieces = pretokenizer.pieces(document);
        loop {
            let count = pieces.fill(&mut spans);
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
