use std::fs;
use std::path::Path;

use super::*;

/// A file system in a folder of its own.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn environment(&self) -> Environment {
        Environment {
            hdfs: self.folder.path().join("hdfs"),
            user: "ann".to_owned(),
            folder: self.folder.path().to_owned(),
            ..Environment::default()
        }
    }

    /// Runs a command, and checks how it ends.
    #[track_caller]
    fn fs(&self, line: &str, want: u8) {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        assert_eq!(command(&args, &self.environment()), want, "{line}");
    }

    #[track_caller]
    fn holds(&self, path: &str, want: &str) {
        let read = fs::read_to_string(self.folder.path().join(path)).unwrap();
        assert_eq!(read, want, "{path}");
    }

    fn has(&self, path: &str) -> bool {
        self.folder.path().join(path).exists()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[test]
fn files_go_there_and_back() {
    let files = Files::new();
    files.write("a.txt", "A");
    files.write("b.txt", "B");
    files.fs("-put a.txt hdfs:///user/ann/in/a.txt", 0);
    files.holds("hdfs/user/ann/in/a.txt", "A");
    files.fs("-put a.txt hdfs:///user/ann/in/a.txt", 1);
    files.fs("-put b.txt hdfs:///user/ann/in", 0);
    files.holds("hdfs/user/ann/in/b.txt", "B");
    files.fs("-put -f b.txt hdfs:///user/ann/in/a.txt", 0);
    files.holds("hdfs/user/ann/in/a.txt", "B");
    files.fs("-get hdfs:///user/ann/in back", 0);
    files.holds("back/b.txt", "B");
    files.fs("-copyToLocal hdfs:///user/ann/in/*.txt back", 1);
    files.fs("-fs hdfs:/// -copyFromLocal a.txt mine", 0);
    files.holds("hdfs/user/ann/mine", "A");
    files.fs("-getmerge -nl hdfs:///user/ann/in merged", 0);
    files.holds("merged", "B\nB\n");
    files.fs("-put a.txt b.txt hdfs:///none", 1);
    files.fs("-put nosuch hdfs:///x", 1);
    assert!(!files.has("hdfs/x"));
}

#[test]
fn local_files_are_moved_and_appended() {
    let files = Files::new();
    files.write("a", "A");
    files.write("b", "B");
    files.fs("-moveFromLocal a hdfs:///d/a", 0);
    files.holds("hdfs/d/a", "A");
    assert!(!files.has("a"));
    files.fs("-moveFromLocal b hdfs:///d/a", 1);
    files.holds("b", "B");
    files.fs("-appendToFile b b hdfs:///d/a", 0);
    files.holds("hdfs/d/a", "ABB");
    files.fs("-appendToFile b b", 1);
    files.fs("-appendToFile nosuch b hdfs:///d/new", 1);
    files.holds("hdfs/d/new", "B");
}

#[test]
fn no_file_is_added_to_itself_under_whatever_name() {
    let files = Files::new();
    files.write("d/a", "A");
    std::os::unix::fs::symlink("a", files.folder.path().join("d/b")).unwrap();
    files.fs("-appendToFile d/b d/a", 1);
    files.fs("-moveFromLocal -f d/a d/../d/a", 1);
    files.holds("d/a", "A");
    for _ in 0..2 {
        files.fs("-getmerge d d/merged", 0);
        files.holds("d/merged", "AA");
    }
}

#[test]
fn what_is_not_here_is_told_with_what_to_do_instead() {
    let files = Files::new();
    for line in [
        "-find / -name a",
        "-df",
        "-chown me a",
        "-checksum a",
        "-mkdri a",
    ] {
        files.fs(line, USAGE);
    }
    files.fs("-expunge -immediate", 0);
    let check = |typed, want: Option<&str>| assert_eq!(instead(typed).as_deref(), want, "{typed}");
    check(
        "find",
        Some("`hadoop fs -ls -R` lists all that is below a folder"),
    );
    check(
        "chown",
        Some("files belong to whoever writes them; the system's own `chown` gives them to others"),
    );
    check("mkdri", Some("did you mean `mkdir` or `rmdir`?"));
    check("xyzzy", None);
}

#[test]
fn modes_are_set_and_numbers_of_copies_are_taken() {
    use std::os::unix::fs::PermissionsExt as _;

    let files = Files::new();
    files.write("d/a", "A");
    files.fs("-chmod -R 750 d", 0);
    for path in ["d", "d/a"] {
        let metadata = fs::metadata(files.folder.path().join(path)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o750, "{path}");
    }
    files.fs("-chmod 9 d/a", 1);
    files.fs("-chmod 644 nosuch", 1);
    files.fs("-chmod 644", USAGE);
    files.fs("-setrep -R -w 3 d", 0);
    files.fs("-setrep three d", 1);
}

#[test]
fn the_manifest_of_a_job_is_no_data() {
    let files = Files::new();
    files.write("out/_SUCCESS", "{}");
    files.write("out/part-00000", "A\n");
    files.fs("-getmerge out merged", 0);
    files.holds("merged", "A\n");
    files.fs("-getmerge out/* merged", 0);
    files.holds("merged", "A\n");
    files.fs("-cp out copy", 0);
    files.holds("copy/_SUCCESS", "{}");
}

#[test]
fn a_file_that_is_being_copied_has_another_name() {
    let files = Files::new();
    files.write("d/a", "A");
    files.fs("-put d hdfs:///d", 0);
    let entries = fs::read_dir(files.folder.path().join("hdfs/d")).unwrap();
    let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["a"]);
}

