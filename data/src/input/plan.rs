//! Cuts and packs input files into splits.
//!
//! | format | plain file | packed file |
//! | --- | --- | --- |
//! | `lines`, `csv` | cut at multiples of the split size; the reader repairs the cuts | one piece |
//! | `fixed:N` | cut at multiples of N | one piece |
//! | `parquet` | cut at multiples of the split size; a row group belongs to the piece in which it begins | refused |
//! | `files` | one piece | one piece |
//! | `nline:N` | a split for every N lines | a split |
//!
//! Pieces that are smaller than a split share one, in input order; those of one file alone, where a job wants that. A function of the files and the options
//! alone: the same input gives the same splits, and so the same output, on every machine.

use std::num::{NonZeroU32, NonZeroU64};

use mapfold_terms::{ByteSize, Codec, Format, InputFile, JobSpec, Piece, Plan, RawPath};
use memchr::memchr_iter;

use super::ReadSplitError;
use super::checked_file::CheckedFile;
use super::packing::Packing;
use super::parquet::READS_PARQUET;

/// The most splits that a job may have. Google's largest jobs had 200,000; at the default split size
/// this is 256 TiB of input. Each costs the master some hundred bytes.
pub const SPLITS_MAX: u32 = 1_000_000;

/// The most reduce tasks that a job gets by default.
pub const REDUCERS_DEFAULT_MAX: u32 = 1024;

/// The most reduce tasks that a job may have, twice those of Google's largest jobs. Each is a part file, an
/// entry in the index of every run, and a fetch from each.
pub const REDUCERS_MAX: u32 = 10_000;

/// Bytes that are read at a time to count lines.
const SCAN_BYTES: usize = 256 << 10;

/// Divides `files` into map tasks, in order. With 0 reduce tasks each map task leaves a part.
///
/// Reads no file, except for `nline:N`, which must count lines.
///
/// # Errors
/// See [`PlanError`].
pub fn plan(
    files: Vec<InputFile>,
    format: Format,
    split_size: Option<ByteSize>,
    reducers: Option<u32>,
) -> Result<Plan, PlanError> {
    let options = PlanOptions {
        format,
        split_size,
        split_per_file: false,
        reducers,
    };
    plan_with(files, options)
}

/// How inputs are divided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanOptions {
    /// How files are cut into records that have no format of their own.
    pub format: Format,
    /// Size of a split; by default [`split_size_for`].
    pub split_size: Option<ByteSize>,
    /// No split holds pieces of two files, and an empty file is a split.
    pub split_per_file: bool,
    /// Number of reduce tasks; by default [`reducers_for`].
    pub reducers: Option<u32>,
}

impl From<&JobSpec> for PlanOptions {
    fn from(spec: &JobSpec) -> Self {
        Self {
            format: spec.format,
            split_size: spec.split_size,
            split_per_file: spec.split_per_file,
            reducers: spec.reducers,
        }
    }
}

