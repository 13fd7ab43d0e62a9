//! Discounts: what a count gives away to shorter contexts.

/// Discounts of counts of 1, of 2, and of 3 and more, each above 0 and below that count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Discounts([f64; 3]);

/// Where the counts of counts give no discounts: half of each count.
const PLAIN: [f64; 3] = [0.5, 1.0, 1.5];

impl Discounts {
    /// The estimates of Chen & Goodman from the counts of counts, `D_i = i - (i + 1) Y n_{i+1} / n_i`
    /// with `Y = n_1 / (n_1 + 2 n_2)`; half of the count where an estimate is none.
    pub fn estimate(counts: &[u32]) -> Discounts {
        let mut of = [0u64; 5];
        for &count in counts {
            if let Some(times) = of.get_mut(count as usize) {
                *times += 1;
            }
        }
        let n = of.map(|times| times as f64);
        let y = n[1] / (n[1] + 2.0 * n[2]);
        let estimate = |i: usize| i as f64 - (i + 1) as f64 * y * n[i + 1] / n[i];
        Discounts([1, 2, 3].map(|i| {
            let discount = estimate(i);
            // A comparison with what is not a number is false.
            let fits = discount > 0.0 && discount < i as f64;
            if fits { discount } else { PLAIN[i - 1] }
        }))
    }

    /// What is left of a count, which is at least 1.
    pub fn left(&self, count: u32) -> f64 {
        f64::from(count) - self.0[(count.clamp(1, 3) - 1) as usize]
    }

    /// The total of some counts, none of them 0, and the share of it that is given away.
    pub fn share(&self, counts: &[u32]) -> Share {
        if counts.is_empty() {
            return Share { total: 1.0, given: 1.0 };
        }
        let (mut total, mut ones, mut twos) = (0u64, 0u64, 0u64);
        for &count in counts {
            total += u64::from(count);
            ones += u64::from(count == 1);
            twos += u64::from(count == 2);
        }
        let more = counts.len() as u64 - ones - twos;
        let taken = [ones, twos, more].iter().zip(self.0).map(|(&n, d)| n as f64 * d).sum::<f64>();
        Share { total: total as f64, given: taken / total as f64 }
    }
}

/// What the counts behind one context add up to, and the share of it that shorter contexts get. All
/// of it, where there are none.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    pub total: f64,
    pub given: f64,
}

impl Share {
    /// The probability of an id with `left` of its count, by its probability `below`.
    pub fn of(&self, left: f64, below: f64) -> f64 {
        left / self.total + self.given * below
    }
}
