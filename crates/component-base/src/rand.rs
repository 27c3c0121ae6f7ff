//! Small randomness for jitter and generated names. Not for keys or tokens.

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// Upstream's `k8s.io/apimachinery/pkg/util/rand` alphabet: no vowels and no look-alikes.
pub const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// 64 bits that differ from call to call; seeded by the operating system.
pub fn u64() -> u64 {
    // Each `RandomState` has fresh keys; the finished hash of nothing is a function of them alone.
    std::hash::RandomState::new().build_hasher().finish()
}

/// A number in `0.0..1.0`.
pub fn unit() -> f64 {
    (u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// `length` characters of [`ALPHABET`], as the API server appends to `generateName`.
pub fn suffix(length: usize) -> String {
    (0..length).map(|_| ALPHABET[(u64() % ALPHABET.len() as u64) as usize] as char).collect()
}

/// `base` made longer by a random part of up to `factor` times itself (upstream's `wait.Jitter`).
pub fn jitter(base: Duration, factor: f64) -> Duration {
    base.mul_f64(1.0 + unit() * factor)
}

/// Maps every character of `text` into [`ALPHABET`] (upstream's `rand.SafeEncodeString`).
pub fn safe_encode(text: &str) -> String {
    text.bytes().map(|byte| ALPHABET[byte as usize % ALPHABET.len()] as char).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safe_encode_matches_upstream() {
        // fnv32a sums of 1.10's golden outputs end in strings like these: digits map into the alphabet.
        assert_eq!(safe_encode("0123456789"), "456789bcdf");
    }

    #[test]
    fn suffixes_differ_and_stay_in_the_alphabet() {
        let (a, b) = (suffix(5), suffix(5));
        assert_ne!(a, b);
        assert!(a.bytes().all(|c| ALPHABET.contains(&c)));
    }

    #[test]
    fn jitter_stays_in_range() {
        for _ in 0..100 {
            let value = jitter(Duration::from_secs(10), 0.5);
            assert!((10.0..15.0).contains(&value.as_secs_f64()));
        }
    }
}
