//! Mann and Whitney's rank test: whether two series of times are of one kind. It looks at their order
//! alone, so a machine that stands still for a moment says nothing.

/// Two series, by the ranks of their values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankTest {
    /// By how many standard deviations the first lies above the second.
    z: f64,
}

impl RankTest {
    /// The first beside the second.
    pub fn of(one: &[f64], other: &[f64]) -> Self {
        let mut all: Vec<(f64, bool)> = one.iter().map(|value| (*value, true)).collect();
        all.extend(other.iter().map(|value| (*value, false)));
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut of_one = 0.0;
        let mut at = 0;
        while at < all.len() {
            let equal = all[at..]
                .iter()
                .take_while(|(value, _)| value.total_cmp(&all[at].0).is_eq())
                .count();
            // Equal values share their ranks.
            let rank = f64::midpoint(float(at + 1), float(at + equal));
            let ours = all[at..at + equal].iter().filter(|(_, is_one)| *is_one).count();
            of_one += rank * float(ours);
            at += equal;
        }
        let [n, m] = [float(one.len()), float(other.len())];
        let u = of_one - n * (n + 1.0) / 2.0;
        Self { z: (u - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt() }
    }

    /// How often chance alone makes two series of one kind differ as much.
    pub fn p(self) -> f64 {
        2.0 * upper_tail(self.z.abs())
    }
}

/// Of the normal distribution (Abramowitz and Stegun, 26.2.17).
fn upper_tail(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let series = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    density * series.iter().rev().fold(0.0, |sum, factor| (sum + factor) * t)
}

/// The value in the middle.
///
/// # Panics
/// If there is none.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "some thousands")]
fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A series that looks like chance and is the same each time.
    fn noise(seed: u64) -> Vec<f64> {
        let step =
            |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        let states = std::iter::successors(Some(seed), step).skip(9).take(2_000);
        states.map(|state| f64::from(u32::try_from(state >> 40).unwrap())).collect()
    }

    #[test]
    fn series_of_one_kind_are_not_told_apart() {
        let p = RankTest::of(&noise(1), &noise(2)).p();
        assert!(p > 0.01, "{p}");
        let same = noise(3);
        assert!(RankTest::of(&same, &same).p() > 0.99);
        assert!(
            RankTest::of(&[1.0; 50], &[1.0; 50]).z.is_nan()
                || RankTest::of(&[1.0; 50], &[1.0; 50]).p() > 0.99
        );
    }

    #[test]
    fn a_small_shift_of_all_values_is_seen() {
        let shifted: Vec<f64> = noise(2).iter().map(|value| value * 1.1).collect();
        assert!(RankTest::of(&noise(1), &shifted).p() < 0.001);
        // Values that stand out say nothing.
        let mut odd = noise(2);
        odd[..5].fill(1e12);
        assert!(RankTest::of(&noise(1), &odd).p() > 0.01);
    }

    /// Mann and Whitney's own hare and tortoise: U = 25 of 36, so z = 7 / sqrt(39).
    #[test]
    fn a_known_case_has_its_known_value() {
        let [tortoise, hare] =
            [[1, 7, 8, 9, 10, 11], [2, 3, 4, 5, 6, 12]].map(|ranks| ranks.map(f64::from));
        let compared = RankTest::of(&tortoise, &hare);
        assert!((compared.z - 7.0 / 39.0_f64.sqrt()).abs() < 1e-9, "{compared:?}");
        assert!((compared.p() - 0.2623).abs() < 1e-3, "{}", compared.p());
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }
}
