//! A plan as a file: all that an attempt at any task of a job must know, whoever starts it.
//!
//! JSON, versioned; a function of the input and of what was typed, so the same bytes for the same input. `id` is the BLAKE3 of the rest:
//! what attempts leave carries it, and is not mixed with what attempts of another plan left. Files are listed once, with
//! their fingerprints, which attempts check as they read.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mapfold_data::manifest::B3;
use mapfold_terms::{
    Boundaries, ByteSize, Codec, Fingerprint, Format, InputFile, JobKey, JobSpec, Partitioning,
    Piece, Plan, RawPath, Split, TaskId, TaskKind,
};
use serde::{Deserialize, Serialize};

use crate::error::Problem;
use crate::exit::Exit;

/// Of the layout.
const VERSION: u32 = 1;

/// The version of this engine, as manifests name it. Tasks of one job are all run by one version.
pub(crate) const ENGINE: &str = concat!("mapfold ", env!("CARGO_PKG_VERSION"));

/// A plan, or as much of it as one task needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanFile {
    mapfold_plan: u32,
    engine: String,
    /// Name of the job in the catalog.
    pub(crate) job: String,
    /// The file of the plugin that it is in, if it is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plugin: Option<PathText>,
    pub(crate) params: BTreeMap<String, String>,
    format: String,
    /// Bytes of a split.
    pub(crate) split_size: u64,
    /// Number of map tasks, and of reduce tasks.
    pub(crate) maps: u32,
    pub(crate) reducers: u32,
    /// How part files are packed.
    pub(crate) parts: Codec,
    /// Where partitions begin, if they are ranges of keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boundaries: Option<Vec<Vec<u8>>>,
    pub(crate) skip_bad: u32,
    row_key: String,
    row_value: String,
    /// Bytes of all files.
    bytes: u64,
    files: Vec<PlanInput>,
    splits: Vec<PlanSplit>,
    id: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanInput {
    name: PathText,
    path: PathText,
    codec: Codec,
    inode: u64,
    len: u64,
    modified_ns: i128,
    changed_ns: i128,
    /// Which of the job's inputs it belongs to.
    #[serde(default)]
    input: u32,
    /// Its own, as it is typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanSplit {
    index: u32,
    /// Number of the file, first byte, byte after the last.
    pieces: Vec<(u32, u64, u64)>,
}

/// A path as text where it is UTF-8, else as its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum PathText {
    Text(String),
    Bytes(Vec<u8>),
}

impl PlanFile {
    /// The plan of a job; `files` are all its inputs, in order.
    pub(crate) fn new(
        spec: &JobSpec,
        plugin: Option<&Path>,
        split_size: ByteSize,
        files: &[InputFile],
        plan: &Plan,
    ) -> Self {
        let mut number = 0;
        let mut numbered = |piece: &Piece| {
            // Pieces come in the order of the files.
            while files.get(number).is_some_and(|file| *file != piece.file) {
                number += 1;
            }
            (count(number), piece.start, piece.end)
        };
        let splits = plan.splits.iter().map(|split| PlanSplit {
            index: split.index,
            pieces: split.pieces.iter().map(&mut numbered).collect(),
        });
        let boundaries = match &spec.partitioning {
            Partitioning::Hash => None,
            Partitioning::Ranges(boundaries) => {
                Some(boundaries.iter().map(<[u8]>::to_vec).collect())
            }
        };
        Self {
            mapfold_plan: VERSION,
            engine: ENGINE.to_owned(),
            job: spec.job.clone(),
            plugin: plugin.map(|path| PathText::new(&RawPath::from(path))),
            params: spec.params.clone(),
            format: spec.format.to_string(),
            split_size: split_size.bytes(),
            maps: count(plan.splits.len()),
            reducers: plan.reducers,
            parts: spec.parts,
            boundaries,
            skip_bad: spec.skip_bad,
            row_key: spec.row_key.clone(),
            row_value: spec.row_value.clone(),
            bytes: plan.bytes,
            splits: splits.collect(),
            files: files.iter().map(PlanInput::new).collect(),
            id: String::new(),
        }
        .identified()
    }

    /// As much of it as one task needs: a map task its split, a reduce task everything.
    pub(crate) fn for_task(mut self, task: TaskId) -> Self {
        if task.kind == TaskKind::Map {
            self.splits.retain(|split| split.index == task.index);
            let mut files = Vec::new();
            for piece in self.splits.iter_mut().flat_map(|split| &mut split.pieces) {
                let file = &self.files[piece.0 as usize];
                piece.0 = count(files.len());
                files.push(file.clone());
            }
            self.files = files;
        }
        self.identified()
    }

    fn identified(mut self) -> Self {
        self.id = self.hash();
        self
    }

    fn hash(&self) -> String {
        let rest = Self {
            id: String::new(),
            ..self.clone()
        };
        let json = serde_json::to_vec(&rest).expect("texts and numbers always serialize");
        String::from(B3::of(&json))
    }

