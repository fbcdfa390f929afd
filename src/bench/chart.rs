//! One measure of all contenders as horizontal bars, in SVG. Colours come from the page's style, so that it is readable in
//! light and dark.

use std::fmt::Write as _;

use super::page::escape;

/// A figure.
pub(crate) struct Chart<'a> {
    /// What is measured, and what is better.
    pub(crate) title: &'a str,
    pub(crate) bars: Vec<Bar<'a>>,
}

/// A contender.
pub(crate) struct Bar<'a> {
    pub(crate) name: &'a str,
    /// Stacked, each with the name of its style.
    pub(crate) parts: Vec<(f64, &'static str)>,
    /// Each run, drawn as a dot.
    pub(crate) dots: Vec<f64>,
    /// Stands behind the bar.
    pub(crate) label: String,
    /// Drawn in the first colour.
    pub(crate) own: bool,
}

const NAMES_WIDTH: f64 = 130.0;
const BARS_WIDTH: f64 = 430.0;
const LABELS_WIDTH: f64 = 160.0;
const BAR_HEIGHT: f64 = 18.0;
const STEP: f64 = 30.0;

impl Chart<'_> {
    /// A `figure` element.
    pub(crate) fn svg(&self) -> String {
        let largest = |bar: &Bar<'_>| {
            let end: f64 = bar.parts.iter().map(|(length, _)| length).sum();
            bar.dots.iter().copied().fold(end, f64::max)
        };
        let most = self
            .bars
            .iter()
            .map(largest)
            .fold(f64::MIN_POSITIVE, f64::max);
        let scale = BARS_WIDTH / most;
        #[expect(clippy::cast_precision_loss, reason = "there are few bars")]
        let height = self.bars.len() as f64 * STEP + 4.0;
        let width = NAMES_WIDTH + BARS_WIDTH + LABELS_WIDTH;
        let mut svg = format!(
            "<figure><figcaption>{}</figcaption>\n<svg viewBox=\"0 0 {width} {height}\" role=\"img\">\n",
            escape(self.title)
        );
        let mut top = 4.0;
        for bar in &self.bars {
            bar.draw(&mut svg, top, scale);
            top += STEP;
        }
        svg += "</svg></figure>\n";
        svg
    }
}

impl Bar<'_> {
    fn draw(&self, svg: &mut String, top: f64, scale: f64) {
        let middle = top + BAR_HEIGHT / 2.0;
        let own = if self.own { " own" } else { "" };
        let _ = writeln!(
            svg,
            "<text class=\"name{own}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            NAMES_WIDTH - 8.0,
            middle + 4.0,
            escape(self.name)
        );
        let mut x = NAMES_WIDTH;
        for (length, style) in &self.parts {
            let width = length * scale;
            let _ = writeln!(
                svg,
                "<rect class=\"{style}{own}\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\"/>"
            );
            x += width;
        }
        let mut end = x;
        for dot in &self.dots {
            let at = NAMES_WIDTH + dot * scale;
            end = end.max(at);
            let _ = writeln!(svg, "<circle cx=\"{at:.1}\" cy=\"{middle:.1}\" r=\"2.5\"/>");
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            end + 8.0,
            middle + 4.0,
            escape(&self.label)
        );
    }
}
