//! Part files that are packed hold the same rows, and are read again as they are.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;

use crate::sandbox::{Sandbox, books, bytes_of, parts_of};

/// Unpacks with the libraries' own decoders, by the extension that is left out of the name.
fn unpacked(parts: BTreeMap<String, Vec<u8>>, extension: &str) -> BTreeMap<String, Vec<u8>> {
    let unpack = |packed: &[u8]| {
        let mut rows = Vec::new();
        let unpacked = match extension {
            ".gz" => flate2::read::GzDecoder::new(packed).read_to_end(&mut rows),
            ".zst" => zstd::stream::copy_decode(packed, &mut rows).map(|()| 0),
            _ => lz4_flex::frame::FrameDecoder::new(packed).read_to_end(&mut rows),
        };
        unpacked.unwrap();
        rows
    };
    parts
        .iter()
        .map(|(name, packed)| {
            let name = name.strip_suffix(extension).unwrap();
            (name.to_owned(), unpack(packed))
        })
        .collect()
}

const CODECS: [(&str, &str); 3] = [("gz", ".gz"), ("zstd", ".zst"), ("lz4", ".lz4")];

#[test]
fn packed_parts_hold_the_same_rows_and_are_the_same_bytes_on_every_run() {
    let sandbox = Sandbox::new();
    let books = books();
    let input = books.to_str().unwrap();
    let run = |output: &str, how: &[&str]| {
        let job = ["run", "wordcount", input, "-r", "3", "-o", output];
        sandbox.run(job.iter().chain(how).copied())
    };
    let printed = |args: &[&str]| sandbox.run(args.iter().copied()).stdout;
    run("plain", &[]);
    let plain = parts_of(&sandbox.work("plain"));
    let counted = printed(&["run", "wordcount", "plain"]);
    for (codec, extension) in CODECS {
        run(codec, &["--compress", codec, "--slots", "1"]);
        let packed = parts_of(&sandbox.work(codec));
        assert_eq!(unpacked(packed, extension), plain, "{codec}");

        let again = format!("{codec}-again");
        run(&again, &["--compress", codec, "--workers", "2"]);
        assert!(bytes_of(&sandbox.work(codec)) == bytes_of(&sandbox.work(&again)));

        sandbox.run(["verify", codec]);
        assert!(printed(&["cat", codec]) == printed(&["cat", "plain"]));
        assert!(printed(&["cat", codec, "--sorted"]) == printed(&["cat", "plain", "--sorted"]));
        assert!(printed(&["run", "wordcount", codec]) == counted, "{codec}");
    }
}

#[test]
fn a_damaged_part_is_named() {
    let sandbox = Sandbox::new();
    let books = books();
    let job = ["run", "wordcount", books.to_str().unwrap(), "-r", "2"];
    for (codec, extension) in CODECS {
        sandbox.run(
            job.iter()
                .copied()
                .chain(["-o", codec, "--compress", codec]),
        );
        let name = format!("part-00001{extension}");
        let path = sandbox.work(codec).join(&name);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        let refused: [(&[&str], &str); 4] = [
            (&["cat", codec], "cannot read"),
            (&["cat", codec, "--sorted"], "cannot read"),
            (&["verify", codec], "has other contents"),
            (&["run", "linecount", codec], "is corrupt"),
        ];
        for (args, why) in refused {
            let ended = sandbox.start(args.iter().copied()).wait();
            assert!(!ended.status.success(), "{args:?}");
            let said = &ended.stderr;
            assert!(
                said.contains(&name) && said.contains(why),
                "{args:?}: {said}"
            );
        }
    }
}
