use mapfold_job::Trial;

use super::*;

fn trial(conf: &Conf, text: &str) -> Trial<Streaming> {
    Trial::of(text).param("conf", serde_json::to_string(conf).unwrap())
}

/// Of a job whose mapper prints what it is fed.
fn cat() -> Conf {
    Conf {
        mapper: Some("cat".to_owned()),
        ..Conf::default()
    }
}

#[track_caller]
fn check(conf: &Conf, text: &str, want: &[&str]) {
    assert_eq!(trial(conf, text).run().unwrap().rows(), want);
}

#[test]
fn words_are_counted_by_programs() {
    let conf = Conf {
        mapper: Some("awk '{ for (i = 1; i <= NF; i++) print $i \"\\t1\" }'".to_owned()),
        reducer: Reducer::Command("uniq -c".to_owned()),
        ..cat()
    };
    check(&conf, "b a\na\n", &["      2 a\t1", "      1 b\t1"]);
}

#[test]
fn without_programs_keys_are_sorted_and_lines_are_as_hadoop_cuts_them() {
    check(&cat(), "b\t1\r\na\tx\ty\rc", &["a\tx\ty", "b\t1", "c\t"]);
    let conf = Conf {
        order: "-nr".to_owned(),
        ..cat()
    };
    check(&conf, "9\n10\n-1\n", &["10\t", "9\t", "-1\t"]);
}

#[test]
fn a_combiner_sees_sorted_pairs_and_its_lines_are_what_is_shuffled() {
    let conf = Conf {
        mapper: Some("tr ' ' '\n'".to_owned()),
        combiner: Some("uniq -c".to_owned()),
        ..cat()
    };
    // Of each map task; `uniq` sees the TAB of a key without a value.
    let tried = trial(&conf, "b a b\na\n").run().unwrap();
    assert_eq!(tried.rows(), ["      2 a\t", "      2 b\t"]);
}

#[test]
fn programs_report_counters_and_their_last_words_when_they_fail() {
    let conf = Conf {
        mapper: Some("sh -c 'cat; echo reporter:counter:g,lines,2 >&2'".to_owned()),
        reducer: Reducer::Command("cat".to_owned()),
        ..cat()
    };
    let tried = trial(&conf, "a\nb\n").run().unwrap();
    assert_eq!(tried.counter("g: lines"), 2);
    let conf = Conf {
        mapper: Some("sh -c 'cat >/dev/null; echo no luck >&2; exit 3'".to_owned()),
        ..cat()
    };
    let error = trial(&conf, "a\n").run().unwrap_err().to_string();
    assert!(
        error.ends_with("`sh` ended with code 3. It said last:\nno luck"),
        "{error}"
    );
    let conf = Conf {
        codes_matter: false,
        ..conf
    };
    check(&conf, "a\n", &[]);
}

#[test]
fn a_reducer_without_keys_is_run_and_not_heard() {
    let conf = Conf {
        mapper: Some("true".to_owned()),
        reducer: Reducer::Command(
            "sh -c 'cat; echo end; echo reporter:counter:g,ran,1 >&2'".to_owned(),
        ),
        ..cat()
    };
    let tried = trial(&conf, "a\n").run().unwrap();
    assert!(tried.rows().is_empty());
    assert_eq!(tried.counter("g: ran"), 1);
    let conf = Conf {
        mapper: Some("cat".to_owned()),
        ..conf
    };
    check(&conf, "a\n", &["a\t", "end\t"]);
}

#[test]
fn partitions_are_those_of_the_key_fields() {
    let conf = Conf {
        map_output: Printed {
            separator: "\t".to_owned(),
            keys: 2,
            ..Printed::default()
        },
        partitioner: PartitionBy::KeyFields("-k1,1".to_owned()),
        order: "-k1,1 -k2,2nr".to_owned(),
        ..cat()
    };
    let tried = trial(&conf, "b\t2\tx\na\t10\ty\na\t9\tz\n")
        .reducers(3)
        .run()
        .unwrap();
    assert_eq!(tried.rows(), ["a\t10\ty", "a\t9\tz", "b\t2\tx"]);
    assert_eq!(
        tried.parts().iter().filter(|part| !part.is_empty()).count(),
        2
    );
}
