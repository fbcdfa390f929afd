use mapfold_job::Trial;

use crate::conf::{Fed, Form, Printed, Records};
use crate::map_only::StreamingMap;

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

/// The rows of a job without reduce tasks.
#[track_caller]
fn check_map(conf: &Conf, text: &str, want: &[&str]) {
    let conf = serde_json::to_string(conf).unwrap();
    let tried = Trial::<StreamingMap>::of(text).param("conf", conf).run();
    assert_eq!(tried.unwrap().rows(), want);
}

/// Prints in hexadecimal all that it is fed.
const HEX: &str = "sh -c \"od -An -v -tx1 | tr -d ' \\n'\"";

fn fed(form: Form) -> Fed {
    Fed {
        form,
        ..Fed::default()
    }
}

fn printed(form: Form) -> Printed {
    Printed {
        form,
        ..Printed::default()
    }
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
    assert_eq!(tried.counter("g\nlines"), 2);
    let conf = Conf {
        mapper: Some("sh -c 'cat >/dev/null; echo no luck >&2; exit 3'".to_owned()),
        ..cat()
    };
    let error = trial(&conf, "a\n").run().unwrap_err().to_string();
    assert!(
        error.ends_with("subprocess failed with code 3. It said last:\nno luck"),
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
    assert_eq!(tried.counter("g\nran"), 1);
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

#[test]
fn mappers_are_fed_records_in_the_form_that_they_want() {
    let fed_as = |form| Conf {
        mapper: Some(HEX.to_owned()),
        map_input: fed(form),
        map_output: printed(Form::KeyOnlyText),
        ..Conf::default()
    };
    let text = "one\ntwo two\n";
    check_map(&fed_as(Form::Text), text, &["6f6e650a74776f2074776f0a"]);
    check_map(&fed_as(Form::KeyOnlyText), text, &["300a340a"]);
    let typed = "04000000000000000007000000036f6e65040000000000000004070000000774776f2074776f";
    check_map(&fed_as(Form::TypedBytes), text, &[typed]);
    let raw =
        "00000008000000000000000000000004036f6e65000000080000000000000004000000080774776f2074776f";
    check_map(&fed_as(Form::RawBytes), text, &[raw]);
    let with_keys = Conf {
        ignore_key: false,
        ..cat()
    };
    check_map(&with_keys, "ab\r\nc\nd", &["0\tab", "4\tc", "6\td"]);
    let key_values = Conf {
        records: Records::KeyValueLines {
            separator: ",".to_owned(),
        },
        ..with_keys
    };
    check_map(&key_values, "a,b,c\nd", &["a\tb,c", "d\t"]);
    let values = Conf {
        ignore_key: true,
        ..key_values
    };
    check_map(&values, "a,b,c\nd", &["b,c\t", "\t"]);
}

#[test]
fn what_reducers_are_fed_depends_on_what_mappers_print() {
    let conf = |printed_as, fed_as| Conf {
        map_output: printed(printed_as),
        reduce_input: fed(fed_as),
        reducer: Reducer::Command(HEX.to_owned()),
        reduce_output: printed(Form::KeyOnlyText),
        ..cat()
    };
    let mixed = "07000000016a070000000007000000016b070000000176";
    check(&conf(Form::Text, Form::TypedBytes), "k\tv\nj\n", &[mixed]);
    check(
        &conf(Form::Text, Form::RawBytes),
        "k\tv\n",
        &["00000002016b000000020176"],
    );
    check(
        &conf(Form::KeyOnlyText, Form::KeyOnlyText),
        "k\tv\n",
        &["6b09760a"],
    );
    check(
        &conf(Form::KeyOnlyText, Form::Text),
        "k\n",
        &["6b09286e756c6c290a"],
    );
    let raw = Conf {
        mapper: Some(r"printf \0\0\0\003bbb\0\0\0\001x\0\0\0\001c\0\0\0\001y".to_owned()),
        ..conf(Form::RawBytes, Form::RawBytes)
    };
    check(&raw, "", &["00000003626262000000017800000001630000000179"]);
}

#[test]
fn rows_show_what_is_no_text_as_java_would() {
    let conf = Conf {
        mapper: Some(r"printf \007\0\0\0\001b\003\0\0\0\005\007\0\0\0\002aa\002\001".to_owned()),
        map_output: printed(Form::TypedBytes),
        ..Conf::default()
    };
    // The shorter text is the lesser item.
    check(&conf, "", &["b\t5", "aa\ttrue"]);
    let conf = Conf {
        mapper: Some(r"printf \0\0\0\001b\0\0\0\002ab".to_owned()),
        map_output: printed(Form::RawBytes),
        row_separator: ": ".to_owned(),
        ..conf
    };
    check(&conf, "", &["62: 61 62"]);
}

#[test]
fn without_a_mapper_the_records_are_the_keys_and_values() {
    let conf = Conf::default();
    let text = "line 0\nline 1\nline 2\n";
    check(&conf, text, &["0\tline 0", "7\tline 1", "14\tline 2"]);
    check_map(&conf, text, &["0\tline 0", "7\tline 1", "14\tline 2"]);
    let by_reducer = Conf {
        reducer: Reducer::Command("cat".to_owned()),
        ..Conf::default()
    };
    assert!(Streaming::of(&by_reducer).is_err());
    let key_values = Conf {
        records: Records::KeyValueLines {
            separator: "\t".to_owned(),
        },
        ..by_reducer
    };
    check(&key_values, "b\t1\na\t2\nc\n", &["a\t2", "b\t1", "c\t"]);
    let alone = Conf {
        reducer: Reducer::Identity,
        ..key_values
    };
    let error = Streaming::of(&alone).unwrap_err().to_string();
    assert_eq!(
        error,
        "without a mapper the keys are those of the input (texts), and the job expects others (numbers)"
    );
    let told = Conf {
        key_class: KeyClass::Text,
        ..alone
    };
    check(&told, "b\t1\na\t2\nc\n", &["a\t2", "b\t1", "c\t"]);
}

#[test]
fn a_combiner_prints_lines_of_its_own_kind() {
    let conf = Conf {
        map_output: Printed {
            separator: ".".to_owned(),
            keys: 2,
            ..Printed::default()
        },
        combiner: Some("cat".to_owned()),
        ..cat()
    };
    check(&conf, "b.b.1\na.a.2\n", &["a.a\t2", "b.b\t1"]);
    let binary = Conf {
        combiner_output: printed(Form::RawBytes),
        ..conf
    };
    assert!(Streaming::of(&binary).is_err());
    // An aggregate looks at no combiner.
    let aggregate = Conf {
        reducer: Reducer::Aggregate,
        map_output: Printed::default(),
        ..binary
    };
    check(
        &aggregate,
        "LongValueSum:a\t1\nLongValueSum:a\t2\n",
        &["a\t3"],
    );
}

#[test]
fn what_a_mapper_prints_at_its_end_is_combined_in_pieces() {
    let many = 3 * COMBINE_BYTES / (size_of::<[usize; 4]>() + 4);
    let conf = Conf {
        mapper: Some(format!("sh -c 'cat; yes a | head -n {many}'")),
        combiner: Some("uniq -c".to_owned()),
        ..Conf::default()
    };
    let tried = trial(&conf, "").run().unwrap();
    assert!(tried.rows().len() > 1);
    let sum: usize = tried
        .rows()
        .iter()
        .map(|row| {
            row.trim()
                .split(' ')
                .next()
                .unwrap()
                .parse::<usize>()
                .unwrap()
        })
        .sum();
    assert_eq!(sum, many);
}

#[test]
fn failures_name_the_command_and_what_it_was_fed() {
    let conf = Conf {
        mapper: Some("sh -c 'cat; exit 3'".to_owned()),
        reducer: Reducer::Command("sh -c 'kill -9 $$'".to_owned()),
        ..Conf::default()
    };
    let error = trial(&conf, "a\n").run().unwrap_err().to_string();
    let (_, told) = error
        .split_once("the mapper `sh -c 'cat; exit 3'` failed on ")
        .unwrap();
    assert!(told.contains(", bytes 0 to 2"), "{told}");
    assert!(
        told.ends_with("subprocess failed with code 3, and said nothing"),
        "{told}"
    );
    assert!(!error.contains("finish_map"), "{error}");
    let conf = Conf {
        mapper: Some("cat".to_owned()),
        ..conf
    };
    let error = trial(&conf, "a\n").run().unwrap_err().to_string();
    assert!(
        error.contains("the reducer `sh -c 'kill -9 $$'` failed"),
        "{error}"
    );
    assert!(
        error.contains("subprocess failed with code 137 (128 and signal 9"),
        "{error}"
    );
    let conf = Conf {
        codes_matter: false,
        ..conf
    };
    check(&conf, "a\n", &[]);
}

#[test]
fn records_between_marks_are_the_same_however_files_are_cut() {
    let conf = Conf {
        records: Records::Xml {
            begin: "<d>".to_owned(),
            end: "</d>".to_owned(),
        },
        ignore_key: false,
        mapper: Some("sed -n p".to_owned()),
        ..Conf::default()
    };
    let text = "<x><d>one</d> mid <d>two</d></x>\nno\n<d>th\nr\nee</d>\n<d>four</d>";
    let tried = trial(&conf, text).check().unwrap();
    let want = [
        "<d>four</d>\t",
        "<d>one</d>\t",
        "<d>th\t",
        "<d>two</d>\t",
        "ee</d>\t",
        "r\t",
    ];
    assert_eq!(tried.rows(), want);
    let without_mapper = Conf {
        mapper: None,
        key_class: KeyClass::Text,
        ..conf
    };
    assert_eq!(
        trial(&without_mapper, text).check().unwrap().rows().len(),
        6
    );
}

#[test]
fn programs_are_told_of_their_job_and_task() {
    let conf = Conf {
        mapper: Some(
            "sh -c 'cat >/dev/null; echo \"$my_own $mapreduce_job_id $map_input_length $mapred_task_is_map $A\"; test -d \"$TMPDIR\" || echo none'"
                .to_owned(),
        ),
        properties: [
            ("my.own".to_owned(), "x".to_owned()),
            ("a".to_owned(), "of a property".to_owned()),
            ("mapreduce.job.id".to_owned(), "job_17_0001".to_owned()),
        ]
        .into(),
        env: [("A".to_owned(), "added".to_owned())].into(),
        ..cat()
    };
    let tried = trial(&conf, "a\nb\n").run().unwrap();
    assert_eq!(tried.rows(), ["x job_17_0001 4 true added\t"]);
}

#[test]
fn files_go_with_a_job_and_programs_among_them_are_made_executable() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("mine.sh");
    std::fs::write(&script, "#!/bin/sh\ncat >/dev/null\ncat table; ls").unwrap();
    let table = folder.path().join("table-7.txt");
    std::fs::write(&table, "of a table\n").unwrap();
    let shipped = |name: &str, path: &std::path::Path| crate::Shipped::new(name, path);
    let conf = Conf {
        mapper: Some("map.sh".to_owned()),
        files: vec![shipped("map.sh", &script), shipped("table", &table)],
        ..Conf::default()
    };
    check_map(&conf, "a\n", &["of a table\t", "map.sh\t", "table\t"]);
    let mode = std::os::unix::fs::PermissionsExt::mode(&script.metadata().unwrap().permissions());
    assert_eq!(mode & 0o111, 0, "it is somebody's");
    std::fs::remove_file(&table).unwrap();
    let conf = serde_json::to_string(&conf).unwrap();
    let tried = Trial::<StreamingMap>::of("a\n").param("conf", conf).run();
    let error = tried.unwrap_err().to_string();
    assert!(error.contains("table-7.txt"), "{error}");
}
