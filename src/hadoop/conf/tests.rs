use super::*;

fn describe_line(line: &str) -> Result<Described, ConfError> {
    let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let options = Options::parse(&args).unwrap();
    let mut properties = Properties::default();
    for (name, value) in &options.properties {
        properties.set(name, value.as_str());
    }
    describe(&options, &mut properties, PathBuf::from("/work"))
}

#[track_caller]
fn described(line: &str) -> Described {
    describe_line(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

#[test]
fn reduce_tasks_are_counted() {
    let check = |line: &str, want| assert_eq!(described(line).reducers, want, "{line}");
    check("", 1);
    check("-D mapreduce.job.reduces=3", 3);
    check("-D mapred.reduce.tasks=3", 3);
    check("-D mapreduce.job.reduces=3 -numReduceTasks 2", 2);
    check("-numReduceTasks 2 -reducer NONE", 0);
    assert!(describe_line("-numReduceTasks 4000000").is_err());
    assert!(describe_line("-D mapreduce.job.reduces=x").is_err());
}

#[test]
fn programs_classes_and_aggregates_are_told_apart() {
    let conf = described("-mapper cat -combiner aggregate -reducer aggregate").conf;
    assert_eq!(conf.mapper.as_deref(), Some("cat"));
    assert_eq!(conf.combiner, None);
    assert_eq!(conf.reducer, Reducer::Aggregate);
    let conf = described("-reducer org.apache.hadoop.mapred.lib.IdentityReducer").conf;
    assert_eq!(
        (conf.mapper, conf.reducer, conf.key_class),
        (None, Reducer::Identity, KeyClass::Number)
    );
    let conf = described("-D mapreduce.job.output.key.class=org.apache.hadoop.io.Text").conf;
    assert_eq!(conf.key_class, KeyClass::Text);
    assert_eq!(described("-reducer cat").conf.key_class, KeyClass::Text);
    assert!(describe_line("-mapper org.apache.hadoop.mapred.lib.RegexMapper").is_err());
}

#[test]
fn options_of_fields_need_their_class() {
    let check = |line: &str, want: &[&str]| {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let options = Options::parse(&args).unwrap();
        let mut properties = Properties::default();
        for (name, value) in &options.properties {
            properties.set(name, value.as_str());
        }
        let idle = without_effect(&options, &properties);
        let names: Vec<&str> = idle.iter().map(|it| it.0).collect();
        assert_eq!(names, want, "{line}");
    };
    let fields = "-D mapred.text.key.partitioner.options=-k1,1 -D mapreduce.partition.keycomparator.options=-k2nr";
    check(
        fields,
        &[
            "mapreduce.partition.keypartitioner.options",
            "mapreduce.partition.keycomparator.options",
        ],
    );
    let classes = "-partitioner KeyFieldBasedPartitioner -D mapred.output.key.comparator.class=KeyFieldBasedComparator";
    check(&format!("{fields} {classes}"), &[]);
    check(classes, &[]);
}

#[test]
fn input_formats_decide_what_mappers_are_fed() {
    let check = |line: &str, records, format, ignore_key| {
        let described = described(line);
        assert_eq!(described.conf.records, records, "{line}");
        assert_eq!(described.format, format, "{line}");
        assert_eq!(described.conf.ignore_key, ignore_key, "{line}");
    };
    check("", Records::Lines, Format::Lines, true);
    let two = NonZeroU32::new(2).unwrap();
    check(
        "-inputformat NLineInputFormat -D mapred.line.input.format.linespermap=2",
        Records::Lines,
        Format::NLine(two),
        false,
    );
    check(
        "-inputformat KeyValueTextInputFormat -D stream.map.input.ignoreKey=true",
        Records::KeyValueLines {
            separator: "\t".to_owned(),
        },
        Format::Lines,
        true,
    );
    check(
        "-inputreader StreamXmlRecordReader,begin=<d>,end=</d>",
        Records::Xml {
            begin: "<d>".to_owned(),
            end: "</d>".to_owned(),
        },
        Format::Lines,
        false,
    );
    assert!(describe_line("-inputreader StreamXmlRecordReader,begin=x").is_err());
    assert!(describe_line("-inputformat SequenceFileInputFormat").is_err());
    assert!(describe_line("-outputformat NoSuch").is_err());
}

#[test]
fn forms_are_set_by_direction_and_all_at_once() {
    let conf = described("-io typedbytes").conf;
    assert_eq!(conf.map_input.form, Form::TypedBytes);
    assert_eq!(conf.reduce_output.form, Form::TypedBytes);
    let conf = described("-D stream.reduce.input=rawbytes -D stream.map.output=nosuch").conf;
    assert_eq!(conf.reduce_input.form, Form::RawBytes);
    assert_eq!(conf.map_output.form, Form::Text);
}

#[test]
fn partitions_and_order_have_options() {
    let fields = "-partitioner org.apache.hadoop.mapred.lib.KeyFieldBasedPartitioner";
    let check = |line: &str, want: &str| {
        let want = PartitionBy::KeyFields(want.to_owned());
        assert_eq!(described(line).conf.partitioner, want, "{line}");
    };
    check(fields, "");
    check(
        &format!("{fields} -D num.key.fields.for.partition=2"),
        "-k1,2",
    );
    check(
        &format!("{fields} -D mapred.text.key.partitioner.options=-k2"),
        "-k2",
    );
    let options = "-D mapreduce.partition.keycomparator.options=-nr";
    assert_eq!(described(options).conf.order, "");
    let named = "-D mapred.output.key.comparator.class=org.apache.hadoop.mapred.lib.KeyFieldBasedComparator";
    assert_eq!(described(&format!("{options} {named}")).conf.order, "-nr");
    assert!(describe_line("-partitioner com.acme.Own").is_err());
}

#[test]
fn tries_and_times_are_hadoops() {
    let check = |line: &str, attempts, seconds| {
        let described = described(line);
        assert_eq!(described.attempts_max.get(), attempts, "{line}");
        assert_eq!(described.task_timeout.as_secs(), seconds, "{line}");
    };
    check("", 4, 600);
    check(
        "-D mapreduce.map.maxattempts=1 -D mapred.task.timeout=0",
        1,
        0,
    );
}

#[test]
fn empty_separators_are_none() {
    let conf = described("-D mapreduce.output.textoutputformat.separator=").conf;
    assert_eq!(conf.row_separator, "\t");
}

#[test]
fn splits_are_as_large_as_properties_say() {
    const MIB: u64 = 1 << 20;
    let check = |pairs: &[(&str, &str)], typed_maps, files: &[u64], want: u64| {
        let mut properties = Properties::default();
        for (name, value) in pairs {
            properties.set(name, *value);
        }
        let size = split_size(&properties, typed_maps, files).unwrap();
        assert_eq!(size.bytes(), want, "{pairs:?} {files:?}");
    };
    let maps = ("mapred.map.tasks", "4");
    let min = ("mapred.min.split.size", "300");
    check(&[], true, &[1000], 16 * MIB);
    check(&[maps], false, &[1000], 16 * MIB);
    check(&[maps], true, &[1000], 250);
    check(&[maps], true, &[401, 600], 251);
    check(&[maps, min], true, &[1000], 300);
    check(&[min], true, &[1000], 16 * MIB);
    check(&[], false, &[], 16 * MIB);
    check(&[], false, &[16 * MIB; 3], 16 * MIB);
    check(&[], false, &[MIB, 17 * MIB], 8 * MIB);
    check(&[], false, &[64 << 30], 256 * MIB);
    check(&[maps], true, &[64 << 30], 256 * MIB);
    check(&[maps], true, &[1 << 30], 128 * MIB);
}
