//! Looking at eight bytes of a text at once. Results have the high bit of each byte that fits; above the lowest such byte
//! they may be wrong.

const ONES: u64 = u64::from_ne_bytes([1; 8]);
/// The high bits.
pub(super) const HIGH: u64 = ONES << 7;

/// Bytes that are this one.
pub(super) fn equal(bytes: u64, byte: u8) -> u64 {
    let zero = bytes ^ (ONES * u64::from(byte));
    zero.wrapping_sub(ONES) & !zero & HIGH
}

/// Bytes that end a JSON string or its plain part: a quote, a backslash, a control character.
pub(super) fn meaning(bytes: u64) -> u64 {
    let control = bytes.wrapping_sub(ONES * 0x20) & !bytes & HIGH;
    control | equal(bytes, b'"') | equal(bytes, b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_byte_found_is_one() {
        for byte in 0..=255_u8 {
            for before in [b'a', 0x20, 0x7f, 0x80, 0xff, b'!', b'#'] {
                let eight = u64::from_le_bytes([before, before, before, byte, 0, b'"', b'\\', before]);
                let found = meaning(eight).trailing_zeros() / 8;
                let means = matches!(byte, b'"' | b'\\' | 0..0x20);
                assert_eq!(found, if means { 3 } else { 4 }, "{byte:#x} behind {before:#x}");
            }
        }
    }
}
