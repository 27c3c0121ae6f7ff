//! Amounts of resources: upstream's `k8s.io/apimachinery/pkg/api/resource.Quantity`.
//!
//! An amount is kept in billionths, the finest that upstream keeps; amounts beyond 10^29 are capped.

use std::cmp::Ordering;
use std::fmt;

const NANO: i128 = 1_000_000_000;
/// Where upstream caps amounts with binary suffixes.
const MAX_BINARY: i128 = i64::MAX as i128 * NANO;

/// How a quantity is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `12e6`
    DecimalExponent,
    /// `12Mi`
    BinarySi,
    /// `12M`
    DecimalSi,
}

/// Why a text is no quantity; the texts are upstream's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not number and suffix.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// The number is none.
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    /// An unknown suffix.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// An amount with its format.
#[derive(Clone, Debug)]
pub struct Quantity {
    nanos: i128,
    format: Format,
    /// The text it was read from, where upstream prints that instead of the canonical form.
    text: Option<Box<str>>,
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Quantity) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Quantity) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Quantity) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl Default for Quantity {
    fn default() -> Quantity {
        Quantity { nanos: 0, format: Format::DecimalSi, text: None }
    }
}

/// Sign, digits before and behind the point, suffix.
struct Parts<'a> {
    positive: bool,
    whole: &'a str,
    fraction: &'a str,
    suffix: &'a str,
}

fn split(text: &str) -> Result<Parts<'_>, ParseError> {
    let (positive, rest) = match text.as_bytes().first() {
        Some(b'-') => (false, &text[1..]),
        Some(b'+') => (true, &text[1..]),
        _ => (true, text),
    };
    let rest = rest.trim_start_matches('0');
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    let (mut whole, mut rest) = rest.split_at(digits(rest));
    if whole.is_empty() {
        whole = "0";
    }
    let mut fraction = "";
    if let Some(behind) = rest.strip_prefix('.') {
        (fraction, rest) = behind.split_at(digits(behind));
    }
    let suffix = rest;
    let letters = rest.bytes().take_while(|b| b"eEinumkKMGTP".contains(b)).count();
    let mut tail = &rest[letters..];
    if tail.starts_with(['-', '+']) {
        tail = &tail[1..];
    }
    if digits(tail) != tail.len() {
        return Err(ParseError::Format);
    }
    Ok(Parts { positive, whole, fraction, suffix })
}

fn suffix(text: &str) -> Option<(Format, u32, i32)> {
    let decimal = |e| Some((Format::DecimalSi, 10, e));
    let binary = |e| Some((Format::BinarySi, 2, e));
    match text {
        "" => decimal(0),
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => {
            let digits = text.strip_prefix(['e', 'E'])?;
            let exponent: i64 = digits.parse().ok()?;
            Some((Format::DecimalExponent, 10, exponent as i32))
        }
    }
}

impl Quantity {
    /// Upstream's `ParseQuantity`.
    pub fn parse(text: &str) -> Result<Quantity, ParseError> {
        if text.is_empty() {
            return Err(ParseError::Format);
        }
        let parts = split(text)?;
        let (mut format, base, exponent) = suffix(parts.suffix).ok_or(ParseError::Suffix)?;
        let digits_len = parts.whole.len() + parts.fraction.len();
        let mut mantissa: i128 = 0;
        let mut scale = -(parts.fraction.len() as i32);
        for b in parts.whole.bytes().chain(parts.fraction.bytes()) {
            // Digits beyond what an i128 holds only matter for capping.
            match mantissa.checked_mul(10).and_then(|m| m.checked_add(i128::from(b - b'0'))) {
                Some(m) => mantissa = m,
                None => {
                    scale += 1;
                }
            }
        }
        let binary_factor = if base == 2 { 1i128 << exponent } else { 1 };
        if base == 10 {
            scale = scale.saturating_add(exponent);
        }
        let value = mantissa.checked_mul(binary_factor).unwrap_or(i128::MAX);
        let mut nanos = scale_up(value, scale.saturating_add(9));
        if base == 2 && nanos > MAX_BINARY {
            nanos = MAX_BINARY;
        }
        let keep = keeps_text(&parts, format, exponent, mantissa, scale, digits_len);
        if format == Format::BinarySi && nanos < NANO && nanos > 0 {
            format = Format::DecimalSi;
        }
        if !parts.positive {
            nanos = -nanos;
        }
        Ok(Quantity { nanos, format, text: keep.then(|| text.into()) })
    }

