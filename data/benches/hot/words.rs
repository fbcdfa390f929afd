//! Keys as a text has them.

use std::ops::Range;

/// Words drawn as Zipf would (exponent 1): few that come often, many that come once.
pub(crate) struct Words {
    text: Vec<u8>,
    words: Vec<Range<usize>>,
}

impl Words {
    /// `count` words out of `distinct`, of 2 to 17 letters.
    pub(crate) fn draw(count: usize, distinct: u32) -> Self {
        let mut random = Random(1);
        let mut text = Vec::new();
        let words = (0..count).map(|_| {
            let begin = text.len();
            let number = random.zipf(distinct).wrapping_mul(0x9e37_79b9);
            text.extend_from_slice(format!("w{number:x}").as_bytes());
            begin..text.len()
        });
        Self {
            words: words.collect(),
            text,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.words.len()
    }

    /// What all words are slices of.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.words.iter().map(|word| &self.text[word.clone()])
    }
}

/// A stream of numbers, the same every time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        self.0
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the draw is a whole number below `distinct`"
    )]
    fn zipf(&mut self, distinct: u32) -> u64 {
        let uniform = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        f64::from(distinct).powf(uniform) as u64
    }
}
