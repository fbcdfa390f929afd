//! `mapfold hadoop-home`: a folder that looks like an installation of Hadoop to programs that start it, such as mrjob.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::launcher::NAMES;
use crate::error::Problem;
use crate::exit::Exit;
use crate::settings::absolute;
use crate::stderr::say;

/// Looked for by its name, and not read.
const JAR: &str = "hadoop-streaming-mapfold.jar";

/// Makes the folder, or makes it anew, and says how to use it.
pub(crate) fn make(typed: &Path) -> Result<Exit, Problem> {
    let folder = absolute(typed)?;
    let program = env::current_exe().map_err(|error| {
        Problem::new(Exit::Internal, "cannot find this program's own file").because(&error)
    })?;
    fill(&folder, &program).map_err(|error| {
        let what = format!("cannot make {}", typed.display());
        Problem::new(Exit::for_writing(&error), what).because(&error)
    })?;
    let folder = folder.display();
    say(&format!(
        "    made {folder}/bin/hadoop, which is this program\n     use export HADOOP_HOME={folder} PATH={folder}/bin:$PATH\n"
    ));
    Ok(Exit::Done)
}

fn fill(folder: &Path, program: &Path) -> io::Result<()> {
    let (bin, lib) = (folder.join("bin"), folder.join("lib"));
    fs::create_dir_all(&bin)?;
    fs::create_dir_all(&lib)?;
    for name in NAMES {
        let link = bin.join(name);
        match fs::symlink_metadata(&link) {
            Ok(metadata) if metadata.is_symlink() => fs::remove_file(&link)?,
            // A file of somebody else stays, and is told.
            Ok(_) | Err(_) => {}
        }
        symlink(program, &link)?;
    }
    fs::write(lib.join(JAR), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_can_be_made_again_and_replaces_no_files() {
        let folder = tempfile::tempdir().unwrap();
        for program in ["/old/mapfold", "/new/mapfold"] {
            fill(folder.path(), Path::new(program)).unwrap();
            let link = fs::read_link(folder.path().join("bin/hadoop")).unwrap();
            assert_eq!(link, Path::new(program));
        }
        let jar = folder.path().join("lib").join(JAR);
        assert_eq!(fs::metadata(jar).unwrap().len(), 0);
        let other = folder.path().join("bin/yarn");
        fs::remove_file(&other).unwrap();
        fs::write(&other, "theirs").unwrap();
        let refused = fill(folder.path(), Path::new("/new/mapfold")).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&other).unwrap(), "theirs");
    }
}
