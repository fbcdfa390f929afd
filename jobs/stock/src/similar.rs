//! `similar`: documents that are nearly the same.

mod signature;

use std::collections::HashMap;

use mapfold_job::{Emitter, Job, JobError, Record, Rows, Values, params};

use crate::column::Delimiter;
use crate::fields::Typed;
use signature::{Sketcher, similarity};

params! {
    /// Parameters of `similar`.
    pub struct SimilarParams {
        /// Where a document's name stands: a column, counted from 1, or the name of a field; nothing is where it is: file, `:`, offset.
        pub id: String = String::new(),
        /// Where its text stands, as `id`; nothing is the whole record.
        pub text: String = String::new(),
        /// What stands between columns: one ASCII character, or `tab`.
        pub delimiter: Delimiter = Delimiter::TAB,
        /// Records are JSON objects.
        pub json: bool = false,
        /// Documents are compared by the runs of so many words that they have in common.
        pub words: u32 = 5,
        /// Tell pairs of at least this similarity, 0 to 1.
        pub least: f64 = 0.8,
        /// Documents are compared that have one band in common, of so many.
        pub bands: u32 = 16,
        /// Numbers in a band, 1 to 14: the more, the more alike two documents must be to be compared.
        pub band: u32 = 8,
    }
}

/// More words in a row hardly ever come twice.
const WORDS_MAX: u32 = 64;

/// More numbers of a document do not make its similarity much more exact.
const NUMBERS_MAX: u32 = 4096;

/// A band with its number fits the slots and compares of short keys.
const BAND_MAX: u32 = 14;

/// Of documents that share a band, each is compared with no more than so many before it.
const COMPARED_MAX: usize = 1000;

/// The counter of documents that are left out because they have no words.
const NO_WORDS: &str = "no-words";

/// The counter of documents that share a band with more than [`COMPARED_MAX`] different ones before them.
const CROWDED: &str = "crowded";

/// Finds near-duplicates.
pub struct Similar {
    id: Option<Typed<1>>,
    text: Option<Typed<1>>,
    sketcher: Sketcher,
    /// Numbers in a band.
    band: usize,
    least: f64,
}

impl Job for Similar {
    type Params = SimilarParams;
    /// The number of a band, and what is in it.
    type Key = (u16, Vec<u8>);
    /// All numbers of a document, and its name.
    type Value = Vec<u8>;

    const NAME: &'static str = "similar";
    const SUMMARY: &'static str = "pairs of documents that are nearly the same, by MinHash";
    const HELP: &'static str = "A row is the names of two documents and their similarity, with TABs between: the share of runs of `-p words=5` words, of all that either has, \
        that both have (the Jaccard index; words are runs of letters, in lower case). It is estimated from 128 numbers of each document (`bands` times \
        `band`, MinHash): the error is about 0.044 at 0.5, 0.035 at 0.8, none for equal texts; more numbers make it less. Pairs \
        are told that are estimated at `-p least=0.8` or more. Of texts that are estimated the same, the first is paired with each other and stands for all of them.\n\n\
        Documents are compared that agree in all 8 numbers of one of 16 bands. Of pairs of similarity 0.9 one in 8,000 is missed, of 0.85 one in 160, \
        of 0.8 one in 19, of 0.7 two in 5; in general (1 - s^band)^bands. Of documents that share a band with more than 1,000 different ones before \
        them (counter `crowded`), the last 1,000 are compared.\n\n\
        A document is a record: a line, or with `--format files` a file. Its name and text may be columns (`-p id=1 -p text=2`) or fields by name (`-p id=url -p text=body`): of a header \
        that the format knows (`--format csv`), else of JSON objects. \
        Documents without words are counted by the counter `no-words`; a record without these columns or fields is an error, which `--skip-bad N` puts aside. \
        The job `components` makes groups of pairs.";

