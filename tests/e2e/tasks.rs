//! Attempts as processes, ordered by a shell loop rather than a master.

use std::fs;
use std::process::Command;

use crate::sandbox::{Sandbox, books, bytes_of};

/// Runs a shell script in the working folder, where `$MAPFOLD` is the program.
#[track_caller]
pub(crate) fn shell(sandbox: &Sandbox, script: &str) -> String {
    let mapfold = sandbox.command([""; 0]);
    let mut shell = Command::new("sh");
    shell
        .args(["-euc", script])
        .current_dir(sandbox.work(""))
        .env("MAPFOLD", mapfold.get_program())
        .env("TMPDIR", sandbox.tmp());
    let ended = shell.output().unwrap();
    assert!(
        ended.status.success(),
        "{script}\n{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    String::from_utf8(ended.stdout).unwrap()
}

/// Tasks in a mixed order, one of each kind run twice, a reduce of which two attempts are left.
const LOOP: &str = r#"
eval "$($MAPFOLD plan $JOB -o plan.json)"
for i in $(seq 0 $((maps - 1)) | sort -R --random-source=/dev/zero); do
    $MAPFOLD task map --plan plan.json --index $i --to shuffle
done
$MAPFOLD task map --plan plan.json --index 0 --attempt 2 --to shuffle
$MAPFOLD task map --plan plan.json --index 0 --to shuffle
for i in $(seq 0 $((reduces - 1)) | sort -rn); do
    $MAPFOLD task reduce --plan plan.json --index $i --from shuffle --memory 28MiB
done
$MAPFOLD task reduce --plan plan.json --index 0 --attempt 2 --from shuffle
$MAPFOLD task commit --plan plan.json --from shuffle -o tasks
$MAPFOLD task commit --plan plan.json --from shuffle -o tasks
echo $maps $reduces
"#;

#[test]
fn a_shell_loop_leaves_the_same_folder_as_a_run() {
    let books = books();
    let books = books.display();
    let jobs = [
        format!("wordcount {books} -r 3 --split-size 500KB -p lowercase=true"),
        format!("sort {books} -r 3 --split-size 1MB --compress zstd"),
        format!("index {books} --format files --split-size 1"),
        "lab-fussy bad.txt --split-size 40 --skip-bad 3".to_owned(),
    ];
    for job in jobs {
        let sandbox = Sandbox::new();
        fs::write(sandbox.work("bad.txt"), "one two\nlost panic\n".repeat(3)).unwrap();
        shell(
            &sandbox,
            &format!("$MAPFOLD run {job} -o run --workers 2 -q"),
        );
        let said = shell(&sandbox, &LOOP.replace("$JOB", &job));
        let maps: u32 = said.split(' ').next().unwrap().parse().unwrap();
        assert!(maps > 1, "{said}");
        let folder = bytes_of(&sandbox.work("tasks"));
        assert_eq!(folder, bytes_of(&sandbox.work("run")), "{job}");
        assert!(sandbox.run(["verify", "tasks"]).status.success());
        let left = fs::read_dir(sandbox.work("shuffle")).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert!(
            left.iter()
                .all(|name| !name.to_string_lossy().ends_with(".tmp")),
            "{left:?}"
        );
    }
}

#[test]
fn exit_codes_say_what_is_to_be_done() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work("in.txt"), "good\nlost panic\n").unwrap();
    shell(&sandbox, "$MAPFOLD plan lab-fussy in.txt -o plan.json");
    let code = |args: &str| {
        let args = format!("task {args} --plan plan.json");
        let ended = sandbox.start(args.split(' ')).wait();
        (ended.status.code(), ended.stderr)
    };
    let (failed, said) = code("map --index 0 --to dir");
    assert_eq!(failed, Some(1), "{said}");
    assert!(said.contains("at: in.txt, byte 5: "), "{said}");
    assert_eq!(code("map --index 1 --to dir").0, Some(2));
    assert_eq!(code("reduce --index 0 --from dir").0, Some(75));
    assert_eq!(code("commit --from dir -o out").0, Some(75));
    fs::write(sandbox.work("in.txt"), "other\n").unwrap();
    let (changed, said) = code("map --index 0 --to dir");
    assert_eq!(changed, Some(20), "{said}");

    fs::write(sandbox.work("good.txt"), "good\n").unwrap();
    shell(&sandbox, "$MAPFOLD plan lab-fussy good.txt -o good.json");
    shell(
        &sandbox,
        "$MAPFOLD task map --plan good.json --index 0 --to dir",
    );
    let (other, said) = code("reduce --index 0 --from dir");
    assert_eq!(other, Some(20), "{said}");
    assert!(said.contains("belongs to another plan"), "{said}");
    let plan = fs::read_to_string(sandbox.work("plan.json")).unwrap();
    let edited = plan.replace("\"skip_bad\": 0", "\"skip_bad\": 1");
    fs::write(sandbox.work("plan.json"), edited).unwrap();
    let (edited, said) = code("map --index 0 --to dir");
    assert_eq!(edited, Some(2), "{said}");
    assert!(said.contains("was changed after it was written"), "{said}");
}