    /// A whole amount.
    pub fn from_int(value: i64, format: Format) -> Quantity {
        Quantity { nanos: i128::from(value) * NANO, format, text: None }
    }

    /// An amount in thousandths (CPU).
    pub fn from_milli(value: i64, format: Format) -> Quantity {
        Quantity { nanos: i128::from(value) * (NANO / 1000), format, text: None }
    }

    /// How it is written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The whole amount, rounded away from zero (`Value`).
    pub fn value(&self) -> i64 {
        clamp(round_away(self.nanos, NANO))
    }

    /// The amount in thousandths, rounded away from zero (`MilliValue`).
    pub fn milli_value(&self) -> i64 {
        clamp(round_away(self.nanos, NANO / 1000))
    }

    /// Whether it has no fraction (`AsScale(0)` is exact).
    pub fn is_whole(&self) -> bool {
        self.nanos % NANO == 0
    }

    /// Whether it is nothing.
    pub fn is_zero(&self) -> bool {
        self.nanos == 0
    }

    /// -1, 0 or 1.
    pub fn sign(&self) -> i32 {
        self.nanos.signum() as i32
    }

    /// Adds; a zero takes the other's format, as upstream does.
    pub fn add(&mut self, other: &Quantity) {
        self.take_format(other);
        self.nanos = self.nanos.saturating_add(other.nanos);
    }

    /// Subtracts; a zero takes the other's format.
    pub fn sub(&mut self, other: &Quantity) {
        self.take_format(other);
        self.nanos = self.nanos.saturating_sub(other.nanos);
    }

    /// Rounds up to thousandths (`RoundUp(Milli)`), away from zero.
    pub fn round_up_to_milli(&mut self) {
        let unit = NANO / 1000;
        if self.nanos % unit != 0 {
            self.text = None;
            self.nanos = round_away(self.nanos, unit).saturating_mul(unit);
        }
    }

    /// Multiplies.
    pub fn mul(&mut self, factor: i64) {
        self.text = None;
        self.nanos = self.nanos.saturating_mul(i128::from(factor));
    }

    fn take_format(&mut self, other: &Quantity) {
        self.text = None;
        if self.nanos == 0 {
            self.format = other.format;
        }
    }
}

/// Upstream prints the text that it read when its quick check calls it canonical (`1.500` stays).
fn keeps_text(
    parts: &Parts<'_>,
    format: Format,
    exponent: i32,
    mantissa: i128,
    scale: i32,
    digits_len: usize,
) -> bool {
    if scale < -9 || i64::try_from(mantissa).is_err() {
        return false;
    }
    match format {
        Format::BinarySi => {
            let precision = 15 - parts.whole.len() as i32 - (exponent as f32 * 3.0 / 10.0) as i32 - 1;
            parts.fraction.is_empty() && precision >= 0 && exponent % 10 == 0 && mantissa & 7 != 0
        }
        _ => {
            let zeros = format!("{}{}", parts.whole, parts.fraction);
            digits_len <= 18 && scale % 3 == 0 && !zeros.ends_with("000") && !zeros.starts_with('0')
        }
    }
}

/// value × 10^exponent, rounded up, capped.
fn scale_up(value: i128, exponent: i32) -> i128 {
    if value == 0 {
        return 0;
    }
    match 10i128.checked_pow(exponent.unsigned_abs()) {
        Some(power) if exponent >= 0 => value.saturating_mul(power),
        None if exponent >= 0 => i128::MAX,
        Some(power) => round_away(value, power),
        None => 1,
    }
}