    fn new(params: SimilarParams) -> Result<Self, JobError> {
        let fields = |typed: &str| Typed::if_any(typed, params.delimiter, params.json);
        if !(1..=WORDS_MAX).contains(&params.words) {
            return Err(format!("`words` is 1 to {WORDS_MAX}").into());
        }
        if !(1..=BAND_MAX).contains(&params.band) {
            return Err(format!("`band` is 1 to {BAND_MAX}").into());
        }
        let numbers = params.bands.saturating_mul(params.band);
        if params.bands == 0 || numbers > NUMBERS_MAX {
            return Err(format!(
                "`bands` times `band` is at most {NUMBERS_MAX}, and there is a band"
            )
            .into());
        }
        if !(0.0..=1.0).contains(&params.least) {
            return Err("`least` is 0 to 1".into());
        }
        Ok(Self {
            id: fields(&params.id)?,
            text: fields(&params.text)?,
            sketcher: Sketcher {
                words: params.words as usize,
                numbers: numbers as usize,
            },
            band: params.band as usize,
            least: params.least,
        })
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let text = match &self.text {
            Some(text) => text.within(record.header())?.of(record.bytes)?,
            None => [record.bytes.into()],
        };
        let Some(mut document) = self.sketcher.sketch(&text[0]) else {
            out.count(NO_WORDS, 1);
            return Ok(());
        };
        match &self.id {
            Some(id) => {
                let [id] = id.within(record.header())?.of(record.bytes)?;
                document.extend_from_slice(&id);
            }
            None => {
                document.extend_from_slice(record.file.name.as_bytes());
                document.extend_from_slice(format!(":{}", record.offset).as_bytes());
            }
        }
        let bands = document[..self.sketcher.numbers].chunks(self.band);
        for (number, band) in (0..).zip(bands) {
            out.emit((number, band), &document);
        }
        Ok(())
    }

    fn reduce(
        &self,
        (band, _): (u16, &[u8]),
        documents: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        // The first of all documents with the same numbers, in order; and where that is.
        let mut different: Vec<Vec<u8>> = Vec::new();
        let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
        while let Some(document) = documents.next() {
            let (numbers, name) = document.split_at(self.sketcher.numbers);
            if let Some(place) = places.get(numbers) {
                if band == 0 {
                    let (_, first) = different[*place].split_at(self.sketcher.numbers);
                    rows.row(first, (name, "1.000"));
                }
                continue;
            }
            let compared = different.len().saturating_sub(COMPARED_MAX);
            if compared > 0 {
                rows.count(CROWDED, 1);
            }
            for other in &different[compared..] {
                let (other_numbers, other_name) = other.split_at(self.sketcher.numbers);
                if self.first_in_common(other_numbers, numbers) != Some(usize::from(band)) {
                    continue;
                }
                let similarity = similarity(other_numbers, numbers);
                if similarity >= self.least {
                    rows.row(other_name, (name, format!("{similarity:.3}")));
                }
            }
            places.insert(numbers.to_vec(), different.len());
            different.push(document.to_vec());
        }
        Ok(())
    }
}

impl Similar {
    /// The first band that two documents have in common: in it, and in no other, the pair is told.
    fn first_in_common(&self, one: &[u8], other: &[u8]) -> Option<usize> {
        one.chunks(self.band)
            .zip(other.chunks(self.band))
            .position(|(one, other)| one == other)
    }
}

#[cfg(test)]
mod tests {
    use mapfold_job::{Format, Trial};
    use proptest::prelude::*;

    use super::*;