/// The same, with all that may be chosen.
///
/// # Errors
/// See [`PlanError`].
pub fn plan_with(files: Vec<InputFile>, options: PlanOptions) -> Result<Plan, PlanError> {
    let PlanOptions {
        format,
        split_size,
        split_per_file,
        reducers,
    } = options;
    let count = files.len() as u64;
    let lens = files.iter().map(|file| file.fingerprint.len);
    let total = ByteSize(lens.fold(0, u64::saturating_add));
    let size = split_size.unwrap_or_else(|| split_size_for(total));
    let size = NonZeroU64::new(size.bytes()).ok_or(PlanError::ZeroSplitSize)?;
    let reducers = reducers.unwrap_or_else(|| reducers_for(total));
    if reducers > REDUCERS_MAX {
        return Err(PlanError::TooManyReducers { reducers });
    }
    let mut packing = Packing::new(size.get());
    for file in files {
        let packed = file.codec != Codec::Plain;
        match file.format_or(format) {
            Format::Parquet if !READS_PARQUET => return Err(PlanError::NoParquet),
            Format::Parquet if packed => return Err(PlanError::PackedParquet { name: file.name }),
            Format::Files => packing.push_whole(file)?,
            Format::NLine(lines) => push_lines(&mut packing, file, lines)?,
            _ if packed => packing.push_whole(file)?,
            Format::Lines | Format::Csv(_) if split_per_file => {
                packing.push_even(file, size.get())?;
            }
            Format::Lines | Format::Csv(_) | Format::Parquet => {
                packing.push_cut(file, size.get())?;
            }
            Format::Fixed(record) => push_fixed(&mut packing, file, record, size)?,
        }
        if split_per_file {
            packing.seal()?;
        }
    }
    let splits = packing.finish()?;
    if reducers == 0 && splits.len() > REDUCERS_MAX as usize {
        let splits = splits.len();
        return Err(PlanError::TooManyParts { splits });
    }
    Ok(Plan {
        format,
        splits,
        files: count,
        bytes: total.bytes(),
        reducers,
    })
}

/// The size of a split by default.
///
/// Two wishes pull apart. A job that folds writes each distinct key once a split, so large splits are
/// faster: word count of 1 GiB with 1.6 million distinct words took 3.06, 2.63 and 2.46 s with splits of 32, 64 and 128 MiB.
/// But slots that have no split idle, and the larger the input, the more slots there
/// may be. So up to 1 GiB there are 9 to 16 splits, and their number doubles with each fourfold of the
/// input (1 GiB: 16 of 64 MiB, 4 GiB: 32 of 128 MiB, 16 GiB: 64 of 256 MiB). Below 1 MiB the cost of a
/// task would show; above 256 MiB little is won and a lost attempt costs more.
pub fn split_size_for(total: ByteSize) -> ByteSize {
    const AT_LEAST: ByteSize = ByteSize::mib(1);
    const AT_MOST: ByteSize = ByteSize::mib(256);
    const WANTED: u64 = 16;
    let wanted = WANTED * total.bytes().div_ceil(1 << 30).isqrt().max(1);
    let size = total.bytes().div_ceil(wanted).checked_next_power_of_two();
    ByteSize(size.unwrap_or(u64::MAX)).clamp(AT_LEAST, AT_MOST)
}

/// The number of reduce tasks by default.
///
/// It grows with the square root of the input, as map tasks do, so that the number of pairs of a map and a
/// reduce task stays in proportion to the input: 1 below 16 MiB, then 16 at 1 GiB, 64 at 16 GiB, and at most
/// [`REDUCERS_DEFAULT_MAX`], from 4 TiB on. More part files than that are a burden to whoever reads them.
pub fn reducers_for(total: ByteSize) -> u32 {
    let wanted = (total.bytes() >> 22).isqrt();
    u32::try_from(wanted)
        .unwrap_or(REDUCERS_DEFAULT_MAX)
        .clamp(1, REDUCERS_DEFAULT_MAX)
}

/// Cuts between fixed-length records.
fn push_fixed(
    packing: &mut Packing,
    file: InputFile,
    record: NonZeroU32,
    size: NonZeroU64,
) -> Result<(), PlanError> {
    let record = NonZeroU64::from(record);
    let len = file.fingerprint.len;
    if len % record != 0 {
        return Err(PlanError::PartialRecord {
            name: file.name,
            len,
            record,
        });
    }
    let step = (size.get() - size.get() % record).max(record.get());
    packing.push_cut(file, step)
}

/// Cuts after every `lines` lines, each piece a split of its own. A packed file is one piece. An empty file
/// shares the split of the file after it.
fn push_lines(packing: &mut Packing, file: InputFile, lines: NonZeroU32) -> Result<(), PlanError> {
    let len = file.fingerprint.len;
    let mut start = 0;
    if file.codec == Codec::Plain {
        for end in line_ends(&file, lines).map_err(PlanError::Scan)? {
            let file = file.clone();
            packing.push(Piece { file, start, end })?;
            packing.seal()?;
            start = end;
        }
    }
    if start == len && len > 0 {
        return Ok(());
    }
    packing.push(Piece {
        file,
        start,
        end: len,
    })?;
    if len > 0 {
        packing.seal()?;
    }
    Ok(())
}

