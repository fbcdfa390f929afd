//! How a file is packed, told by its name and then by its first bytes.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use mapfold_terms::Codec;

/// What the extension of a name says.
pub(super) enum Packing {
    /// Something that can be read.
    Known(Codec),
    /// Something that cannot, and the command that unpacks it.
    Unknown { unpack: &'static str },
}

/// What the name of a file says about its content; capitals do not matter.
pub(super) fn by_name(name: &Path) -> Packing {
    let extension = name.extension().unwrap_or(OsStr::new(""));
    let unpack = match extension.to_ascii_lowercase().as_encoded_bytes() {
        b"gz" => return Packing::Known(Codec::Gzip),
        b"zst" => return Packing::Known(Codec::Zstd),
        b"lz4" => return Packing::Known(Codec::Lz4),
        b"bz2" => return Packing::Known(Codec::Bzip2),
        b"deflate" => return Packing::Known(Codec::Deflate),
        b"xz" | b"lzma" => "xz -dk",
        b"lzo" => "lzop -dk",
        b"sz" | b"snappy" => "snzip -dk",
        b"z" => "uncompress -k",
        b"zip" => "unzip",
        b"7z" => "7z x",
        b"tgz" | b"tbz2" | b"txz" => "tar xf",
        _ => return Packing::Known(Codec::Plain),
    };
    Packing::Unknown { unpack }
}

/// Whether `file` begins as files of `codec` do. An empty file does.
pub(super) fn begins_as(codec: Codec, file: &File) -> io::Result<bool> {
    if codec == Codec::Plain {
        return Ok(true);
    }
    let mut magic = [0; 4];
    let got = file.read_at(&mut magic, 0)?;
    Ok(match (codec, &magic[..got]) {
        (_, []) | (Codec::Plain, _) => true,
        (Codec::Gzip, magic) => magic.starts_with(&[0x1f, 0x8b]),
        // It has no magic that tells it from other files.
        (Codec::Deflate, _) => true,
        (Codec::Bzip2, magic) => magic.starts_with(b"BZh"),
        (Codec::Lz4, magic) => magic.starts_with(&[0x04, 0x22, 0x4d, 0x18]),
        // The last is a frame that decoders skip; pzstd begins with one.
        (Codec::Zstd, magic) => {
            matches!(
                magic,
                [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18]
            )
        }
    })
}
