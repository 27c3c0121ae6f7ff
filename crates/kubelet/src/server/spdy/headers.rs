//! SPDY's header blocks: name-value pairs, compressed with zlib and a dictionary that both ends know; one zlib stream per
//! direction for the whole connection.
//!
//! Reading inflates for real: the decompressor's window starts out as the dictionary. Writing uses stored blocks, which
//! every inflater reads; we send a few headers per connection.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

/// SPDY/3's dictionary (RFC draft-mbelshe-httpbis-spdy-00, 2.6.10.1).
const DICTIONARY: &[u8] = include_bytes!("../../../data/spdy3-dictionary.bin");
/// Deflate's window.
const WINDOW: usize = 32 * 1024;
/// Most bytes of one block's headers.
const HEADERS_BYTES_MAX: usize = 64 * 1024;
/// zlib's header: deflate, 32 KiB window, a dictionary is used.
const ZLIB_HEADER: [u8; 2] = [0x78, 0xbb];

/// Inflates the client's blocks.
pub(super) struct Inflater {
    state: Box<DecompressorOxide>,
    window: Vec<u8>,
    at: usize,
    /// Bytes of the zlib header and dictionary id that are still to be skipped.
    skip: usize,
}

impl Inflater {
    pub(super) fn new() -> Self {
        let mut window = vec![0; WINDOW];
        window[..DICTIONARY.len()].copy_from_slice(DICTIONARY);
        Self { state: Box::default(), window, at: DICTIONARY.len(), skip: 6 }
    }

    fn inflate(&mut self, block: &[u8]) -> Option<Vec<u8>> {
        let skipped = self.skip.min(block.len());
        self.skip -= skipped;
        let mut rest = &block[skipped..];
        let mut out = Vec::new();
        loop {
            let (status, read, written) = decompress(
                &mut self.state,
                rest,
                &mut self.window,
                self.at,
                inflate_flags::TINFL_FLAG_HAS_MORE_INPUT,
            );
            out.extend_from_slice(&self.window[self.at..self.at + written]);
            self.at = (self.at + written) % WINDOW;
            rest = &rest[read..];
            match status {
                TINFLStatus::HasMoreOutput if out.len() <= HEADERS_BYTES_MAX => {}
                TINFLStatus::NeedsMoreInput if rest.is_empty() && out.len() <= HEADERS_BYTES_MAX => {
                    return Some(out);
                }
                _ => return None,
            }
        }
    }

    /// Pairs of a block, names in lower case; `None` when it is malformed.
    pub(super) fn read(&mut self, block: &[u8]) -> Option<Vec<(String, String)>> {
        let plain = self.inflate(block)?;
        let mut rest = plain.as_slice();
        let number = |rest: &mut &[u8]| -> Option<usize> {
            let (head, tail) = rest.split_first_chunk::<4>()?;
            *rest = tail;
            usize::try_from(u32::from_be_bytes(*head)).ok()
        };
        let count = number(&mut rest)?;
        let mut pairs = Vec::new();
        for _ in 0..count {
            let mut text = || -> Option<String> {
                let length = number(&mut rest)?;
                let (head, tail) = rest.split_at_checked(length)?;
                rest = tail;
                Some(String::from_utf8_lossy(head).into_owned())
            };
            let (name, value) = (text()?, text()?);
            pairs.push((name.to_lowercase(), value));
        }
        Some(pairs)
    }
}

/// Packs our blocks.
#[derive(Default)]
pub(super) struct Packer {
    begun: bool,
}

impl Packer {
    /// A block without pairs is enough for a reply.
    pub(super) fn empty(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        if !std::mem::replace(&mut self.begun, true) {
            out.extend_from_slice(&ZLIB_HEADER);
            out.extend_from_slice(&adler32(DICTIONARY).to_be_bytes());
        }
        let plain = 0_u32.to_be_bytes();
        let length = plain.len() as u16;
        // A stored block that is not the last.
        out.push(0);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(&plain);
        // Go's inflater hands out a stored block only at the empty one that zlib's flush ends with.
        out.extend_from_slice(&[0, 0, 0, 0xff, 0xff]);
        out
    }
}

fn adler32(bytes: &[u8]) -> u32 {
    let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (b + a) % 65521)
    });
    (b << 16) | a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(pairs: &[(&str, &str)], first: bool) -> Vec<u8> {
        let mut plain = (pairs.len() as u32).to_be_bytes().to_vec();
        for text in pairs.iter().flat_map(|(n, v)| [n, v]) {
            plain.extend_from_slice(&(text.len() as u32).to_be_bytes());
            plain.extend_from_slice(text.as_bytes());
        }
        let mut out = if first { vec![0x78, 0xbb, 0, 0, 0, 0] } else { Vec::new() };
        out.push(0);
        out.extend_from_slice(&(plain.len() as u16).to_le_bytes());
        out.extend_from_slice(&(!(plain.len() as u16)).to_le_bytes());
        out.extend_from_slice(&plain);
        out
    }

    #[test]
    fn blocks_of_one_connection_are_read_in_turn() {
        let mut inflater = Inflater::new();
        let first = inflater.read(&stored(&[("Streamtype", "error")], true)).unwrap();
        assert_eq!(first, [("streamtype".to_owned(), "error".to_owned())]);
        let second = inflater.read(&stored(&[("streamtype", "stdout"), ("port", "80")], false)).unwrap();
        assert_eq!(second[1].1, "80");
        assert!(inflater.read(&[0xff, 0xff, 0xff]).is_none());
    }

    #[test]
    fn zlibs_own_blocks_are_read() {
        let bytes = |hex: &str| -> Vec<u8> {
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
        };
        // zlib at its best, with the dictionary, flushed after each block.
        let mut inflater = Inflater::new();
        let first =
            inflater.read(&bytes("78f9e3c6a7c202a62346703a2b294a4dcc851625aca9a08006000000ffff")).unwrap();
        assert_eq!(first, [("streamtype".to_owned(), "error".to_owned())]);
        let second = inflater.read(&bytes("c22a054ccc29f9a52500000000ffff")).unwrap();
        assert_eq!(second, [("streamtype".to_owned(), "stdout".to_owned())]);
    }

    #[test]
    fn the_dictionarys_checksum_is_spdys() {
        // The constant that every SPDY/3 block starts with.
        assert_eq!(adler32(DICTIONARY), 0xe3c6_a7c2);
    }
}
