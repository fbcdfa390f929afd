use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use mapfold_terms::Codec;

use super::super::testing::{Folder, gzip, lz4, zstd};
use super::*;

fn tree() -> Folder {
    let folder = Folder::new();
    for name in [
        "books/b.txt",
        "books/a.txt",
        "books/a/x.txt",
        "books/c.log",
        "books/.hidden",
        "books/_SUCCESS",
        "books/_tmp/y.txt",
        "books/.git/z.txt",
        "more/deep/er/d.txt",
        "what?.txt",
    ] {
        folder.write(name, name.as_bytes());
    }
    folder
}

#[track_caller]
fn check(folder: &Folder, typed: &[&str], want: &[&str]) {
    let files = folder.discover(typed).unwrap();
    let got: Vec<_> = files
        .iter()
        .map(|file| file.name.display().to_string())
        .collect();
    assert_eq!(got, want, "{typed:?}");
    for file in &files {
        assert_eq!(
            fs::canonicalize(file.path.as_path()).unwrap(),
            fs::canonicalize(folder.path(file.name.as_path())).unwrap(),
            "the path leads where the name does"
        );
    }
}

#[track_caller]
fn check_error(folder: &Folder, typed: &str, want: &str, hint: Option<&str>) {
    let error = folder.discover(&[typed]).unwrap_err();
    assert_eq!(error.to_string(), want);
    assert_eq!(error.hint().as_deref(), hint);
}

#[test]
fn files_keep_the_order_given_even_twice() {
    check(
        &tree(),
        &["books/b.txt", "books/a.txt", "books/b.txt"],
        &["books/b.txt", "books/a.txt", "books/b.txt"],
    );
}

#[test]
fn a_folder_is_its_files_in_byte_order_of_their_names() {
    let want = ["books/a.txt", "books/a/x.txt", "books/b.txt", "books/c.log"];
    check(&tree(), &["books"], &want);
    check(&tree(), &["books/"], &want);
    check(&tree(), &["books///"], &want);
    check(
        &tree(),
        &["more", "books/a"],
        &["more/deep/er/d.txt", "books/a/x.txt"],
    );
    check(&tree(), &["./more"], &["./more/deep/er/d.txt"]);
}

#[test]
fn what_is_named_outright_is_never_hidden() {
    check(
        &tree(),
        &["books/_SUCCESS", "books/.git", "books/_tmp/"],
        &["books/_SUCCESS", "books/.git/z.txt", "books/_tmp/y.txt"],
    );
}

#[test]
fn globs_match_as_a_shell_does() {
    let folder = tree();
    check(&folder, &["books/*.txt"], &["books/a.txt", "books/b.txt"]);
    check(
        &folder,
        &["./books//*.txt"],
        &["./books/a.txt", "./books/b.txt"],
    );
    check(
        &folder,
        &["books/?.t[xyz]t"],
        &["books/a.txt", "books/b.txt"],
    );
    check(&folder, &["books/{b,c}.*"], &["books/b.txt", "books/c.log"]);
    check(&folder, &["*/a.txt"], &["books/a.txt"]);
    check(
        &folder,
        &["**/*.txt"],
        &[
            "books/a.txt",
            "books/a/x.txt",
            "books/b.txt",
            "more/deep/er/d.txt",
            "what?.txt",
        ],
    );
    check(&folder, &["**/er/*"], &["more/deep/er/d.txt"]);
    check(
        &folder,
        &["{books/a,more/deep}/**"],
        &["books/a/x.txt", "more/deep/er/d.txt"],
    );
    check(&folder, &["b*/_S*"], &["books/_SUCCESS"]);
    check(&folder, &["**/_S*"], &["books/_SUCCESS"]);
    check(&folder, &["*/.g*/*"], &["books/.git/z.txt"]);
}

#[test]
fn a_folder_that_matches_stands_for_its_files_once() {
    check(&tree(), &["mor*"], &["more/deep/er/d.txt"]);
    check(&tree(), &["more/**"], &["more/deep/er/d.txt"]);
    check(
        &tree(),
        &["books/[ab]*"],
        &["books/a.txt", "books/a/x.txt", "books/b.txt"],
    );
}

#[test]
fn a_name_that_exists_is_no_glob() {
    let folder = tree();
    check(&folder, &["what?.txt"], &["what?.txt"]);
    folder.write("whatx.txt", b"");
    check(&folder, &["what?.txt"], &["what?.txt"]);
    check(&folder, &["what*"], &["what?.txt", "whatx.txt"]);
    folder.write("[dir]/a/f.txt", b"");
    check(&folder, &["[dir]"], &["[dir]/a/f.txt"]);
}

#[test]
fn a_glob_below_a_folder_with_odd_characters_is_found() {
    let folder = Folder::new();
    folder.write("[x]*/a.txt", b"");
    let input = InputName {
        typed: Path::new("*.txt").into(),
        absolute: folder.path("[x]*/*.txt").into(),
        input: 0,
        format: None,
    };
    let files = discover(&[input]).unwrap();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].name.as_bytes(), b"a.txt");
}

#[test]
fn names_need_not_be_utf8() {
    let folder = Folder::new();
    let odd = OsStr::from_bytes(b"d\xff/\xfe.txt");
    folder.write(odd, b"");
    for typed in [&b"d\xff/\xfe.txt"[..], b"d\xff", b"d\xff/*.txt", b"d*/*"] {
        let files = discover(&[folder.input(OsStr::from_bytes(typed))]).unwrap();
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].name.as_bytes(), odd.as_bytes());
        assert!(files[0].path.as_bytes().ends_with(odd.as_bytes()));
    }
    let error = discover(&[folder.input(OsStr::from_bytes(b"\xff*"))]).unwrap_err();
    assert!(
        matches!(error, DiscoverError::GlobNotText { .. }),
        "{error}"
    );
}