#[test]
fn folders_are_made_and_removed() {
    let files = Files::new();
    files.fs("-mkdir hdfs:///a/b", 1);
    files.fs("-mkdir -p hdfs:///a/b", 0);
    files.fs("-mkdir -p hdfs:///a/b", 0);
    files.fs("-mkdir hdfs:///a", 1);
    files.fs("-mkdir hdfs:///c", 0);
    files.fs("-touchz hdfs:///a/b/empty hdfs:///new/empty", 0);
    files.holds("hdfs/new/empty", "");
    files.fs("-mkdir hdfs:///new/empty", 1);
    files.fs("-rmdir hdfs:///a/b", 1);
    files.fs("-rmdir hdfs:///c", 0);
    files.fs("-rm hdfs:///a", 1);
    files.fs("-rm hdfs:///nosuch", 1);
    files.fs("-rm -f hdfs:///nosuch", 0);
    files.fs("-rm -R -f -skipTrash hdfs:///a", 0);
    assert!(!files.has("hdfs/a"));
    files.fs("-rm -r hdfs:///", 1);
    files.fs("-rm -r /", 1);
    assert!(files.has("hdfs/new"));
}

#[test]
fn files_are_moved_and_copied() {
    let files = Files::new();
    files.write("hdfs/d/a", "A");
    files.fs("-cp hdfs:///d hdfs:///e", 0);
    files.holds("hdfs/e/a", "A");
    files.fs("-mv hdfs:///d/a hdfs:///e/b", 0);
    files.holds("hdfs/e/b", "A");
    assert!(!files.has("hdfs/d/a"));
    files.fs("-mv hdfs:///e/a hdfs:///e/b", 1);
    files.fs("-mv hdfs:///e hdfs:///e/f", 1);
    files.fs("-mv hdfs:///e hdfs:///d", 0);
    files.holds("hdfs/d/e/a", "A");
}

#[test]
fn tests_answer_by_their_code() {
    let files = Files::new();
    files.write("hdfs/d/a", "A");
    files.write("hdfs/d/empty", "");
    for (line, want) in [
        ("-e hdfs:///d", 0),
        ("-e hdfs:///nosuch", 1),
        ("-d hdfs:///d", 0),
        ("-d hdfs:///d/a", 1),
        ("-f hdfs:///d/a", 0),
        ("-s hdfs:///d/empty", 1),
        ("-z hdfs:///d/empty", 0),
        ("-z hdfs:///d/a", 1),
    ] {
        files.fs(&format!("-test {line}"), want);
    }
}

#[test]
fn lists_and_sums_end_as_hadoops_do() {
    let files = Files::new();
    files.write("hdfs/d/a", "A");
    for (line, want) in [
        ("-ls hdfs:///d", 0),
        ("-ls -R hdfs:///", 0),
        ("-ls hdfs:///nosuch", 1),
        ("-ls hdfs:///d/*", 0),
        ("-ls hdfs:///x*", 1),
        ("-ls", 0),
        ("-lsr hdfs:///d", 0),
        ("-du -s -h hdfs:///d", 0),
        ("-du hdfs:///d/*", 0),
        ("-du hdfs:///nosuch", 1),
        ("-count hdfs:///d", 0),
        ("-cat hdfs:///d", 1),
        ("-cat hdfs:///nosuch hdfs:///d/a", 1),
        ("-text hdfs:///d/a", 0),
        ("-stat %n hdfs:///d/a", 0),
        ("-ls s3://bucket/x", 1),
    ] {
        files.fs(line, want);
    }
}

#[test]
fn wrong_arguments_are_told() {
    let files = Files::new();
    for line in [
        "",
        "-nosuch",
        "-ls -z",
        "-mkdir",
        "-cp a",
        "-fs s3:///x -ls",
    ] {
        files.fs(line, USAGE);
    }
    files.fs("-help", 0);
}

#[test]
fn a_general_option_sets_the_file_system() {
    let files = Files::new();
    for options in [
        "-fs hdfs:///",
        "-D fs.defaultFS=hdfs://h:1",
        "-Dfs.default.name=hdfs:///",
    ] {
        let args: Vec<String> = options.split(' ').map(str::to_owned).collect();
        let (uris, rest) = general(&args, &files.environment()).unwrap();
        assert!(rest.is_empty());
        let located = uris.locate("/x").unwrap();
        assert!(located.path.starts_with(files.folder.path()), "{options}");
        assert_ne!(located.path, Path::new("/x"));
    }
}