    /// Tells plans apart.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The bytes of the file.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("texts and numbers always serialize");
        json.push(b'\n');
        json
    }

    /// Reads a plan and checks that it is whole and of this version.
    pub(crate) fn read(path: &Path) -> Result<Self, Problem> {
        let json = fs::read(path).map_err(|error| cannot_read(path, &error))?;
        let plan: Self = serde_json::from_slice(&json).map_err(|error| {
            let what = format!(
                "{} is not a plan of this version of Mapfold",
                path.display()
            );
            Problem::new(Exit::Usage, what).because(&error)
        })?;
        plan.check(&path.display().to_string())?;
        Ok(plan)
    }

    /// Refuses what another version wrote, or somebody changed; `name` is the file's.
    pub(crate) fn check(&self, name: &str) -> Result<(), Problem> {
        let what = if self.mapfold_plan != VERSION || self.engine != ENGINE {
            format!("{name} was written by {}; this is {ENGINE}", self.engine)
        } else if self.hash() != self.id {
            format!("{name} was changed after it was written")
        } else {
            return Ok(());
        };
        Err(Problem::new(Exit::Usage, what).hint("make it anew with `mapfold plan`"))
    }

    /// All inputs, in order.
    pub(crate) fn inputs(&self) -> Vec<InputFile> {
        self.files.iter().map(PlanInput::file).collect()
    }

    /// The splits that it has.
    pub(crate) fn splits(&self) -> Vec<Split> {
        let files = self.inputs();
        let piece = |(number, start, end): &(u32, u64, u64)| {
            files.get(*number as usize).map(|file| Piece {
                file: file.clone(),
                start: *start,
                end: *end,
            })
        };
        let splits = self.splits.iter().map(|split| Split {
            index: split.index,
            pieces: split.pieces.iter().filter_map(piece).collect(),
        });
        splits.collect()
    }

    /// The file of the plugin that the job is in, if it is in one.
    pub(crate) fn plugin(&self) -> Option<PathBuf> {
        let plugin = self.plugin.as_ref()?;
        Some(plugin.path().as_path().to_owned())
    }

    pub(crate) fn format(&self) -> Format {
        // Only this version wrote it.
        self.format.parse().unwrap_or_default()
    }

    pub(crate) fn partitioning(&self) -> Partitioning {
        match &self.boundaries {
            None => Partitioning::Hash,
            Some(list) => {
                let mut boundaries = Boundaries::default();
                list.iter().for_each(|boundary| boundaries.push(boundary));
                Partitioning::Ranges(boundaries)
            }
        }
    }

    /// The job, as a manifest describes it.
    pub(crate) fn spec(&self, output: PathBuf, overwrite: bool) -> JobSpec {
        JobSpec {
            key: JobKey(0),
            job: self.job.clone(),
            params: self.params.clone(),
            files: Vec::new(),
            inputs: Vec::new(),
            format: self.format(),
            split_size: Some(ByteSize(self.split_size)),
            // The splits are there.
            split_per_file: false,
            reducers: Some(self.reducers),
            parts: self.parts,
            lazy_parts: false,
            partitioning: self.partitioning(),
            output: RawPath::from(output),
            overwrite,
            max_attempts: NonZeroU32::MIN,
            skip_bad: self.skip_bad,
            backup: false,
            task_timeout: Duration::ZERO,
            row_key: self.row_key.clone(),
            row_value: self.row_value.clone(),
        }
    }
}

impl PlanInput {
    fn new(file: &InputFile) -> Self {
        let Fingerprint {
            inode,
            len,
            modified_ns,
            changed_ns,
        } = file.fingerprint;
        Self {
            name: PathText::new(&file.name),
            path: PathText::new(&file.path),
            codec: file.codec,
            inode,
            len,
            modified_ns,
            changed_ns,
            input: file.input,
            format: file.format.map(|format| format.to_string()),
        }
    }

    fn file(&self) -> InputFile {
        InputFile {
            name: self.name.path(),
            path: self.path.path(),
            codec: self.codec,
            fingerprint: Fingerprint {
                inode: self.inode,
                len: self.len,
                modified_ns: self.modified_ns,
                changed_ns: self.changed_ns,
            },
            input: self.input,
            // Only this version wrote it.
            format: self.format.as_ref().and_then(|format| format.parse().ok()),
        }
    }
}

impl PathText {
    fn new(path: &RawPath) -> Self {
        match str::from_utf8(path.as_bytes()) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes(path.as_bytes().to_vec()),
        }
    }

    fn path(&self) -> RawPath {
        use std::os::unix::ffi::OsStrExt as _;
        let bytes = match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        };
        RawPath::from(Path::new(std::ffi::OsStr::from_bytes(bytes)))
    }
}

/// Why a file that was named cannot be used.
pub(crate) fn cannot_read(path: &Path, error: &io::Error) -> Problem {
    Problem::new(Exit::Usage, format!("cannot read {}", path.display())).because(error)
}

/// Plans have fewer splits and files than that.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
