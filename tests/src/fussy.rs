//! Jobs that fail on some records, each in its own way: always the same records.

use mapfold_job::{Block, Emitter, Fold, Job, JobError, Record, Rows, Values, params};

params! {
    /// Parameters of the fussy jobs.
    pub struct FussyParams {
        /// Map whole blocks, and do not say which record is at hand.
        pub blocks: bool = false,
        /// The reduce of this key panics.
        pub refuse: String = String::new(),
        /// A file: the word `once` fails where there is none, and makes it.
        pub sign: String = String::new(),
    }
}

/// Counts words; fails on a record that has a word it does not like, after it has emitted those before it.
pub(crate) struct Fussy<const FOLDS: bool> {
    params: FussyParams,
}

impl<const FOLDS: bool> Job for Fussy<FOLDS> {
    type Params = FussyParams;
    type Key = Vec<u8>;
    type Value = u64;

    const NAME: &'static str = if FOLDS {
        "lab-fussy"
    } else {
        "lab-fussy-lists"
    };
    const SUMMARY: &'static str = "word count that fails on some records";
    const FOLD: Option<Fold<Self>> = if FOLDS {
        Some(|_, word, sum, n| {
            assert_ne!(
                word, b"uncombinable",
                "the combiner does not like this word"
            );
            *sum += n;
        })
    } else {
        None
    };

    fn new(params: FussyParams) -> Result<Self, JobError> {
        Ok(Self { params })
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        for word in record.bytes.split(|byte| *byte == b' ') {
            match word {
                b"" => {}
                b"panic" => panic!("a word that makes it panic"),
                b"error" => return Err("a word that it refuses".into()),
                b"once" if std::fs::File::create_new(&self.params.sign).is_ok() => {
                    return Err("a word that it refuses once".into());
                }
                word => out.emit(word, 1),
            }
        }
        out.count("lines", 1);
        Ok(())
    }

    fn map_block(&self, block: &Block<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        for record in block.records() {
            if !self.params.blocks {
                out.begin_record(&record);
            }
            self.map(&record, out)?;
        }
        Ok(())
    }

    fn reduce(
        &self,
        word: &[u8],
        counts: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        assert_ne!(
            word,
            self.params.refuse.as_bytes(),
            "a key that it does not like"
        );
        rows.row(word, counts.owned().sum::<u64>());
        Ok(())
    }
}
