//! `kmeans`: one round of k-means clustering (Lloyd's).

use mapfold_job::{
    Coded, Emitter, Field, Fold, Job, JobError, Partition, Record, Rows, SideFile, Values, params,
};
use serde::{Deserialize, Serialize};

use crate::column::{ColumnError, Columns, Delimiter, Numbers};
use crate::number::Number;
use crate::passed_over::is_passed_over;
use crate::sum::Sum;

params! {
    /// Parameters of `kmeans`.
    pub struct KMeansParams {
        /// A file with the centres: a name and coordinates in each line, with TABs between; what comes after them is not looked at.
        pub centers: SideFile,
        /// The columns of a point's coordinates, counted from 1, with commas between.
        pub columns: Numbers = Numbers::one(),
        /// What stands between the columns of points: one ASCII character, or `tab`.
        pub delimiter: Delimiter = Delimiter::TAB,
        /// The first line of each file names the columns and is left out.
        pub header: bool = false,
    }
}

/// Moves centres to the middle of the points that they are nearest to.
pub struct KMeans {
    centers: Vec<Center>,
    columns: Vec<Columns<1>>,
    header: bool,
}

/// Where a cluster was in the round before.
struct Center {
    name: Vec<u8>,
    /// As they stand in the file.
    texts: Vec<Vec<u8>>,
    place: Vec<f64>,
}

/// Points that are nearest to one centre.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Cluster {
    count: u64,
    /// Of each coordinate; none, if there is no point.
    sums: Vec<Sum>,
}

/// What an attempt has seen.
#[derive(Default)]
struct Seen {
    clusters: Vec<Cluster>,
    /// The point at hand.
    place: Vec<f64>,
    numbers: Vec<Number>,
}

impl Job for KMeans {
    type Params = KMeansParams;
    /// The number of a centre.
    type Key = u32;
    type Value = Coded<Cluster>;

    const NAME: &'static str = "kmeans";
    const SUMMARY: &'static str =
        "one round of k-means: centres, moved to the middle of their points";
    const HELP: &'static str = "A record is a point: numbers in columns (`-p columns=1,2`). Each is nearest to one of the centres in the file `-p centers=FILE`, by the sum of \
        squared differences (the first of those that are equally near). A row is a centre's name, the means of its points' coordinates, and their number, with TABs between; a centre \
        without points stays where it was. With `--times 20` there are up to 20 rounds, each with the centres that the one before has left, until \
        nothing changes any more. Centres to begin with may be any points, such as the first few, each with a name before it.\n\n\
        Means are of exact decimal sums, to six digits more after the point than the sum has: they do not depend on the order of the points. Which centre is nearest \
        is reckoned with 64-bit floats.\n\n\
        A record without these columns, or with one that is no number, is an error; `--skip-bad N` puts it aside. With the delimiter `,` or `;` columns may stand in double \
        quotes. Empty records are left out and counted by the counter `empty-records`.";
    const REFINES: Option<&'static str> = Some("centers");
    // The part files, one after another, have the centres in their order, whatever the number of parts: what changes from round to round is
    // where they are.
    const PARTITION: Option<Partition<Self>> = Some(|job, number, partitions| {
        let place = u64::from(number) * u64::from(partitions) / job.centers.len() as u64;
        u32::try_from(place).unwrap_or(u32::MAX)
    });
    const FOLD: Option<Fold<Self>> = Some(|_, _, cluster, more| cluster.join(more));

    fn new(params: KMeansParams) -> Result<Self, JobError> {
        let columns = params.columns.columns(params.delimiter)?;
        let numbered = (1..)
            .zip(params.centers.lines())
            .filter(|(_, line)| !line.is_empty());
        let centers = numbered.map(|(number, line)| {
            Center::parse(line, columns.len())
                .map_err(|error| format!("line {number} of `centers` is no centre: {error}"))
        });
        let centers: Vec<Center> = centers.collect::<Result<_, _>>()?;
        if centers.is_empty() {
            return Err("there is no centre in `centers`".into());
        }
        Ok(Self {
            centers,
            columns,
            header: params.header,
        })
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        if is_passed_over(record, self.header, out) {
            return Ok(());
        }
        let seen = out.state::<Seen>();
        seen.place.clear();
        seen.numbers.clear();
        for column in &self.columns {
            let [text] = column.of(record.bytes)?;
            seen.numbers.push(column.number(0, &text)?);
            seen.place.push(float(&text));
        }
        seen.clusters.resize(self.centers.len(), Cluster::default());
        seen.clusters[self.nearest(&seen.place)].add(&seen.numbers);
        Ok(())
    }

    fn finish_map(&self, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let mut clusters = out.take_state::<Seen>().clusters;
        // Those without points too, so that no centre is lost.
        clusters.resize(self.centers.len(), Cluster::default());
        for (number, cluster) in (0..).zip(clusters) {
            out.emit(number, cluster);
        }
        Ok(())
    }

    fn reduce(
        &self,
        number: u32,
        clusters: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        let center = &self.centers[number as usize];
        for cluster in clusters.owned() {
            let mut columns = Vec::new();
            if cluster.count == 0 {
                columns.extend_from_slice(&center.texts.join(&b'\t'));
                columns.push(b'\t');
            }
            for sum in &cluster.sums {
                sum.mean(cluster.count).write(&mut columns);
                columns.push(b'\t');
            }
            cluster.count.write(&mut columns);
            rows.row(&center.name, columns);
        }
        Ok(())
    }
}

