//! Files are made by the crate's own writer; one that another program wrote is in `data/samples`.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use mapfold_terms::{FailClass, InputName, Plan, RawPath};
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::*;
use crate::input::{SplitReader, discover, plan};

fn planned(path: &Path, split_size: u64) -> Plan {
    let name = InputName {
        typed: RawPath::from(Path::new("t")),
        absolute: RawPath::from(path),
        input: 0,
        format: None,
    };
    let files = discover(&[name]).unwrap();
    plan(files, Format::Parquet, Some(ByteSize(split_size)), None).unwrap()
}

/// All rows of a split: (row of the file, row group, JSON).
fn read(
    split: &mapfold_terms::Split,
    limit: ByteSize,
) -> Result<Vec<(u64, u32, String)>, ReadSplitError> {
    let mut reader = SplitReader::new(split, Format::Parquet, limit);
    let mut rows = Vec::new();
    while let Some(block) = reader.next_block()? {
        assert_eq!(block.record_count(), block.records().count() as u64);
        rows.extend(block.records().map(|row| {
            let text = row.text().into_owned();
            (row.offset, block.row_group().unwrap(), text)
        }));
    }
    assert_eq!(reader.bytes_read(), split.bytes());
    Ok(rows)
}

fn read_all(path: &Path, split_size: u64) -> Vec<(u64, u32, String)> {
    let splits = planned(path, split_size).splits;
    let read = splits.iter().map(|split| read(split, ByteSize::mib(1)));
    read.flat_map(Result::unwrap).collect()
}

/// `groups` row groups of `rows` rows each, of an id and a name that is sometimes not there.
fn write_people(path: &Path, groups: i64, rows: i64, packed: Compression) {
    let schema = "message people { required int64 id; optional binary name (utf8); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = WriterProperties::builder().set_compression(packed).build();
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
    for group in 0..groups {
        let ids: Vec<i64> = (group * rows..(group + 1) * rows).collect();
        let named: Vec<i16> = ids.iter().map(|id| i16::from(id % 3 != 0)).collect();
        let names = ids.iter().filter(|id| *id % 3 != 0);
        let names: Vec<_> = names
            .map(|id| ByteArray::from(format!("n\u{e9}{id}").into_bytes()))
            .collect();
        let mut to = writer.next_row_group().unwrap();
        let mut column = to.next_column().unwrap().unwrap();
        column
            .typed::<Int64Type>()
            .write_batch(&ids, None, None)
            .unwrap();
        column.close().unwrap();
        let mut column = to.next_column().unwrap().unwrap();
        column
            .typed::<ByteArrayType>()
            .write_batch(&names, Some(&named), None)
            .unwrap();
        column.close().unwrap();
        to.close().unwrap();
    }
    writer.close().unwrap();
}

fn people(groups: u64, rows: u64) -> Vec<(u64, u32, String)> {
    let row = |id| {
        let name = match id % 3 {
            0 => "null".to_owned(),
            _ => format!("\"n\u{e9}{id}\""),
        };
        let group = u32::try_from(id / rows).unwrap();
        (id, group, format!("{{\"id\":{id},\"name\":{name}}}"))
    };
    (0..groups * rows).map(row).collect()
}

#[test]
fn each_row_is_read_once_wherever_the_file_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    write_people(&path, 7, 50, Compression::SNAPPY);
    let len = fs::metadata(&path).unwrap().len();
    for split_size in (1..=len).step_by(97).chain([len, 10 * len]) {
        assert_eq!(read_all(&path, split_size), people(7, 50), "{split_size}");
    }
}

#[test]
fn pages_are_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    for packed in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4_RAW,
    ] {
        write_people(&path, 2, 1000, packed);
        assert_eq!(read_all(&path, 1 << 20), people(2, 1000), "{packed:?}");
    }
}

#[test]
fn lists_and_groups_are_put_together() {
    let schema = "message t {
        optional group l (LIST) { repeated group list { optional int32 element; } }
        required group g { required double x; }
    }";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = File::create(&path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
    let mut to = writer.next_row_group().unwrap();
    let mut column = to.next_column().unwrap().unwrap();
    // [1, null, 3], null, [], [4]
    let defined = [3, 2, 3, 0, 1, 3];
    let repeated = [0, 1, 1, 0, 0, 0];
    column
        .typed::<Int32Type>()
        .write_batch(&[1, 3, 4], Some(&defined), Some(&repeated))
        .unwrap();
    column.close().unwrap();
    let mut column = to.next_column().unwrap().unwrap();
    column
        .typed::<DoubleType>()
        .write_batch(&[0.5, f64::NAN, 2.0, 3.0], None, None)
        .unwrap();
    column.close().unwrap();
    to.close().unwrap();
    writer.close().unwrap();
    let rows: Vec<_> = read_all(&path, 1 << 20)
        .into_iter()
        .map(|row| row.2)
        .collect();
    let want = [
        r#"{"l":[1,null,3],"g":{"x":0.5}}"#,
        r#"{"l":null,"g":{"x":null}}"#,
        r#"{"l":[],"g":{"x":2.0}}"#,
        r#"{"l":[4],"g":{"x":3.0}}"#,
    ];
    assert_eq!(rows, want);
}

#[test]
fn a_file_without_rows_is_one_empty_block() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    write_people(&path, 0, 0, Compression::SNAPPY);
    let plan = planned(&path, 1 << 20);
    let mut reader = SplitReader::new(&plan.splits[0], Format::Parquet, ByteSize::mib(1));
    assert_eq!(reader.next_block().unwrap().unwrap().record_count(), 0);
    assert!(reader.next_block().unwrap().is_none());
}

/// Every byte is changed, one at a time: rows may differ, as pages need not have checksums, but nothing panics.
#[test]
fn damage_is_an_error_or_goes_unseen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    write_people(&path, 1, 20, Compression::SNAPPY);
    let whole = fs::read(&path).unwrap();
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x15;
        fs::write(&path, &bytes).unwrap();
        let plan = planned(&path, 1 << 20);
        if let Err(error) = read(&plan.splits[0], ByteSize::mib(1)) {
            assert_eq!(error.class(), FailClass::Input, "{at}: {error}");
        }
    }
    std::panic::set_hook(quiet);
}

#[test]
fn what_is_no_parquet_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let why = |path: &Path, limit| {
        let plan = planned(path, 1 << 20);
        let failure = read(&plan.splits[0], limit).unwrap_err().into_failure();
        assert_eq!(failure.class, FailClass::Input);
        failure.chain.join(": ")
    };
    fs::write(&path, "id,name\n1,one\n").unwrap();
    let said = why(&path, ByteSize::mib(1));
    assert!(said.starts_with("cannot read t as Parquet: "), "{said}");
    fs::write(&path, "").unwrap();
    let said = why(&path, ByteSize::mib(1));
    assert!(said.starts_with("cannot read t as Parquet: "), "{said}");
    let schema = "message t { repeated int32 n; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = File::create(&path).unwrap();
    let writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
    writer.close().unwrap();
    let said = why(&path, ByteSize::mib(1));
    assert!(
        said.ends_with("column `n` repeats without being a list or a map, which is not read"),
        "{said}"
    );
}
