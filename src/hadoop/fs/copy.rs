//! `-put`, `-moveFromLocal`, `-appendToFile`, `-get`, `-cp`, `-mv` and `-getmerge`.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;

use super::super::glob;
use super::super::uri::{Located, Uris};
use super::error::FsError;
use super::make::make_parent;
use super::print::data_bytes;
use super::{Call, Done, Outcome};

/// What a file is called while it is copied, as by Hadoop: who lists a folder sees that it is not whole.
const COPYING: &str = "._COPYING_";

pub(super) fn put(call: &Call<'_>) -> Outcome {
    let (sources, target) = call.arguments.sources_and_target();
    let target = call.uris.locate(target)?;
    if sources == ["-"] {
        let mut stdin = io::stdin().lock();
        write(&mut stdin, &target, call.has("f"))?;
        return Ok(Done::default());
    }
    to_target(call, &call.uris.local(), sources, &target, copy_all)
}

pub(super) fn move_from_local(call: &Call<'_>) -> Outcome {
    let (sources, target) = call.arguments.sources_and_target();
    let target = call.uris.locate(target)?;
    to_target(
        call,
        &call.uris.local(),
        sources,
        &target,
        |source, target, overwrite| {
            not_into_itself(source, target)?;
            copy_all(source, target, overwrite)?;
            super::remove::all(source)
        },
    )
}

/// A source of `-` is stdin.
pub(super) fn append(call: &Call<'_>) -> Outcome {
    let (sources, target) = call.arguments.sources_and_target();
    let target = call.uris.locate(target)?;
    make_parent(&target)?;
    let opened = File::options().append(true).create(true).open(&target.path);
    let mut out = opened.map_err(FsError::at(&target))?;
    let mut add =
        |bytes: &mut dyn io::Read| io::copy(bytes, &mut out).map_err(FsError::at(&target));
    call.each(sources, |typed| {
        if typed == "-" {
            return add(&mut io::stdin().lock()).map(drop);
        }
        let source = call.uris.local().locate(typed)?;
        not_into_itself(&source, &target)?;
        let mut file = File::open(&source.path).map_err(FsError::at(&source))?;
        add(&mut file).map(drop)
    })
}

pub(super) fn get(call: &Call<'_>) -> Outcome {
    let (sources, target) = call.arguments.sources_and_target();
    if target == "-" {
        return super::print::cat_all(call, sources);
    }
    let target = call.uris.local().locate(target)?;
    to_target(call, call.uris, sources, &target, copy_all)
}

pub(super) fn copy(call: &Call<'_>) -> Outcome {
    let (sources, target) = call.arguments.sources_and_target();
    let target = call.uris.locate(target)?;
    to_target(call, call.uris, sources, &target, copy_all)
}

pub(super) fn rename(call: &Call<'_>) -> Outcome {
    let (sources, target) = call.arguments.sources_and_target();
    let target = call.uris.locate(target)?;
    to_target(call, call.uris, sources, &target, |source, target, _| {
        if target.path.symlink_metadata().is_ok() {
            return Err(FsError::Exists(target.typed.clone()));
        }
        not_into_itself(source, target)?;
        match fs::rename(&source.path, &target.path) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                copy_all(source, target, false)?;
                super::remove::all(source)
            }
            renamed => renamed.map_err(FsError::at(target)),
        }
    })
}

/// Each source goes to the target, or into it if that is a folder, as it must be for several.
fn to_target(
    call: &Call<'_>,
    from: &Uris,
    sources: &[String],
    target: &Located,
    act: impl Fn(&Located, &Located, bool) -> Result<(), FsError>,
) -> Outcome {
    let into_folder = target.path.is_dir();
    let mut done = Done::default();
    let mut found = Vec::new();
    for typed in sources {
        match call.found(from, typed) {
            Ok(some) => found.extend(some),
            Err(error) => {
                call.tell(&error);
                done.failed = true;
            }
        }
    }
    if found.len() > 1 && !into_folder {
        return Err(match target.path.exists() {
            true => FsError::NotDirectory(target.typed.clone()),
            false => FsError::NotFound(target.typed.clone()),
        });
    }
    for source in found {
        let target = match into_folder {
            true => target.child(source.name()),
            false => target.clone(),
        };
        let acted = make_parent(&target).and_then(|()| act(&source, &target, call.has("f")));
        if let Err(error) = acted {
            call.tell(&error);
            done.failed = true;
        }
    }
    Ok(done)
}

/// A file, or a folder with all that is in it.
fn copy_all(source: &Located, target: &Located, overwrite: bool) -> Result<(), FsError> {
    if !source.path.is_dir() {
        let mut file = File::open(&source.path).map_err(FsError::at(source))?;
        return write(&mut file, target, overwrite);
    }
    not_into_itself(source, target)?;
    match fs::create_dir(&target.path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && target.path.is_dir() => {}
        made => made.map_err(FsError::at(target))?,
    }
    for child in glob::children(source)? {
        copy_all(&child, &target.child(child.name()), overwrite)?;
    }
    Ok(())
}

fn not_into_itself(source: &Located, target: &Located) -> Result<(), FsError> {
    let is_within = source.path.is_dir() && target.path.starts_with(&source.path);
    match is_within || is_same(source, target) {
        true => Err(FsError::IntoItself(target.typed.clone())),
        false => Ok(()),
    }
}

/// Whether they are one file, whatever it is called.
fn is_same(one: &Located, other: &Located) -> bool {
    let identity = |located: &Located| {
        let metadata = fs::metadata(&located.path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    identity(one).is_some_and(|one| Some(one) == identity(other))
}

/// The file appears whole, or not at all.
fn write(bytes: &mut impl io::Read, target: &Located, overwrite: bool) -> Result<(), FsError> {
    if target.path.is_dir() {
        return Err(FsError::IsDirectory(target.typed.clone()));
    }
    if target.path.symlink_metadata().is_ok() && !overwrite {
        return Err(FsError::Exists(target.typed.clone()));
    }
    make_parent(target)?;
    let mut name = target.name().as_os_str().to_owned();
    name.push(COPYING);
    let copying = target.path.with_file_name(name);
    let written = File::create(&copying)
        .and_then(|mut file| io::copy(bytes, &mut file))
        .and_then(|_| fs::rename(&copying, &target.path));
    written.map_err(|error| {
        let _ = fs::remove_file(&copying);
        FsError::at(target)(error)
    })
}

pub(super) fn merge(call: &Call<'_>) -> Outcome {
    let (sources, target) = call.arguments.sources_and_target();
    let target = call.uris.local().locate(target)?;
    make_parent(&target)?;
    let mut merged = File::create(&target.path).map_err(FsError::at(&target))?;
    call.each_found(sources, |source| {
        // What is merged may stand among what there is to merge.
        for file in (files(source)?.iter()).filter(|file| !is_same(file, &target)) {
            let bytes = File::open(&file.path).map_err(FsError::at(file))?;
            let mut bytes = bytes.take(data_bytes(file));
            let copied = io::copy(&mut bytes, &mut merged).map_err(FsError::at(&target))?;
            if call.has("nl") && !(copied == 0 && call.has("skip-empty-file")) {
                merged.write_all(b"\n").map_err(FsError::at(&target))?;
            }
        }
        Ok(())
    })
}

/// The file, or those in the folder; not those below.
fn files(source: &Located) -> Result<Vec<Located>, FsError> {
    if !source.path.is_dir() {
        return Ok(vec![source.clone()]);
    }
    let children = glob::children(source)?.into_iter();
    Ok(children.filter(|file| file.path.is_file()).collect())
}