    /// So many words, a change of one in so many; without chance.
    fn text(words: usize, changed_every: usize, seed: usize) -> String {
        let word = |n: usize| {
            let letters = n.wrapping_mul(2_654_435_761) % 456_976;
            let letter = |place| {
                char::from(b'a' + u8::try_from(letters / 26_usize.pow(place) % 26).unwrap())
            };
            (0..4).map(letter).collect::<String>()
        };
        let changed = |n: usize| n % changed_every == changed_every - 1;
        let words = (0..words).map(|n| word(n + if changed(n) { seed * 10_000 } else { 0 }));
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn near_duplicates_are_paired_and_others_are_not() {
        let documents = [
            ("one", text(500, 1000, 0)),
            ("other", text(500, 250, 7)),
            ("third", text(500, 3, 9)),
            ("twin", text(500, 1000, 0).to_uppercase()),
            ("none", "12 34".to_owned()),
            ("short", "word".to_owned()),
            ("shorter", "Word!".to_owned()),
        ];
        let lines: String = documents
            .iter()
            .map(|(name, text)| format!("{name}\t{text}\n"))
            .collect();
        let trial = Trial::<Similar>::of(lines).param("id", 1).param("text", 2);
        let tried = trial.check().unwrap();
        let mut rows = tried.rows();
        rows.sort();
        let pairs: Vec<&str> = rows
            .iter()
            .map(|row| row.rsplit_once('\t').unwrap().0)
            .collect();
        assert_eq!(pairs, ["one\tother", "one\ttwin", "short\tshorter"]);
        assert!(rows[1].ends_with("\t1.000") && !rows[0].ends_with("\t1.000"));
        assert_eq!(tried.counter(NO_WORDS), 1);
    }

    #[test]
    fn a_document_is_named_by_its_place() {
        let trial = Trial::<Similar>::new()
            .file("a.txt", "the same words in two files\n")
            .file("b.txt", "The same words\nin two files.")
            .format(Format::Files);
        assert_eq!(trial.check().unwrap().rows(), ["a.txt:0\tb.txt:0\t1.000"]);
        let lines = Trial::<Similar>::of("a b c d e f\n\na b c d e f\n")
            .run()
            .unwrap();
        assert_eq!(lines.rows(), ["input:0\tinput:13\t1.000"]);
    }

    #[test]
    fn parameters_that_make_no_sense_are_refused() {
        for (name, value, want) in [
            ("words", "0", "`words` is 1 to 64"),
            ("band", "15", "`band` is 1 to 14"),
            ("bands", "0", "there is a band"),
            ("bands", "4000000000", "at most 4096"),
            ("least", "1.5", "`least` is 0 to 1"),
            ("text", "0", "counted from 1"),
        ] {
            let error = Trial::<Similar>::of("").param(name, value).run().map(drop);
            assert!(format!("{:?}", error.unwrap_err()).contains(want), "{name}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn pairs_are_those_of_comparing_all(texts in proptest::collection::vec("[ab]{1,2}( [ab]{1,2}){0,5}", 0..25)) {
            let sketcher = Sketcher { words: 2, numbers: 12 };
            let sketches: Vec<_> = texts.iter().map(|text| sketcher.sketch(text.as_bytes()).unwrap()).collect();
            let mut want = Vec::new();
            for (at, other) in sketches.iter().enumerate() {
                for (before, one) in sketches[..at].iter().enumerate() {
                    let is_first = !sketches[..before].contains(one);
                    let is_new = one == other || !sketches[..at].contains(other);
                    let in_common = (0..4).any(|band| one[band * 3..band * 3 + 3] == other[band * 3..band * 3 + 3]);
                    let similarity = similarity(one, other);
                    if is_first && is_new && in_common && similarity >= 0.4 {
                        want.push(format!("d{before}\td{at}\t{similarity:.3}"));
                    }
                }
            }
            want.sort();
            let lines: String = texts.iter().enumerate().map(|(number, text)| format!("d{number}\t{text}\n")).collect();
            let trial = Trial::<Similar>::of(lines).param("id", 1).param("text", 2).param("words", 2)
                .param("bands", 4).param("band", 3).param("least", 0.4).split_size(50);
            let mut rows = trial.run().unwrap().rows();
            rows.sort();
            prop_assert_eq!(rows, want);
        }
    }
}
