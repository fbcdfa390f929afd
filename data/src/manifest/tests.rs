use mapfold_terms::{Codec, Fingerprint, RawPath};

use super::*;
use crate::part::PartWriter;

fn input(name: &str, len: u64) -> InputFile {
    InputFile {
        name: RawPath::from(Path::new(name)),
        path: RawPath::from(Path::new("/somewhere")),
        codec: Codec::Plain,
        fingerprint: Fingerprint {
            inode: 1,
            len,
            modified_ns: 2,
            changed_ns: 3,
        },
        input: 0,
        format: None,
    }
}

fn write(manifest: &Manifest, folder: &Path) {
    std::fs::write(folder.join(MANIFEST_NAME), manifest.to_json()).unwrap();
}

/// A finished output folder with three parts.
fn output() -> (tempfile::TempDir, Manifest) {
    output_of(Codec::Plain)
}

fn output_of(codec: Codec) -> (tempfile::TempDir, Manifest) {
    let folder = tempfile::tempdir().unwrap();
    let parts: Vec<Part> = (0..3)
        .map(|n| {
            let partition = PartitionId(n);
            let mut part =
                PartWriter::create(folder.path(), &part_name(partition, codec), codec).unwrap();
            part.row(|out| out.extend_from_slice(format!("row {n}\n").as_bytes()))
                .unwrap();
            Part::new(partition, codec, &part.finish().unwrap())
        })
        .collect();
    let manifest = Manifest {
        manifest_version: MANIFEST_VERSION,
        engine: "0.1.0".to_owned(),
        job: "wordcount".to_owned(),
        params: BTreeMap::from([("lowercase".to_owned(), "true".to_owned())]),
        format: "lines".to_owned(),
        split_size: 1 << 26,
        splits: 2,
        reducers: 3,
        key: "text".to_owned(),
        value: "u64".to_owned(),
        inputs: Inputs::of(&[input("books/a.txt", 5), input("books/b.txt", 7)]),
        counter_groups: BTreeMap::new(),
        counters: BTreeMap::from([("words".to_owned(), 12)]),
        skipped: None,
        root: root_hash(&parts),
        parts,
        named: BTreeMap::new(),
    };
    write(&manifest, folder.path());
    (folder, manifest)
}

#[test]
fn a_manifest_reads_back_as_written_and_verifies() {
    let (folder, manifest) = output();
    assert_eq!(Manifest::read(folder.path()).unwrap(), manifest);
    std::fs::write(folder.path().join(".hidden"), "").unwrap();
    let verified = verify(folder.path()).unwrap();
    assert_eq!((verified.bytes, verified.manifest), (18, manifest));
}

#[test]
fn the_json_is_what_other_programs_rely_on() {
    let (folder, _) = output();
    let json = std::fs::read_to_string(folder.path().join(MANIFEST_NAME)).unwrap();
    let want = r#"{
  "manifest_version": 1,
  "engine": "0.1.0",
  "job": "wordcount",
  "params": {
    "lowercase": "true"
  },
  "format": "lines",
  "split_size": 67108864,
  "splits": 2,
  "reducers": 3,
  "key": "text",
  "value": "u64",
  "inputs": {
    "files": 2,
    "bytes": 12,
    "list": "40df49d439ce184df998223f8c44b56b29725bf17f5790e7ecaa5ed528fe6963",
    "listed": [
      {
        "name": "books/a.txt",
        "bytes": 5
      },
      {
        "name": "books/b.txt",
        "bytes": 7
      }
    ]
  },
  "counters": {
    "words": 12
  },
  "parts": [
    {
      "name": "part-00000",
      "rows": 1,
      "bytes": 6,
      "b3": "f2fee4c436e5b57d2e77700d149b362d009fce2bd5e7a1d602093038b4240f65"
    },
    {
      "name": "part-00001",
      "rows": 1,
      "bytes": 6,
      "b3": "815550f384c112a6ed2671459c5b1220b75c4ef631cc1cc4d5186e8ee89f400d"
    },
    {
      "name": "part-00002",
      "rows": 1,
      "bytes": 6,
      "b3": "b1959f18506c31d1bc63b1b17ad4f91eb5b6d91b930c01096e8e5e07b5f13c21"
    }
  ],
  "root": "f4381f649c486c0003227536c0ac7715ec3db6a8c42ada6213693cb76e5b94b7"
}
"#;
    assert_eq!(json, want);
}

#[test]
fn packed_parts_verify_by_their_bytes_as_stored() {
    let (folder, manifest) = output_of(Codec::Zstd);
    let part = &manifest.parts[0];
    assert_eq!((part.name.as_str(), part.rows), ("part-00000.zst", 1));
    assert_eq!(part.unpacked_bytes, Some(6));
    assert_eq!(Manifest::read(folder.path()).unwrap(), manifest);
    let stored: u64 = manifest.parts.iter().map(|part| part.bytes).sum();
    assert_eq!(verify(folder.path()).unwrap().bytes, stored);
    let path = folder.path().join("part-00001.zst");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[5] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = verify(folder.path()).unwrap_err().to_string();
    assert!(
        error.ends_with("part-00001.zst has other contents"),
        "{error}"
    );
}

