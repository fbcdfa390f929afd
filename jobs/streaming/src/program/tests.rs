use super::*;
use std::fs;

/// Keeps what it hears.
#[derive(Default)]
struct Keep {
    printed: Vec<u8>,
    said: usize,
    lives: usize,
    stop: bool,
}

impl Listener for Keep {
    type Error = ProgramError;

    fn printed(&mut self, piece: &[u8]) -> Result<(), ProgramError> {
        self.printed.extend_from_slice(piece);
        Ok(())
    }

    fn said(&mut self, line: &str) -> bool {
        self.said += 1;
        line.starts_with("reporter:")
    }

    fn lives(&mut self) {
        self.lives += 1;
    }

    fn stopped(&self) -> bool {
        self.stop
    }
}

fn start(argv: &[&str]) -> Result<Program, ProgramError> {
    Program::start(&Start {
        argv: argv.iter().map(OsString::from).collect(),
        env: vec![("GREETING".into(), "hello".into())],
        folder: "/".into(),
        silence_max: Duration::ZERO,
        silence_ends: false,
    })
}

fn shell(script: &str) -> Program {
    start(&["sh", "-c", script]).unwrap()
}

/// What is told of a program that has ended badly.
fn failure(program: Program, keep: &mut Keep) -> ProgramError {
    ProgramError::Failed(program.finish(keep).unwrap())
}

#[test]
fn what_goes_in_comes_out() {
    let mut keep = Keep::default();
    let mut cat = start(&["cat"]).unwrap();
    let bytes: Vec<u8> = (0..5_000_000_u32).flat_map(u32::to_be_bytes).collect();
    for piece in bytes.chunks(3 << 20) {
        cat.feed(piece, &mut keep).unwrap();
    }
    cat.finish(&mut keep).unwrap();
    assert!(keep.printed == bytes);
}

#[test]
fn a_program_may_print_without_reading_and_read_without_printing() {
    let mut keep = Keep::default();
    let mut program = shell("head -c 3000000 /dev/zero; cat >/dev/null; echo $GREETING");
    program.feed(&[b'x'; 3_000_000], &mut keep).unwrap();
    program.finish(&mut keep).unwrap();
    assert_eq!(keep.printed.len(), 3_000_006);
    assert!(keep.printed.ends_with(b"hello\n"));
}

#[test]
fn a_program_that_reads_no_further_decides_by_its_code() {
    let mut keep = Keep::default();
    let mut head = start(&["head", "-c", "5"]).unwrap();
    head.feed(&vec![b'x'; 16 << 20], &mut keep).unwrap();
    head.finish(&mut keep).unwrap();
    assert_eq!(keep.printed, b"xxxxx");
    let mut program = shell("echo one >&2; printf 'reporter:x' >&2; exit 7");
    program.feed(&vec![b'x'; 16 << 20], &mut keep).unwrap();
    assert_eq!(
        failure(program, &mut keep).to_string(),
        "subprocess failed with code 7. It said last:\none\nreporter:x"
    );
    assert_eq!(keep.said, 2);
    assert_eq!(
        failure(shell("kill -9 $$"), &mut keep).to_string(),
        "subprocess failed with code 137 (128 and signal 9, which killed it), and said nothing"
    );
}

#[test]
fn much_on_stderr_is_read_and_little_is_kept() {
    let mut keep = Keep::default();
    let script = "head -c 20000000 /dev/zero >&2; yes line | head -n 1000 >&2; exit 1";
    let ending = shell(script).finish(&mut keep).unwrap();
    assert_eq!(
        (ending.code, ending.last_words),
        (1, vec!["line".to_owned(); LINES_MAX])
    );
    assert!((1000..=1001).contains(&keep.said));
}

