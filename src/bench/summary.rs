//! Medians and spreads.

use super::race::Measured;

/// Of one measure over all runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// Median of the distances to the median: a spread that one bad run does not change.
    pub(crate) mad: f64,
}

impl Summary {
    /// Of at least one value.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        let middle = median(&mut values);
        let mut distances: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
        Self {
            median: middle,
            min: values.first().copied().unwrap_or_default(),
            max: values.last().copied().unwrap_or_default(),
            mad: median(&mut distances),
        }
    }
}

/// Sorts them, too.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n.is_multiple_of(2) => f64::midpoint(values[n / 2 - 1], values[n / 2]),
        n => values[n / 2],
    }
}

impl Measured {
    /// Seconds from start to end.
    pub(crate) fn wall(&self) -> Summary {
        Summary::of(self.trials.iter().map(|trial| trial.wall.as_secs_f64()))
    }

    /// Seconds of all CPUs.
    pub(crate) fn cpu(&self) -> Summary {
        Summary::of(self.trials.iter().map(|trial| trial.cpu().as_secs_f64()))
    }

    /// Those in the program.
    pub(crate) fn user(&self) -> Summary {
        Summary::of(self.trials.iter().map(|trial| trial.user.as_secs_f64()))
    }

    /// Those in the kernel.
    pub(crate) fn system(&self) -> Summary {
        Summary::of(self.trials.iter().map(|trial| trial.system.as_secs_f64()))
    }

    /// Bytes.
    pub(crate) fn peak_memory(&self) -> Summary {
        #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
        let bytes = self
            .trials
            .iter()
            .map(|trial| trial.peak_memory.bytes() as f64);
        Summary::of(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[f64], median: f64, mad: f64) {
        let summary = Summary::of(values.iter().copied());
        assert_eq!((summary.median, summary.mad), (median, mad));
    }

    #[test]
    fn one_bad_run_moves_neither_median_nor_spread() {
        check(&[2.0], 2.0, 0.0);
        check(&[1.0, 3.0], 2.0, 1.0);
        check(&[2.0, 1.0, 3.0, 2.0, 90.0], 2.0, 1.0);
    }
}
