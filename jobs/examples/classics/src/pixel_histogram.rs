//! How often each shade occurs in an image.

use mapfold_job::{Emitter, Fold, Job, JobError, NoParams, Record, Rows, Values};

/// Counts shades of red, green and blue.
pub struct PixelHistogram;

const COLOURS: [&str; 3] = ["red", "green", "blue"];

impl Job for PixelHistogram {
    type Params = NoParams;
    /// Colour and shade.
    type Key = (u8, u8);
    type Value = u64;

    const NAME: &'static str = "pixel-histogram";
    const SUMMARY: &'static str = "how often each shade of red, green and blue occurs in an image";
    const HELP: &'static str =
        "Give it raw pixels: `--format fixed:3`. A row is colour, shade, and the number of pixels.";
    const FOLD: Option<Fold<Self>> = Some(|_, _, sum, n| *sum += n);

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let pixel: [u8; 3] = record.bytes.try_into()?;
        for (colour, shade) in (0..).zip(pixel) {
            out.emit((colour, shade), 1);
        }
        Ok(())
    }

    fn reduce(
        &self,
        (colour, shade): (u8, u8),
        counts: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        let colour = COLOURS[usize::from(colour)];
        rows.row((colour, shade), counts.owned().sum::<u64>());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use mapfold_job::{Format, Trial};

    use super::*;

    #[test]
    fn shades_are_counted_by_colour() {
        let pixel = Format::Fixed(NonZeroU32::new(3).unwrap());
        let trial = Trial::<PixelHistogram>::of([0, 10, 255, 0, 10, 7]).format(pixel);
        let want = ["red\t0\t2", "green\t10\t2", "blue\t7\t1", "blue\t255\t1"];
        assert_eq!(trial.check().unwrap().rows(), want);
    }
}