/// Where every line whose number is a multiple of `lines` ends, but no more than make too many splits.
fn line_ends(planned: &InputFile, lines: NonZeroU32) -> Result<Vec<u64>, ReadSplitError> {
    let file = CheckedFile::open(planned)?;
    let mut buf = vec![0; SCAN_BYTES];
    let mut ends = Vec::new();
    let mut offset = 0;
    let mut counted = 0;
    while offset < planned.fingerprint.len && ends.len() <= SPLITS_MAX as usize {
        let left = ByteSize(planned.fingerprint.len - offset).as_usize();
        let read = &mut buf[..left.min(SCAN_BYTES)];
        file.read_exact_at(read, offset)?;
        for at in memchr_iter(b'\n', read) {
            counted += 1;
            if counted == lines.get() {
                counted = 0;
                ends.push(offset + at as u64 + 1);
            }
        }
        offset += read.len() as u64;
    }
    file.verify()?;
    Ok(ends)
}

/// Why inputs cannot be divided into splits.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A split of no bytes was asked for.
    #[error("a split size of 0 is not possible")]
    ZeroSplitSize,
    /// There would be more splits than [`SPLITS_MAX`].
    #[error("the input would be cut into more than {SPLITS_MAX} splits")]
    TooManySplits,
    /// More reduce tasks than [`REDUCERS_MAX`] were asked for.
    #[error("{reducers} reduce tasks are more than the {REDUCERS_MAX} that a job may have")]
    TooManyReducers {
        /// What was asked for.
        reducers: u32,
    },
    /// A job without reduce tasks would leave more part files than [`REDUCERS_MAX`].
    #[error(
        "{splits} map tasks would each leave a part file, and {REDUCERS_MAX} is the most there may be"
    )]
    TooManyParts {
        /// Map tasks.
        splits: usize,
    },
    /// A file does not hold a whole number of fixed-length records.
    #[error(
        "{} is {len} bytes long, which is no whole number of records of {record} bytes",
        name.display()
    )]
    PartialRecord {
        /// The file's name as in rows.
        name: RawPath,
        /// Its length.
        len: u64,
        /// Bytes of a record.
        record: NonZeroU64,
    },
    /// This program was built without what reads Parquet.
    #[error("this mapfold was built without Parquet")]
    NoParquet,
    /// A Parquet file is packed as a whole.
    #[error("{} is packed, which a Parquet file cannot be as a whole", name.display())]
    PackedParquet {
        /// The file's name as in rows.
        name: RawPath,
    },
    /// A file could not be read while its lines were counted.
    #[error("cannot count the lines of the input")]
    Scan(#[source] ReadSplitError),
}

impl PlanError {
    /// What a person may do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::ZeroSplitSize => "leave --split-size out, or give at least 1 byte".to_owned(),
            Self::TooManySplits => {
                "give a larger --split-size, or with --format nline:N a larger N".to_owned()
            }
            Self::TooManyReducers { .. } => {
                "leave --reducers out, or give fewer: each is a part file".to_owned()
            }
            Self::TooManyParts { .. } => {
                "give a larger --split-size, or with --format nline:N a larger N".to_owned()
            }
            Self::PartialRecord { record, .. } => {
                format!(
                    "with --format fixed:{record} each file must hold a whole number of records"
                )
            }
            Self::NoParquet => {
                "build it with Parquet: `cargo build --release --features parquet`".to_owned()
            }
            Self::PackedParquet { .. } => "unpack it: its pages are packed already".to_owned(),
            Self::Scan(error) => return error.hint(),
        };
        Some(hint)
    }
}

#[cfg(test)]
mod tests;