#[test]
fn links_are_followed_but_not_in_circles() {
    let folder = tree();
    symlink(folder.path("more/deep"), folder.path("books/link")).unwrap();
    symlink("nowhere", folder.path("books/.broken")).unwrap();
    symlink("nowhere", folder.path("more/broken")).unwrap();
    symlink("..", folder.path("more/circle")).unwrap();
    check(&folder, &["more/d*"], &["more/deep/er/d.txt"]);
    fs::remove_file(folder.path("more/broken")).unwrap();
    fs::remove_file(folder.path("more/circle")).unwrap();
    check(
        &folder,
        &["books/a", "books/link", "books/[al]*"],
        &[
            "books/a/x.txt",
            "books/link/er/d.txt",
            "books/a.txt",
            "books/a/x.txt",
            "books/link/er/d.txt",
        ],
    );
    symlink("..", folder.path("more/deep/up")).unwrap();
    check_error(
        &folder,
        "more",
        "input more/deep/up is a link back to more, in which it is",
        Some("remove the link, or name the folders that are meant"),
    );
    symlink("nowhere", folder.path("broken")).unwrap();
    let broken = "input broken is a link to something that does not exist";
    check_error(&folder, "broken", broken, None);
    check_error(&folder, "brok*", broken, None);
    symlink("self", folder.path("self")).unwrap();
    check_error(&folder, "self", "cannot read input self", None);
}

#[test]
fn what_is_not_there_is_refused_with_what_may_be_meant() {
    let folder = tree();
    let missing = |typed: &str, nearest: Option<&str>| {
        let hint = nearest.map(|nearest| format!("did you mean {nearest}?"));
        let want = format!("input {typed} does not exist");
        check_error(&folder, typed, &want, hint.as_deref());
    };
    missing("boks", Some("books"));
    missing("book/a.txt", Some("books/a.txt"));
    missing("bools/*.txt", Some("books/*.txt"));
    missing("more/depe/er", Some("more/deep/er"));
    missing("elsewhere", None);
    missing("books/a.txt/b", None);
    check_error(
        &folder,
        "books/*.csv",
        "no file matches input books/*.csv",
        Some(
            "`*` stays within a folder, `**` does not; names that begin with _ or . match only patterns that do",
        ),
    );
    let patterns =
        "patterns know * ? ** [a-z] {a,b}, and \\ before a character that is meant as it is";
    check_error(
        &folder,
        "books/[a",
        "input books/[a is not a valid pattern",
        Some(patterns),
    );
    check_error(
        &folder,
        &"x".repeat(300),
        &format!("cannot read input {}", "x".repeat(300)),
        None,
    );
}

#[test]
fn an_empty_folder_has_no_files() {
    let folder = Folder::new();
    fs::create_dir(folder.path("empty")).unwrap();
    check(&folder, &["empty"], &[]);
}

#[test]
fn special_files_are_refused_unopened() {
    let folder = Folder::new();
    let _socket = UnixListener::bind(folder.path("socket")).unwrap();
    let pipe = Some("pipe it in: with `-` as input, standard input is read");
    check_error(
        &folder,
        "socket",
        "input socket is a socket, not a file or folder",
        pipe,
    );
    fs::create_dir(folder.path("d")).unwrap();
    rustix::fs::mkfifoat(
        File::open(folder.path("d")).unwrap(),
        "fifo",
        rustix::fs::Mode::RUSR,
    )
    .unwrap();
    check_error(
        &folder,
        "d",
        "input d/fifo is a named pipe, not a file or folder",
        pipe,
    );
    symlink("/dev/null", folder.path("null")).unwrap();
    check_error(
        &folder,
        "null",
        "input null is a device, not a file or folder",
        pipe,
    );
}

#[test]
fn packing_is_told_by_name_and_first_bytes() {
    let folder = Folder::new();
    folder.write("a.gz", &gzip(b"a"));
    folder.write("b.ZST", &zstd(b"b"));
    folder.write("c.gz.txt", b"plain");
    folder.write("d.lz4", &lz4(b"d"));
    folder.write("empty.gz", b"");
    let files = folder
        .discover(&["a.gz", "b.ZST", "c.gz.txt", "d.lz4", "empty.gz"])
        .unwrap();
    let codecs: Vec<_> = files.iter().map(|file| file.codec).collect();
    assert_eq!(
        codecs,
        [
            Codec::Gzip,
            Codec::Zstd,
            Codec::Plain,
            Codec::Lz4,
            Codec::Gzip
        ]
    );

    folder.write("d/text.gz", b"plain");
    check_error(
        &folder,
        "d",
        "input d/text.gz is named as a gzip file, but does not begin as one",
        Some("rename it without .gz if it is not packed"),
    );
    folder.write("x.tar.xz", b"\xfd7zXZ");
    check_error(
        &folder,
        "x.tar.xz",
        "input x.tar.xz is packed in a way that cannot be read",
        Some(
            "gzip (.gz), Zstandard (.zst), LZ4 (.lz4), bzip2 (.bz2) and zlib (.deflate) are read; unpack it first, for example with `xz -dk x.tar.xz`",
        ),
    );
}