#[test]
fn named_outputs_are_listed_by_name_and_verified_as_parts_are() {
    let (folder, mut manifest) = output();
    let staged = |name: &str, rows: &str| {
        let mut part = PartWriter::create(folder.path(), name, Codec::Plain).unwrap();
        part.row(|out| out.extend_from_slice(rows.as_bytes()))
            .unwrap();
        part.finish().unwrap()
    };
    let mut listed = Listed::default();
    for partition in 0..3 {
        let part = staged(&format!("x-{partition}"), "row");
        std::fs::remove_file(folder.path().join(format!("x-{partition}"))).unwrap();
        let mut all = Staged::of(part);
        if partition != 1 {
            let name = named_part_name("errors", PartitionId(partition), Codec::Plain);
            all.named
                .insert("errors".to_owned(), staged(&name, "bad\n"));
        }
        let names = listed.add(PartitionId(partition), Codec::Plain, &all);
        assert_eq!(names.len(), all.files().count());
        assert_eq!(names[0].0, manifest.parts[partition as usize].name);
    }
    let mut lazy = Listed::new(true);
    let mut empty = Staged::of(staged("y", ""));
    std::fs::remove_file(folder.path().join("y")).unwrap();
    empty.part.rows = 0;
    assert!(lazy.add(PartitionId(0), Codec::Plain, &empty).is_empty());
    empty.part.rows = 1;
    assert_eq!(lazy.add(PartitionId(1), Codec::Plain, &empty).len(), 1);
    assert_eq!(lazy.parts.len(), 1);
    manifest.named = listed.named;
    let names = manifest.files().map(|file| file.name.as_str());
    let want = [
        "part-00000",
        "part-00001",
        "part-00002",
        "errors-00000",
        "errors-00002",
    ];
    assert_eq!(names.collect::<Vec<_>>(), want);
    let without = manifest.root;
    manifest.root = root_hash(manifest.files());
    assert_ne!(manifest.root, without);
    write(&manifest, folder.path());
    assert_eq!(Manifest::read(folder.path()).unwrap(), manifest);
    assert_eq!(verify(folder.path()).unwrap().bytes, 26);
    std::fs::write(folder.path().join("errors-00002"), "bed\n").unwrap();
    let error = verify(folder.path()).unwrap_err().to_string();
    assert!(
        error.ends_with("errors-00002 has other contents"),
        "{error}"
    );
}

#[test]
fn every_difference_is_named() {
    let (folder, mut manifest) = output();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("part-00000"), "row 9\n").unwrap();
    std::fs::write(at("part-00001"), "row").unwrap();
    std::fs::remove_file(at("part-00002")).unwrap();
    std::fs::write(at("part-00003"), "").unwrap();
    manifest.root = B3([0; 32]);
    write(&manifest, folder.path());
    let Err(VerifyError::Differs { differences, .. }) = verify(folder.path()) else {
        panic!("verified");
    };
    let texts: Vec<_> = differences.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "part-00000 has other contents",
            "part-00001 has 3 bytes, not 6",
            "part-00002 is missing",
            "part-00003 is not listed",
            "the root hash is not that of the listed parts",
        ]
    );
}

#[test]
fn what_is_no_manifest_is_refused_by_kind() {
    let (folder, _) = output();
    let path = folder.path().join(MANIFEST_NAME);
    let read = |json: &str| {
        std::fs::write(&path, json).unwrap();
        Manifest::read(folder.path()).unwrap_err()
    };
    assert!(matches!(read("{}"), ManifestError::Malformed { .. }));
    assert!(matches!(
        read(r#"{"manifest_version": 2, "new": 1}"#),
        ManifestError::Version { got: 2, .. }
    ));
    std::fs::remove_file(&path).unwrap();
    let missing = Manifest::read(folder.path()).unwrap_err();
    assert!(matches!(missing, ManifestError::Missing { .. }));
}

#[test]
fn many_inputs_are_summed_up() {
    let files: Vec<InputFile> = (0..=10_000).map(|n| input("same", n)).collect();
    assert!(Inputs::of(&files[..10_000]).listed.is_some());
    let summed = Inputs::of(&files);
    assert_eq!((summed.files, summed.bytes), (10_001, 50_005_000));
    assert_eq!(summed.listed, None);
    assert_ne!(summed.list, Inputs::of(&files[1..]).list);
}

#[test]
fn a_format_of_its_own_is_told_of_a_file() {
    let mut file = input("a", 5);
    let plain = Inputs::of([&file]);
    file.format = Some(mapfold_terms::Format::CSV);
    let inputs = Inputs::of([&file]);
    assert_ne!(inputs.list, plain.list);
    assert!(
        inputs
            .to_json()
            .contains(r#"{"name":"a","bytes":5,"format":"csv"}"#)
    );
    assert!(!plain.to_json().contains("format"));
    assert_eq!(Inputs::from_json(&inputs.to_json()), Some(inputs));
}
