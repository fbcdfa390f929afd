//! `pagerank`: one round of page rank.

use mapfold_job::{Coded, Emitter, Fold, Job, JobError, ParamValue, Record, Rows, Values, params};
use serde_bytes::ByteBuf;

use crate::column::{Columns, Delimiter};
use crate::number::{Number, write_decimal};
use crate::passed_over::is_passed_over;

params! {
    /// Parameters of `pagerank`.
    pub struct PageRankParams {
        /// The share of a page's rank that goes to the pages that it links to.
        pub damping: Damping = Damping(850_000),
    }
}

/// A share from 0 to 1, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damping(u32);

const MILLION: u32 = 1_000_000;

impl ParamValue for Damping {
    const KIND: &'static str = "number";
    const EXPECTED: &'static str = "a number from 0 to 1, with at most 6 digits after the point";

    fn parse(typed: &str) -> Option<Self> {
        let share = parts(Number::parse(typed.as_bytes()).ok()?, -6)?;
        let share = u32::try_from(share).ok()?;
        (share <= MILLION).then_some(Self(share))
    }

    fn show(&self) -> String {
        let mut shown = Vec::new();
        write_decimal(false, self.0.to_string().as_bytes(), -6, &mut shown);
        String::from_utf8_lossy(&shown).into_owned()
    }
}

/// A rank, in units of 10^-12: so sums do not depend on the order of adding.
type Rank = u128;

const RANK_EXPONENT: i16 = -12;

/// The rank of a page that nothing is known of.
const ONE: Rank = 1_000_000_000_000;

/// No page has more, nor all together.
const RANK_MAX: Rank = ONE * ONE;

/// Passes ranks on.
pub struct PageRank {
    damping: Damping,
    /// Page, rank, links.
    columns: Columns<3>,
}

impl Job for PageRank {
    type Params = PageRankParams;
    type Key = Vec<u8>;
    /// What a page gets, and its links if it has a record.
    type Value = Coded<(Rank, Option<ByteBuf>)>;

    const NAME: &'static str = "pagerank";
    const SUMMARY: &'static str = "one round of page rank: pages with new ranks, and their links";
    const HELP: &'static str = "A record is a page, its rank, and the pages that it links to with blanks between, with TABs between the three; a rank that is empty is 1. A row is \
        the same with the page's new rank: 0.15, and 0.85 (`-p damping=0.85`) of what it is given. A page gives equal shares of its rank to its links. So a round \
        takes the output of the one before it; twenty are enough for most graphs, and `topk -p by=2` tells the pages with the highest rank.\n\n\
        Ranks sum to the number of pages if all have links; what a page without links has is passed to nobody. A page that others link to and that \
        has no record of its own has one in the output, without links. Of a page with several records the links are those of all.\n\n\
        Ranks are decimal numbers of 12 digits after the point, cut off there: they do not depend on the order of the records. A record without \
        these columns, or with a rank that is no number from 0 to 10^12, is an error; `--skip-bad N` puts it aside. Empty records are left out and counted by the counter \
        `empty-records`.";
    const FOLD: Option<Fold<Self>> = Some(|_, _, (rank, links), (more_rank, more_links)| {
        *rank += more_rank;
        match (links, more_links) {
            (Some(links), Some(more)) => {
                links.push(b' ');
                links.extend_from_slice(&more);
            }
            (links, more) if links.is_none() => *links = more,
            _ => {}
        }
    });

    fn new(params: PageRankParams) -> Result<Self, JobError> {
        Ok(Self {
            damping: params.damping,
            columns: Columns::new([1, 2, 3], Delimiter::TAB)?,
        })
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        if is_passed_over(record, false, out) {
            return Ok(());
        }
        let [page, rank, links] = self.columns.of(record.bytes)?;
        let rank = if rank.is_empty() {
            ONE
        } else {
            let number = self.columns.number(1, &rank)?;
            let rank = parts(number, RANK_EXPONENT).and_then(|rank| Rank::try_from(rank).ok());
            rank.filter(|rank| *rank <= RANK_MAX)
                .ok_or("a rank is 0 to 10^12")?
        };
        let each = links
            .split(|byte| *byte == b' ')
            .filter(|link| !link.is_empty());
        let share = rank / (each.clone().count().max(1) as Rank);
        for link in each {
            out.emit(link, (share, None));
        }
        out.emit(&page, (0, Some(ByteBuf::from(links.trim_ascii()))));
        Ok(())
    }