impl KMeans {
    fn nearest(&self, place: &[f64]) -> usize {
        let (mut nearest, mut least) = (0, f64::INFINITY);
        for (number, center) in self.centers.iter().enumerate() {
            let squares = center
                .place
                .iter()
                .zip(place)
                .map(|(one, other)| (one - other) * (one - other));
            let distance: f64 = squares.sum();
            if distance < least {
                (nearest, least) = (number, distance);
            }
        }
        nearest
    }
}

impl Center {
    fn parse(line: &[u8], dimensions: usize) -> Result<Self, ColumnError> {
        let column = |number: usize| {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            Columns::new([number], Delimiter::TAB)
        };
        let [name] = column(1)?.of(line)?;
        let (mut texts, mut place) = (Vec::new(), Vec::new());
        for number in 2..dimensions + 2 {
            let column = column(number)?;
            let [text] = column.of(line)?;
            column.number(0, &text)?;
            place.push(float(&text));
            texts.push(text.into_owned());
        }
        Ok(Self {
            name: name.into_owned(),
            texts,
            place,
        })
    }
}

/// The float nearest to a text that is a number.
fn float(text: &[u8]) -> f64 {
    let text = str::from_utf8(text.trim_ascii()).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
}

impl Cluster {
    fn add(&mut self, numbers: &[Number]) {
        self.count += 1;
        self.sums.resize(numbers.len(), Sum::default());
        for (sum, number) in self.sums.iter_mut().zip(numbers) {
            sum.add(*number);
        }
    }

    fn join(&mut self, more: Self) {
        if self.count == 0 {
            *self = more;
            return;
        }
        self.count += more.count;
        for (sum, more) in self.sums.iter_mut().zip(&more.sums) {
            sum.add_sum(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use mapfold_job::Trial;
    use proptest::prelude::*;

    use super::*;
    use crate::passed_over::EMPTY;

    fn trial(points: &str, centers: &str) -> Trial<KMeans> {
        Trial::of(points)
            .param("columns", "1,2")
            .param("delimiter", ",")
            .side_file("centers", centers)
    }

    #[test]
    fn centres_move_to_the_middle_of_their_points() {
        let points = "0,0\r\n0,1\n\n10,10.5\n1e1,1.15e1\n\"1\",0.5\n";
        let centers = "low\t0\t0\nhigh\t9\t9\t7\n\nfar\t-99.50\t1e2\n";
        let tried = trial(points, centers).check().unwrap();
        assert_eq!(
            tried.rows(),
            [
                "low\t0.333333\t0.5\t3",
                "high\t10\t11\t2",
                "far\t-99.50\t1e2\t0"
            ]
        );
        assert_eq!(tried.counter(EMPTY), 1);
        let empty = trial("", centers).check().unwrap();
        assert_eq!(
            empty.rows(),
            ["low\t0\t0\t0", "high\t9\t9\t0", "far\t-99.50\t1e2\t0"]
        );
    }

    #[test]
    fn rounds_come_to_rest() {
        let points: String = (0..60)
            .map(|n| format!("{},{}\n", n % 20 + n / 30 * 100, n * 7 % 20))
            .collect();
        let mut centers = "a\t0\t0\nb\t1\t1\n".to_owned();
        for round in 0.. {
            assert!(round < 20);
            let next = trial(&points, &centers).run().unwrap().rows().join("\n");
            if next == centers {
                break;
            }
            centers = next;
        }
        let counts: Vec<&str> = centers
            .lines()
            .map(|line| line.rsplit('\t').next().unwrap())
            .collect();
        assert_eq!(counts, ["30", "30"]);
    }

    #[test]
    fn what_is_no_point_or_centre_is_told() {
        let error = |trial: Trial<KMeans>| format!("{:?}", trial.run().map(drop).unwrap_err());
        assert!(error(trial("1\n", "a\t0\t0\n")).contains("there is no column 2"));
        assert!(error(trial("1,x\n", "a\t0\t0\n")).contains("column 2 is no number: `x`"));
        assert!(error(trial("", "")).contains("there is no centre in `centers`"));
        assert!(
            error(trial("", "a\t0\t0\nb\t0\n"))
                .contains("line 2 of `centers` is no centre: there is no column 3")
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn rows_are_those_of_a_plain_program(
            points in proptest::collection::vec((-50..50_i64, -50..50_i64), 0..60), centers in proptest::collection::vec((-50..50_i64, -50..50_i64), 1..5)
        ) {
            let mut clusters = vec![Vec::new(); centers.len()];
            for (x, y) in &points {
                let distance = |center: &(i64, i64)| (center.0 - x).pow(2) + (center.1 - y).pow(2);
                let nearest = (0..centers.len()).min_by_key(|number| distance(&centers[*number])).unwrap();
                clusters[nearest].push((*x, *y));
            }
            let text: String = points.iter().map(|(x, y)| format!("{x},{y}\n")).collect();
            let lines: String = centers.iter().enumerate().map(|(name, (x, y))| format!("{name}\t{x}\t{y}\n")).collect();
            let rows = trial(&text, &lines).split_size(30).run().unwrap().rows();
            prop_assert_eq!(rows.len(), centers.len());
            for ((row, cluster), center) in rows.iter().zip(clusters).zip(centers) {
                let columns: Vec<f64> = row.split('\t').map(|column| column.parse().unwrap()).collect();
                let count = cluster.len() as f64;
                prop_assert_eq!(columns[3], count);
                let mean = |sum: i64, old: i64| if count == 0.0 { old as f64 } else { sum as f64 / count };
                prop_assert!((columns[1] - mean(cluster.iter().map(|point| point.0).sum(), center.0)).abs() < 1e-5);
                prop_assert!((columns[2] - mean(cluster.iter().map(|point| point.1).sum(), center.1)).abs() < 1e-5);
            }
        }
    }
}
