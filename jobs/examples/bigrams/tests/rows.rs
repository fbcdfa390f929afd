//! What the job makes of a few lines, and which parameters it refuses.

use bigrams::Bigrams;
use mapfold_job::Trial;

const STOPPED: &str = "pairs with a stop word";

#[test]
fn pairs_are_counted_within_lines() {
    let text = "The whale, the WHALE\nsea 42\n\nalone\n";
    let tried = Trial::<Bigrams>::of(text).check().unwrap();
    assert_eq!(
        tried.rows(),
        ["sea\t42\t1", "the\twhale\t2", "whale\tthe\t1"]
    );
    assert_eq!(tried.counter(STOPPED), 0);
}

#[test]
fn pairs_with_stop_words_are_left_out_and_told() {
    let trial =
        Trial::<Bigrams>::of("cat and the dog ran\n").side_file("stop_words", "The\r\nand\n");
    let tried = trial.check().unwrap();
    assert_eq!(tried.rows(), ["dog\tran\t1"]);
    assert_eq!(tried.counter(STOPPED), 3);
}

#[test]
fn pairs_may_reach_over_stop_words() {
    let trial = Trial::<Bigrams>::of("cat and the dog ran\n")
        .side_file("stop_words", "the\nand\n")
        .param("across", true);
    let tried = trial.check().unwrap();
    assert_eq!(tried.rows(), ["cat\tdog\t1", "dog\tran\t1"]);
    assert_eq!(tried.counter(STOPPED), 0);
}

#[test]
fn rare_pairs_are_left_out() {
    let trial = Trial::<Bigrams>::of("a b a b\nb c\n").param("count_min", 2);
    assert_eq!(trial.check().unwrap().rows(), ["a\tb\t2"]);
}

#[test]
fn bytes_that_are_no_text_part_words() {
    let tried = Trial::<Bigrams>::of(b"a\xffb \xc3\x89t\xc3\xa9\n")
        .check()
        .unwrap();
    assert_eq!(tried.rows(), ["a\tb\t1", "b\tété\t1"]);
}

#[test]
fn wrong_parameters_are_refused() {
    for (name, value, why) in [
        ("count_min", "0", "count_min is at least 1"),
        ("count_min", "many", "`many` is not a whole number"),
        ("count", "2", "the job takes across, count_min, stop_words"),
        ("across", "maybe", "`maybe` is not true or false"),
        ("across", "true", "needs stop_words"),
        (
            "stop_words",
            "/no/such/file",
            "there is no file /no/such/file",
        ),
    ] {
        let refused = Trial::<Bigrams>::of("a b\n").param(name, value).run();
        let said = refused.unwrap_err().to_string();
        assert!(said.contains(why), "{name}={value}: {said}");
    }
    let list = Trial::<Bigrams>::of("a b\n").side_file("stop_words", b"\xff");
    let said = list.run().unwrap_err().to_string();
    assert!(said.contains("is not UTF-8 at byte 0"), "{said}");
}