#[test]
fn a_program_that_cannot_be_started_is_named() {
    let error = start(&["/nowhere/x"]).unwrap_err();
    assert_eq!(error.to_string(), "cannot start `/nowhere/x`");
    let why = |program| {
        let error = start(&[program]).unwrap_err();
        std::error::Error::source(&error).unwrap().to_string()
    };
    assert_eq!(why("no-such-program-here"), "there is no such program");
    assert_eq!(why("tmp"), "there is no such program");
    // In the working folder, which is the root here.
    assert_eq!(why("etc/passwd"), "it is not executable");
    assert!(start(&[]).is_err());
}

#[test]
fn one_that_is_silent_for_too_long_is_given_up() {
    let mut keep = Keep::default();
    let silent = |script: &str| {
        let mut program = shell(script);
        program.silence_max = Duration::from_millis(100);
        program
    };
    let mut chatty = silent("cat >/dev/null; while :; do echo talk >&2; sleep 0.01; done");
    chatty.feed(b"x", &mut keep).unwrap();
    assert_eq!(keep.lives, 1);
    let error = chatty.finish(&mut keep).unwrap_err().to_string();
    assert!(
        error.starts_with("it has neither read, printed nor reported for "),
        "{error}"
    );
    assert!(error.ends_with("talk"), "{error}");
    let error = silent("exec sleep 1000").feed(&vec![0; 8 << 20], &mut keep);
    assert!(matches!(error, Err(ProgramError::Silent { .. })));
    let busy = "for i in 1 2 3 4 5 6 7 8; do sleep 0.02; echo reporter:status:$i >&2; done";
    let mut program = shell(busy);
    // Generous: each report begins it anew.
    program.silence_max = Duration::from_secs(20);
    let lives = keep.lives;
    program.finish(&mut keep).unwrap();
    assert_eq!(keep.lives, lives + 8);
}

#[test]
fn silence_may_end_one_as_a_signal_does() {
    let mut keep = Keep::default();
    let mut program = shell("echo said >&2; echo printed; exec sleep 1000");
    while keep.printed.is_empty() || keep.said == 0 {
        program.feed(b"x", &mut keep).unwrap();
    }
    program.silence_max = Duration::from_millis(100);
    program.silence_ends = true;
    program.feed(&vec![0; 8 << 20], &mut keep).unwrap();
    let ending = program.finish(&mut keep).unwrap();
    assert_eq!((ending.code, ending.last_words.len()), (137, 2));
    assert_eq!(ending.last_words[0], "said");
    let why = &ending.last_words[1];
    assert!(
        why.starts_with("killed: it has neither read, printed nor reported for "),
        "{why}"
    );
    assert_eq!(keep.printed, b"printed\n");
}

#[test]
fn one_that_goes_on_after_it_has_closed_all_is_stopped() {
    let mut keep = Keep {
        stop: true,
        ..Keep::default()
    };
    let mut program = shell("exec <&- >&- 2>&-; sleep 1000");
    let (mut unheard, mut pieces) = (Keep::default(), 0);
    // It reads nothing, and all that it is fed is dropped once its stdin is closed.
    while program.stdin.is_some() {
        program.feed(&[b'x'; 1 << 10], &mut unheard).unwrap();
        pieces += 1;
    }
    assert!(pieces > 0);
    let error = program.wait_for_end::<Keep>(&mut keep).unwrap_err();
    assert!(matches!(error, ProgramError::Stopped));
}

#[test]
fn one_that_is_stopped_is_killed_with_its_children() {
    let mut keep = Keep::default();
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let script = format!("sleep 1000 & echo $! > {}; wait", pid.display());
    let mut program = shell(&script);
    let started = Instant::now();
    let sleeper = loop {
        match fs::read_to_string(&pid) {
            Ok(pid) if pid.ends_with('\n') => break pid,
            _ => assert!(started.elapsed() < Duration::from_secs(60)),
        }
    };
    keep.stop = true;
    let error = program.feed(b"x", &mut keep).unwrap_err();
    assert!(matches!(error, ProgramError::Stopped));
    drop(program);
    let status = format!("/proc/{}/stat", sleeper.trim());
    // It is gone, or a zombie until its new parent looks.
    while fs::read_to_string(&status).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(started.elapsed() < Duration::from_secs(60));
    }
}