    fn reduce(
        &self,
        page: &[u8],
        given: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        for (given, links) in given.owned() {
            let damping = Rank::from(self.damping.0);
            let million = Rank::from(MILLION);
            let rank = (given * damping + ONE * (million - damping)) / million;
            let mut shown = Vec::new();
            write_decimal(
                false,
                rank.to_string().as_bytes(),
                RANK_EXPONENT.into(),
                &mut shown,
            );
            rows.row(page, (shown, links.unwrap_or_default().into_vec()));
        }
        Ok(())
    }
}

/// A number in parts of 10 to the `exponent`, which it must not be finer than by more than can be cut off; none, if it is too large.
fn parts(number: Number, exponent: i16) -> Option<i128> {
    let (parts, own) = number.parts();
    let unit = 10_i128.checked_pow(u32::from(own.abs_diff(exponent)));
    if own >= exponent {
        parts.checked_mul(unit?)
    } else {
        Some(unit.map_or(0, |unit| parts / unit))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mapfold_job::Trial;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranks_are_passed_on_to_links() {
        let pages = "a\t\tb c\nb\t1\tc\n\nc\t2.5\ta\nd\t1\tnew\ne\t4\t\n";
        let tried = Trial::<PageRank>::of(pages).check().unwrap();
        assert_eq!(
            tried.rows(),
            [
                "a\t2.275\tb c",
                "b\t0.575\tc",
                "c\t1.425\ta",
                "d\t0.15\tnew",
                "e\t0.15\t",
                "new\t1\t"
            ]
        );
        let half = Trial::<PageRank>::of("a\t1\ta\nb\t1e-13\ta a a\n")
            .param("damping", "0.5")
            .run()
            .unwrap();
        assert_eq!(half.rows(), ["a\t1\ta", "b\t0.5\ta a a"]);
    }

    #[test]
    fn what_is_no_page_is_told() {
        for (text, want) in [
            ("a\n", "there is no column 2"),
            ("a\t1\n", "there is no column 3"),
            ("a\tx\tb\n", "column 2 is no number: `x`"),
            ("a\t-1\tb\n", "a rank is 0 to 10^12"),
            ("a\t1e13\tb\n", "a rank is 0 to 10^12"),
        ] {
            let error = Trial::<PageRank>::of(text).run().map(drop);
            assert!(format!("{:?}", error.unwrap_err()).contains(want), "{text}");
        }
        let refused = Trial::<PageRank>::of("")
            .param("damping", "1.1")
            .run()
            .map(drop);
        assert!(format!("{:?}", refused.unwrap_err()).contains("a number from 0 to 1"));
    }

    #[test]
    fn twenty_rounds_are_near_to_where_ranks_do_not_change() {
        // A ring with a chord: its ranks solve linear equations.
        let mut pages = "a\t\tb\nb\t\tc a\nc\t\ta\n".to_owned();
        for _ in 0..60 {
            pages = Trial::<PageRank>::of(&pages)
                .run()
                .unwrap()
                .rows()
                .join("\n")
                + "\n";
        }
        let ranks: Vec<f64> = pages
            .lines()
            .map(|line| line.split('\t').nth(1).unwrap().parse().unwrap())
            .collect();
        let [a, b, c] = ranks[..] else {
            panic!("three pages")
        };
        assert!((a - (0.15 + 0.85 * (b / 2.0 + c))).abs() < 1e-6);
        assert!((b - (0.15 + 0.85 * a)).abs() < 1e-6);
        assert!((c - (0.15 + 0.85 * b / 2.0)).abs() < 1e-6);
        assert!((a + b + c - 3.0).abs() < 1e-6);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn ranks_are_those_of_a_plain_program(links in proptest::collection::vec((0..9_u8, proptest::collection::vec(0..9_u8, 0..5)), 0..15)) {
            let mut ranks: BTreeMap<u8, f64> = BTreeMap::new();
            let mut text = String::new();
            for (page, links) in &links {
                ranks.entry(*page).or_insert(0.15);
                for link in links {
                    *ranks.entry(*link).or_insert(0.15) += 0.85 / links.len() as f64;
                }
                let links: Vec<String> = links.iter().map(u8::to_string).collect();
                text += &format!("{page}\t1\t{}\n", links.join(" "));
            }
            let rows = Trial::<PageRank>::of(text).split_size(20).run().unwrap().rows();
            prop_assert_eq!(rows.len(), ranks.len());
            for (row, (page, rank)) in rows.iter().zip(ranks) {
                let columns: Vec<&str> = row.split('\t').collect();
                prop_assert_eq!(columns[0], page.to_string());
                prop_assert!((columns[1].parse::<f64>().unwrap() - rank).abs() < 1e-9);
            }
        }
    }
}
