use super::*;
use crate::simd::{Portable, with_each_kernel};

fn values(count: usize) -> Vec<f32> {
    let mut seed = 1u32;
    let next = |_| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        -(seed as f32) / (1u64 << 32) as f32 * 100.0
    };
    (0..count).map(next).collect()
}

#[test]
fn exp_is_that_of_the_standard_library() {
    for step in 0..1_000_000 {
        let x = -(step as f32) * 8.8e-5;
        let (ours, theirs) = (f64::from(exp(x)), f64::from(x).exp());
        let exact = if x > LEAST { theirs } else { 0.0 };
        assert!((ours - exact).abs() <= 2.4e-7 * exact, "exp({x}) = {ours}, not {exact}");
    }
    for step in 0..100_000 {
        let x = step as f32 * (MOST / 1e5);
        let (ours, theirs) = (f64::from(exp(x)), f64::from(x).exp());
        assert!((ours - theirs).abs() <= 2.4e-7 * theirs, "exp({x}) = {ours}, not {theirs}");
    }
    assert_eq!([0.0, f32::NEG_INFINITY, -1e30].map(exp), [1.0, 0.0, 0.0]);
}

#[test]
fn every_kernel_gives_the_same_bits() {
    with_each_kernel(|| {
        for len in [0, 1, 15, 16, 17, 1000] {
            let values = values(len);
            assert_eq!(sum_exp(&values, 1.5), SumExp { values: &values, shift: 1.5 }.run(Portable));
            assert_eq!(maximum(&values), Maximum::<f32, 1>(&values).run(Portable));
            let some = maximum_of_some(&values);
            assert_eq!(some, Maximum::<f32, 61>(&values).run(Portable).0);
            let whole = len <= 2 * LANES;
            assert!(if whole { some == maximum(&values).0 } else { values.contains(&some) });
            let mut exps = vec![7.0];
            let bits: Vec<u64> = (0..len.div_ceil(64)).map(|at| 0x9e37_79b9 << at).collect();
            let is_set = |at: usize| bits[at / 64] >> (at % 64) & 1 == 1;
            for bits in [&bits[..], &[]] {
                let found = survey(&values, -20.0, bits, &mut exps);
                let mut others = Vec::new();
                let look = Look { values: &values, shift: -20.0, bits, exps: &mut others };
                assert_eq!(look.run(Portable), found);
                assert_eq!(exps, others);
                let each = |(at, value): (usize, &f32)| match bits.is_empty() || is_set(at) {
                    true => exp(value + 20.0),
                    false => 0.0,
                };
                let expected: Vec<f32> = values.iter().enumerate().map(each).collect();
                assert_eq!(exps, expected);
                let faint = values.iter().any(|value| value + 20.0 <= LEAST);
                assert_eq!(found.faint, faint);
                assert_eq!((found.largest, found.all), maximum(&values));
                assert_eq!(found.sum, sum_exp(&values, -20.0));
            }
            let runs = [0, 1, 3, 20, 21, 60, 900].windows(2).map(|at| at[0]..at[1].min(len));
            let runs = runs.filter(|run| !run.is_empty());
            let sums = sums_exp(&values, runs.clone(), 1.5);
            let portable = SumsExp { values: &values, runs: runs.clone(), shift: 1.5 };
            assert_eq!(sums, portable.run(Portable));
            for (run, sum_exp) in runs.zip(sums) {
                let expected = super::sum_exp(&values[run.clone()], 1.5);
                assert!((sum_exp - expected).abs() <= 1e-12 * expected);
                let expected: f64 = values[run.clone()].iter().map(|&value| f64::from(value)).sum();
                let plain = sum(&values[run.clone()]);
                assert!((plain - expected).abs() <= 1e-12 * expected.abs());
                assert_eq!(plain, Sum(&values[run]).run(Portable));
            }
            let places: Vec<u32> = (0..len as u32).rev().collect();
            let expected: f64 = values.iter().map(|&value| f64::from(value)).sum();
            assert!((sum_at(&values, &places) - expected).abs() <= 1e-12 * expected.abs());
            assert_eq!(
                SumAt { values: &values, places: &places }.run(Portable),
                sum_at(&values, &places)
            );
            let expected: f64 =
                (0..len).filter(|&at| is_set(at)).map(|at| f64::from(values[at])).sum();
            assert!((sum_where(&values, &bits) - expected).abs() <= 1e-12 * expected.abs());
            let portable = SumWhere { values: &values, bits: &bits }.run(Portable);
            assert_eq!(portable, sum_where(&values, &bits));
        }
    });
}

#[test]
fn gathered_values_are_those_at_the_places() {
    with_each_kernel(|| {
        let values = values(1000);
        let mut seed = 7u32;
        let places: Vec<u32> = (0..101)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                seed % 1000
            })
            .collect();
        let expected: Vec<f32> = places.iter().map(|&place| values[place as usize]).collect();
        assert_eq!(gather(&values, &places), expected);
        assert_eq!(Gather { values: &values, places: &places }.run(Portable), expected);
        for wrong in [1000, i32::MAX.cast_unsigned(), 1 << 31, u32::MAX] {
            for at in [0, 7, 8, 15] {
                let mut places = [0; 16];
                places[at] = wrong;
                let gathered = std::panic::catch_unwind(|| gather(&values, &places));
                assert!(gathered.is_err(), "{wrong} at {at}");
            }
        }
    });
}

#[test]
fn what_is_no_number_is_seen_anywhere() {
    with_each_kernel(|| {
        for len in [1, 16, 33] {
            for at in 0..len {
                let mut values = values(len);
                assert!(maximum(&values).1);
                values[at] = f32::NAN;
                assert!(!maximum(&values).1);
            }
        }
        assert_eq!(maximum::<f32>(&[]), (f32::NEG_INFINITY, true));
    });
}
