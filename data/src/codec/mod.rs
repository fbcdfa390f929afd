//! Packed streams: gzip, Zstandard, LZ4, bzip2 and zlib, for inputs and part files alike.
//!
//! What is written depends on the rows alone: no time, name or system is in a header, and one thread packs. So the
//! hash of a part file can be taken over its bytes as they are stored.
//!
//! Every format carries a checksum of what was packed, and [`Decoder`] reads through all members or frames of a
//! file. A stream that is cut short is an error in each of them.

mod decoder;
mod encoder;
mod lz4;
#[cfg(test)]
mod tests;
mod zlib;

pub use decoder::Decoder;
pub use encoder::Encoder;
