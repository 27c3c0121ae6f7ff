//! Looking at eight bytes of a text at once: most texts in objects are short.

/// Bytes that are looked at together.
pub(super) type Lanes = [u8; 8];

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGH: u64 = ONES << 7;

const fn all(byte: u8) -> u64 {
    ONES * byte as u64
}

/// The high bit of each byte that is zero; above the lowest such byte they may be wrong, as other bits are.
const fn zero(bytes: u64) -> u64 {
    bytes.wrapping_sub(ONES) & !bytes
}

/// As [`zero`] for the bytes that mean something in a JSON string.
const fn special(bytes: u64) -> u64 {
    let control = bytes.wrapping_sub(all(0x20)) & !bytes;
    control | zero(bytes ^ all(b'"')) | zero(bytes ^ all(b'\\'))
}

/// Where the first byte stands that means something in a JSON string: a quote, a backslash, a control character. All
/// lanes are behind when there is none.
pub(super) fn meaning(lanes: &Lanes) -> usize {
    (special(u64::from_le_bytes(*lanes)) & HIGH).trailing_zeros() as usize / 8
}

/// Whether a byte may not stand in a text as it is when that is written for browsers, too, or begins what may not:
/// what [`meaning`] finds, `<`, `>`, `&`, and what U+2028 begins with.
pub(super) fn escaped(lanes: &Lanes) -> bool {
    let bytes = u64::from_le_bytes(*lanes);
    // `<` and `>` differ in one bit.
    let html = zero((bytes | all(2)) ^ all(b'>')) | zero(bytes ^ all(b'&'));
    (special(bytes) | html | zero(bytes ^ all(0xE2))) & HIGH != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_found_in_all_lanes() {
        for byte in 0..=255_u8 {
            let means = matches!(byte, b'"' | b'\\' | 0..0x20);
            let html = matches!(byte, b'<' | b'>' | b'&' | 0xE2);
            for at in 0..8 {
                for other in [b'a', 0x20, 0x7f, 0x80, 0xff, b'!', b'#', b'=', b'%', 0xE1] {
                    let mut lanes = [other; 8];
                    lanes[at] = byte;
                    assert_eq!(meaning(&lanes), if means { at } else { 8 }, "{lanes:?}");
                    assert_eq!(escaped(&lanes), means || html, "{lanes:?}");
                    // What stands behind does not matter.
                    lanes[at..][1..].fill(0);
                    assert_eq!(meaning(&lanes), if means { at } else { (at + 1).min(8) }, "{lanes:?}");
                }
            }
        }
    }
}
