//! A finished document: compressed bytes and their `ETag`.

use std::io::{self, BufWriter, Read as _, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

/// How many plain bytes are unpacked at once.
const PIECE: usize = 64 << 10;

/// A document as it is kept: gzip, with the hash of its plain bytes.
#[derive(Clone, Debug)]
pub struct Document {
    /// The compressed bytes.
    pub gzip: Bytes,
    /// How many plain bytes there are.
    pub length: u64,
    /// The hash of the plain bytes in hexadecimal, upper case, as upstream prints it in `ETag` and in v3's paths.
    pub hash: String,
}

/// What a document's bytes are written to: a hash, and a compressor where the bytes are wanted.
struct Writer<W> {
    hash: Sha256,
    length: u64,
    out: W,
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Runs `write`; gives what it wrote to, how much, and the hash.
fn hashed<W: Write>(
    out: W,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<(W, u64, String)> {
    // JSON is written in pieces of a few bytes.
    let mut buffered = BufWriter::new(Writer { hash: Sha256::new(), length: 0, out });
    write(&mut buffered)?;
    let Writer { hash, length, out } = buffered.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok((out, length, hash.finalize().iter().map(|byte| format!("{byte:02X}")).collect()))
}

impl Document {
    /// Compresses and hashes what `write` writes.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn new(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<Document> {
        let (out, length, hash) = hashed(GzEncoder::new(Vec::new(), Compression::default()), write)?;
        // Kept for long: without the room that it grew into.
        Ok(Document { gzip: out.finish()?.into_boxed_slice().into(), length, hash })
    }

    /// The hash alone.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn hash_of(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<String> {
        Ok(hashed(io::sink(), write)?.2)
    }

    /// The plain bytes in pieces, for the rare client that does not take gzip. They end early when the kept bytes are
    /// damaged.
    pub fn plain(&self) -> impl Iterator<Item = Bytes> + Send + 'static {
        let mut unpack = GzDecoder::new(io::Cursor::new(self.gzip.clone()));
        std::iter::from_fn(move || {
            let mut piece = Vec::with_capacity(PIECE);
            unpack.by_ref().take(PIECE as u64).read_to_end(&mut piece).ok()?;
            (!piece.is_empty()).then(|| piece.into())
        })
    }
}

/// Writes `"key":value` pairs with commas between them.
pub(crate) struct Fields<'w> {
    out: &'w mut dyn Write,
    first: bool,
}

impl<'w> Fields<'w> {
    pub(crate) fn begin(out: &'w mut dyn Write) -> io::Result<Fields<'w>> {
        out.write_all(b"{")?;
        Ok(Fields { out, first: true })
    }

    pub(crate) fn field(&mut self, key: &str, value: &api::Value) -> io::Result<()> {
        if !self.first {
            self.out.write_all(b",")?;
        }
        self.first = false;
        serde_json::to_writer(&mut *self.out, key)?;
        self.out.write_all(b":")?;
        serde_json::to_writer(&mut *self.out, value)?;
        Ok(())
    }

    pub(crate) fn end(self) -> io::Result<()> {
        self.out.write_all(b"}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_are_the_document() {
        let text = "0123456789".repeat(20_000);
        let document = Document::new(|out| out.write_all(text.as_bytes())).unwrap();
        let pieces: Vec<Bytes> = document.plain().collect();
        assert_eq!(pieces.len(), 4);
        assert_eq!((document.length, pieces.concat()), (200_000, text.into_bytes()));
        assert_eq!(Document::hash_of(|out| out.write_all(b"a")).unwrap().len(), 64);
    }
}
