//! The parameters of a streaming job: all that it is, as JSON, and the files that go with it.
//!
//! Each file is a parameter of its own, so that it goes the way of side files: known by its hash, sent to a cluster once, and found by each worker
//! where it has it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mapfold_job::{JobError, ParamError, ParamInfo, Params};
use mapfold_terms::ParamFile;

use crate::conf::{Conf, Shipped};

/// Names the description of the job.
const CONF: &str = "conf";
/// Begins the names of parameters that are files.
const FILE: &str = "file-";
/// Bytes of a file's name in that of its parameter, the last ones: they tell how an archive is packed.
const NAME_MAX: usize = 100;

/// Parameters of [`Streaming`](crate::Streaming).
#[derive(Clone, Debug)]
pub struct StreamingParams {
    conf: String,
    /// Paths by the names of their parameters.
    files: BTreeMap<String, PathBuf>,
}

impl Conf {
    /// The job as parameters, with files as they would be typed.
    ///
    /// # Errors
    /// A path is no text.
    pub fn to_params(&self) -> serde_json::Result<BTreeMap<String, String>> {
        let mut params = BTreeMap::from([(CONF.to_owned(), serde_json::to_string(self)?)]);
        // A folder is found by its path.
        let files = self.shipped().enumerate();
        let files = files.filter(|(_, shipped)| shipped.path.is_file());
        params.extend(files.map(|(number, shipped)| {
            let path = shipped.path.display().to_string();
            (name_of(number, &shipped.path), path)
        }));
        Ok(params)
    }

    fn shipped(&self) -> impl Iterator<Item = &Shipped> {
        self.files.iter().chain(&self.archives)
    }
}

fn name_of(number: usize, path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let from = name.ceil_char_boundary(name.len().saturating_sub(NAME_MAX));
    format!("{FILE}{number}-{}", &name[from..])
}

impl StreamingParams {
    /// The job that they tell of, with files where they are here.
    ///
    /// # Errors
    /// It is not what `mapfold stream` would have written.
    pub(crate) fn read(&self) -> Result<Conf, JobError> {
        let mut conf: Conf = serde_json::from_str(&self.conf)?;
        let shipped = conf.files.iter_mut().chain(&mut conf.archives);
        for (number, shipped) in shipped.enumerate() {
            if let Some(path) = self.files.get(&name_of(number, &shipped.path)) {
                shipped.at = Some(path.clone());
            }
        }
        Ok(conf)
    }
}

impl Params for StreamingParams {
    fn describe() -> Vec<ParamInfo> {
        vec![
            ParamInfo {
                name: CONF.to_owned(),
                kind: "text".to_owned(),
                default: None,
                help: "The job, as JSON: what `mapfold stream` makes of its arguments.".to_owned(),
            },
            ParamInfo {
                name: format!("{FILE}*"),
                kind: ParamFile::KIND.to_owned(),
                default: Some(String::new()),
                help: "A file that goes with it.".to_owned(),
            },
        ]
    }

    fn parse(typed: &BTreeMap<String, String>) -> Result<Self, ParamError> {
        let mut params = Self {
            conf: String::new(),
            files: BTreeMap::new(),
        };
        for (name, value) in typed {
            match name.as_str() {
                CONF => params.conf.clone_from(value),
                file if file.starts_with(FILE) => {
                    let path = ParamFile::parse(value).map_or(value.clone(), |file| file.path);
                    params.files.insert(name.clone(), path.into());
                }
                _ => {
                    return Err(ParamError::Unknown {
                        name: name.clone(),
                        known: vec![CONF.to_owned()],
                    });
                }
            }
        }
        match params.conf.is_empty() {
            false => Ok(params),
            true => Err(ParamError::Missing {
                name: CONF.to_owned(),
                help: "as `mapfold stream` writes it".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_looked_for_where_their_parameters_say() {
        let folder = tempfile::tempdir().unwrap();
        let shipped = |name: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, name).unwrap();
            Shipped::new("x", path)
        };
        let conf = Conf {
            files: vec![shipped("a b=c.py")],
            archives: vec![shipped("d.tar.gz"), shipped("e.zip")],
            ..Conf::default()
        };
        let mut params = conf.to_params().unwrap();
        let names: Vec<_> = params.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            ["conf", "file-0-a b=c.py", "file-1-d.tar.gz", "file-2-e.zip"]
        );
        let digits = "a5".repeat(32);
        params.insert(
            "file-1-d.tar.gz".to_owned(),
            format!("blake3:{digits}:/w/d.tar.gz"),
        );
        let read = StreamingParams::parse(&params).unwrap().read().unwrap();
        assert_eq!(read.files[0].place(), conf.files[0].path);
        assert_eq!(read.archives[0].place(), Path::new("/w/d.tar.gz"));
        assert_eq!(read.archives[1].place(), conf.archives[1].path);
        params.insert("other".to_owned(), String::new());
        assert!(StreamingParams::parse(&params).is_err());
        assert!(StreamingParams::parse(&BTreeMap::new()).is_err());
    }
}
