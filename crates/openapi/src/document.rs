//! A finished document: compressed bytes and their `ETag`.

use std::io::{self, Read as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

/// A document as it is kept: gzip, with the hash of its plain bytes.
#[derive(Clone, Debug)]
pub struct Document {
    /// The compressed bytes.
    pub gzip: Bytes,
    /// The hash of the plain bytes in hexadecimal, upper case, as upstream prints it in `ETag` and in v3's paths.
    pub hash: String,
}

/// Hashes and compresses what is written to it.
pub(crate) struct Writer {
    out: GzEncoder<Vec<u8>>,
    hash: Sha256,
}

impl Writer {
    pub(crate) fn new() -> Writer {
        Writer { out: GzEncoder::new(Vec::new(), Compression::default()), hash: Sha256::new() }
    }

    pub(crate) fn finish(self) -> io::Result<Document> {
        use std::fmt::Write as _;
        let mut hash = String::with_capacity(64);
        for byte in self.hash.finalize() {
            let _ = write!(hash, "{byte:02X}");
        }
        Ok(Document { gzip: self.out.finish()?.into(), hash })
    }
}

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Document {
    /// The plain bytes, for the rare client that does not take gzip.
    ///
    /// # Errors
    /// When the kept bytes are damaged.
    pub fn plain(&self) -> io::Result<Bytes> {
        let mut plain = Vec::new();
        GzDecoder::new(self.gzip.as_ref()).read_to_end(&mut plain)?;
        Ok(plain.into())
    }
}

/// Writes `"key":value` pairs with commas between them.
pub(crate) struct Fields<'w> {
    out: &'w mut dyn io::Write,
    first: bool,
}

impl<'w> Fields<'w> {
    pub(crate) fn begin(out: &'w mut dyn io::Write) -> io::Result<Fields<'w>> {
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
