//! Probabilities of several outcomes: numbers times a common factor where these say all, else
//! logarithms. To add numbers is much less work than to add what logarithms stand for.

/// Outcomes: the bytes, and the end of the text.
pub const OUTCOMES: usize = 257;

/// The outcome that is the end of the text.
pub(super) const END: usize = 256;

/// Logarithms this far below and above the common factor are of numbers that `f64` has, and so are
/// their products with any normal `f32`.
const LEAST: f64 = -500.0;
const MOST: f64 = 500.0;

/// The probabilities of some outcomes.
#[derive(Debug, Clone, Default)]
pub(super) struct Masses {
    values: Vec<f64>,
    /// The logarithm of the common factor; without one the values are logarithms.
    factor: Option<f64>,
}

impl Masses {
    /// Numbers times a factor, of which this is the logarithm.
    pub fn numbers(values: Vec<f64>, factor: f64) -> Masses {
        Masses { values, factor: Some(factor) }
    }

    /// Probabilities of which these are the logarithms.
    pub fn logs(values: Vec<f64>) -> Masses {
        Masses { values, factor: None }
    }

    /// The logarithm of one of them, if it is there.
    pub fn log(&self, at: usize) -> Option<f64> {
        let value = *self.values.get(at)?;
        Some(self.factor.map_or(value, |factor| factor + value.ln()))
    }

    /// The logarithm of their sum.
    pub fn log_sum(&self) -> f64 {
        match self.factor {
            Some(factor) => factor + self.values.iter().sum::<f64>().ln(),
            None => log_sum(self.values.iter().copied()),
        }
    }

    /// The same, times a factor of which this is the logarithm.
    pub fn times(mut self, log: f64) -> Masses {
        match &mut self.factor {
            Some(factor) => *factor += log,
            None => self.values.iter_mut().for_each(|value| *value += log),
        }
        self
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Forgets all; the memory stays.
    pub fn clear(&mut self) {
        self.values.clear();
    }
}

/// Sums of probabilities, by outcome.
#[derive(Debug)]
pub(super) struct Totals {
    /// Numbers, times a factor of which this is the logarithm.
    factor: f64,
    numbers: [f64; OUTCOMES],
    /// Logarithms of what is too far from the factor.
    far: Option<Box<[f64; OUTCOMES]>>,
}

impl Totals {
    /// Nothing yet; most of what will be added is of the order of the factor.
    pub fn new(factor: f64) -> Totals {
        Totals { factor, numbers: [0.0; OUTCOMES], far: None }
    }

    /// Adds masses times `exp(weight)`, of the outcomes that are named.
    pub fn add(&mut self, outcomes: impl Iterator<Item = usize>, masses: &Masses, weight: f64) {
        let near = masses.factor.map(|factor| weight + factor - self.factor);
        match near.filter(|near| (LEAST..MOST).contains(near)) {
            Some(near) => {
                let scale = near.exp();
                for (outcome, mass) in outcomes.zip(&masses.values) {
                    self.numbers[outcome] += scale * mass;
                }
            }
            None => {
                for (at, outcome) in outcomes.enumerate() {
                    self.add_log(outcome, weight + masses.log(at).unwrap_or(f64::NEG_INFINITY));
                }
            }
        }
    }

    /// Adds one probability, of which this is the logarithm.
    pub fn add_log(&mut self, outcome: usize, log: f64) {
        if (LEAST..MOST).contains(&(log - self.factor)) {
            self.numbers[outcome] += (log - self.factor).exp();
        } else if log > f64::NEG_INFINITY {
            let far = self.far.get_or_insert_with(|| Box::new([f64::NEG_INFINITY; OUTCOMES]));
            far[outcome] = log_sum([far[outcome], log].into_iter());
        }
    }

    /// The logarithms of the sums, and of the sum of all.
    pub fn logs(&self) -> ([f64; OUTCOMES], f64) {
        let mut logs = self.numbers.map(|number| match number > 0.0 {
            true => self.factor + number.ln(),
            false => f64::NEG_INFINITY,
        });
        let mut total = self.factor + self.numbers.iter().sum::<f64>().ln();
        if let Some(far) = &self.far {
            for (log, far) in logs.iter_mut().zip(far.iter()) {
                *log = log_sum([*log, *far].into_iter());
            }
            total = log_sum(logs.iter().copied());
        }
        (logs, total)
    }
}

/// The logarithm of the sum of numbers of which these are the logarithms.
pub(super) fn log_sum(logs: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = logs.clone().fold(f64::NEG_INFINITY, f64::max);
    match largest.is_finite() {
        true => largest + logs.map(|log| (log - largest).exp()).sum::<f64>().ln(),
        false => largest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums of `exp(log)` by outcome, all as logarithms.
    fn defined(terms: &[(usize, f64)]) -> Vec<f64> {
        let of = |outcome| terms.iter().filter(move |term| term.0 == outcome).map(|term| term.1);
        (0..OUTCOMES).map(|outcome| log_sum(of(outcome))).collect()
    }

    #[test]
    fn totals_are_sums_wherever_their_factor_is() {
        let numbers = Masses::numbers(vec![0.5, 0.0, 1e-38], 3.0);
        let logs = Masses::logs(vec![-1e4, f64::NEG_INFINITY, -2.0]);
        for masses in [&numbers, &logs] {
            assert_eq!(masses.log(1), Some(f64::NEG_INFINITY));
            assert_eq!(masses.log(3), None);
            let each = (0..3).map(|at| masses.log(at).unwrap());
            assert!((masses.log_sum() - log_sum(each)).abs() < 1e-12);
            let moved = masses.clone().times(-5.0);
            assert!((moved.log(2).unwrap() - masses.log(2).unwrap() + 5.0).abs() < 1e-12);
        }
        for factor in [0.0, -400.0, -9_000.0, 1e4] {
            let mut totals = Totals::new(factor);
            let mut terms = Vec::new();
            for (weight, outcomes) in
                [(0.0, [1, 2, 3]), (-9_999.5, [3, 2, 9]), (-600.0, [1, 5, END])]
            {
                for masses in [&numbers, &logs] {
                    totals.add(outcomes.into_iter(), masses, weight);
                    let found = (0..3).map(|at| (outcomes[at], weight + masses.log(at).unwrap()));
                    terms.extend(found);
                }
            }
            totals.add_log(END, -700.0);
            totals.add_log(7, f64::NEG_INFINITY);
            terms.push((END, -700.0));
            let (found, total) = totals.logs();
            for (found, expected) in found.into_iter().zip(defined(&terms)) {
                let same = found == expected || (found - expected).abs() <= 1e-11 * expected.abs();
                assert!(same, "{found} is not {expected}");
            }
            let expected = log_sum(terms.iter().map(|term| term.1));
            assert!((total - expected).abs() <= 1e-11 * expected.abs().max(1.0));
        }
    }
}