fn round_away(value: i128, unit: i128) -> i128 {
    let whole = value / unit;
    if value % unit == 0 { whole } else { whole + value.signum() }
}

fn clamp(value: i128) -> i64 {
    value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = &self.text {
            return f.write_str(text);
        }
        if self.nanos == 0 {
            return f.write_str("0");
        }
        let small = self.nanos.unsigned_abs() < 1024 * NANO.unsigned_abs();
        if self.format == Format::BinarySi && !small && self.is_whole() {
            let mut value = self.nanos / NANO;
            let mut at = 0;
            while value % 1024 == 0 && at < 6 {
                value /= 1024;
                at += 1;
            }
            return write!(f, "{value}{}", ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][at]);
        }
        let (mut value, mut exponent) = (self.nanos, -9);
        while value % 1000 == 0 && (exponent < 18 || self.format == Format::DecimalExponent) {
            value /= 1000;
            exponent += 3;
        }
        match self.format {
            Format::DecimalExponent if exponent == 0 => write!(f, "{value}"),
            Format::DecimalExponent => write!(f, "{value}e{exponent}"),
            _ => {
                let suffixes = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
                write!(f, "{value}{}", suffixes[((exponent + 9) / 3) as usize])
            }
        }
    }
}

impl std::str::FromStr for Quantity {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Quantity, ParseError> {
        Quantity::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_canonical_as_upstream() {
        for (text, canonical) in [
            ("0", "0"),
            ("100m", "100m"),
            ("1000m", "1"),
            ("0.1", "100m"),
            ("1.5", "1500m"),
            ("1.5Gi", "1536Mi"),
            ("1024Mi", "1Gi"),
            ("12Mi", "12Mi"),
            ("1000000", "1M"),
            ("1e3", "1e3"),
            ("1000e3", "1e6"),
            ("0.5Mi", "512Ki"),
            ("100Ki", "100Ki"),
            ("8Ki", "8Ki"),
            ("1.500", "1.500"),
            ("0.1m", "100u"),
            ("1100Ki", "1100Ki"),
            ("-5", "-5"),
            ("0Mi", "0"),
            ("64", "64"),
            ("1023Mi", "1023Mi"),
            ("2048", "2048"),
            ("0.001", "1m"),
            ("1n", "1n"),
            ("0.1n", "1n"),
            ("9Ei", "9223372036854775807"),
        ] {
            assert_eq!(Quantity::parse(text).unwrap().to_string(), canonical, "{text}");
        }
    }

    /// The product overflowed: a panic, or a negative amount.
    #[test]
    fn the_largest_amount_is_rounded_up() {
        let mut most = Quantity::parse("5E").unwrap();
        most.mul(i64::MAX);
        most.round_up_to_milli();
        assert_eq!((most.sign(), most.value()), (1, i64::MAX));
        let mut least = Quantity::parse("-5E").unwrap();
        least.mul(i64::MAX);
        assert!(least.to_string().starts_with('-'), "the smallest amount has no absolute value");
    }

    #[test]
    fn bad_texts_say_why() {
        assert_eq!(Quantity::parse(""), Err(ParseError::Format));
        assert_eq!(Quantity::parse("abc"), Err(ParseError::Format));
        assert_eq!(Quantity::parse("1kk"), Err(ParseError::Suffix));
        assert_eq!(Quantity::parse("1.2.3"), Err(ParseError::Format));
    }

    #[test]
    fn amounts_add_and_compare() {
        let mut sum = Quantity::default();
        sum.add(&Quantity::parse("512Mi").unwrap());
        sum.add(&Quantity::parse("512Mi").unwrap());
        assert_eq!(sum.to_string(), "1Gi");
        assert!(Quantity::parse("1").unwrap() > Quantity::parse("999m").unwrap());
        assert_eq!(Quantity::parse("1500m").unwrap().value(), 2);
        assert_eq!(Quantity::parse("0.25").unwrap().milli_value(), 250);
    }
}
