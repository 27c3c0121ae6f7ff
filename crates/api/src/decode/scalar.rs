//! Scalars: numbers with their limits, base64, and the types that decode themselves in Go.

use std::borrow::Cow;

use base64::Engine as _;

use super::typed::{At, found};
use crate::quantity::Quantity;
use crate::schema::Type;
use crate::{Value, time};

/// A number of a numeric type; `None` when it does not fit.
pub(super) fn number(ty: &Type, text: &str) -> Option<Value> {
    match ty {
        Type::Int32 => text.parse::<i32>().ok().map(Value::from),
        Type::Int64 => text.parse::<i64>().ok().map(Value::from),
        _ => match text.parse::<i64>() {
            Ok(n) => Some(n.into()),
            Err(_) => text.parse::<f64>().ok().filter(|f| f.is_finite()).map(crate::json::float),
        },
    }
}

/// Base64 as Go's `encoding/json` reads bytes, written again in canonical form.
pub(super) fn base64(text: &str) -> Result<Value, String> {
    let standard = base64::engine::general_purpose::STANDARD;
    // Go skips line ends.
    let text: Cow<'_, str> =
        if text.contains(['\n', '\r']) { text.replace(['\n', '\r'], "").into() } else { text.into() };
    match standard.decode(text.as_bytes()) {
        Ok(_) => Ok(Value::String(text.into_owned())),
        // Go ignores set bits behind the last byte.
        Err(base64::DecodeError::InvalidLastSymbol { .. }) => {
            let lenient = base64::engine::GeneralPurpose::new(
                &base64::alphabet::STANDARD,
                base64::engine::GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
            );
            let bytes = lenient.decode(text.as_bytes()).map_err(|_| corrupt(&text))?;
            Ok(Value::String(standard.encode(bytes)))
        }
        Err(_) => Err(corrupt(&text)),
    }
}

/// Bytes as text.
pub(super) fn to_base64(bytes: &[u8]) -> Value {
    Value::String(base64::engine::general_purpose::STANDARD.encode(bytes))
}

/// Go's `base64.CorruptInputError` with the offset that Go reports.
fn corrupt(text: &str) -> String {
    let bytes = text.as_bytes();
    let symbol = |b: &u8| b.is_ascii_alphanumeric() || *b == b'+' || *b == b'/';
    let bad = bytes.iter().position(|b| !symbol(b)).unwrap_or(bytes.len());
    let at = match (bytes.get(bad), bad % 4) {
        // Too short: Go names the start of the last group, or of what is left of it.
        (None, left) => bad - left,
        (Some(b'='), 2) if bytes.get(bad + 1) == Some(&b'=') => bad + 2,
        (Some(b'='), 2) => (bad + 1).min(bytes.len()),
        (Some(b'='), 3) => bad + 1,
        _ => bad,
    };
    format!("illegal base64 data at input byte {at}")
}

/// A string for a type that decodes itself.
pub(super) fn from_text(ty: &Type, text: Cow<'_, str>) -> Result<Value, String> {
    match ty {
        Type::Quantity => canonical_quantity(text),
        Type::Time => {
            if is_canonical_time(&text) {
                return Ok(Value::String(text.into_owned()));
            }
            time::parse(&text).map(|t| written_time(t, time::Timestamp::to_rfc3339))
        }
        Type::MicroTime => {
            time::parse_micro(&text).map(|t| written_time(t, time::Timestamp::to_rfc3339_micro))
        }
        Type::Duration => duration(&text).map(|nanos| format_duration(nanos).into()),
        _ => Ok(Value::String(text.into_owned())),
    }
}

fn written_time(time: time::Timestamp, text: fn(time::Timestamp) -> String) -> Value {
    if time.is_zero() { Value::Null } else { text(time).into() }
}

/// `2018-01-02T03:04:05Z` with plausible digits: what clients send nearly always.
fn is_canonical_time(text: &str) -> bool {
    let b = text.as_bytes();
    b.len() == 20
        && b[19] == b'Z'
        && text.is_char_boundary(19)
        && matches!(time::parse(text), Ok(t) if t.micros == 0 && !t.is_zero())
}

fn canonical_quantity(text: Cow<'_, str>) -> Result<Value, String> {
    let q = Quantity::parse(text.trim()).map_err(|e| e.to_string())?;
    Ok(q.to_string().into())
}

/// Anything else than a string or null for a type that decodes itself.
pub(super) fn from_other(ty: &Type, first: u8, raw: &[u8], at: &At<'_>) -> Result<Value, String> {
    let text = std::str::from_utf8(raw).unwrap_or_default().trim();
    let is_number = matches!(first, b'-' | b'0'..=b'9');
    match ty {
        Type::Quantity => canonical_quantity(text.into()),
        Type::IntOrString if is_number => match text.parse::<i32>() {
            Ok(n) => Ok(n.into()),
            Err(_) => Err(at.type_error(&format!("number {text}"), "int32")),
        },
        Type::IntOrString => Err(at.type_error(found(first), "int32")),
        _ => Err(at.type_error(found(first), "string")),
    }
}

/// Go's `time.ParseDuration`, in nanoseconds.
pub fn parse_duration(text: &str) -> Option<i64> {
    duration(text).ok()
}

/// The same with Go's error.
pub fn duration(text: &str) -> Result<i64, String> {
    let quoted = || time::quote(text);
    let invalid = || format!("time: invalid duration {}", quoted());
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    const LIMIT: u64 = 1 << 63;
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, behind) = rest.split_at(digits(rest));
        let (fraction, behind) = match behind.strip_prefix('.') {
            Some(behind) => behind.split_at(digits(behind)),
            None => ("", behind),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        // Too many digits are seen before the unit is.
        let whole = if whole.is_empty() { "0" } else { whole };
        let whole: u64 = whole.parse().ok().filter(|n| *n <= LIMIT).ok_or_else(invalid)?;
        let end = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let scale: u64 = match &behind[..end] {
            "" => return Err(format!("time: missing unit in duration {}", quoted())),
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            unit => {
                let unit = time::quote(unit);
                return Err(format!("time: unknown unit {unit} in duration {}", quoted()));
            }
        };
        rest = &behind[end..];
        let value = whole.checked_mul(scale).and_then(|v| v.checked_add(part(fraction, scale)));
        let sum = value.and_then(|v| total.checked_add(v)).filter(|sum| *sum <= LIMIT);
        total = sum.ok_or_else(invalid)?;
    }
    if negative {
        return Ok(0i64.wrapping_sub_unsigned(total));
    }
    i64::try_from(total).map_err(|_| invalid())
}

/// The digits behind the point, as a part of a unit. Go takes as many as a number holds.
fn part(digits: &str, unit: u64) -> u64 {
    let (mut value, mut scale) = (0i64, 1f64);
    for b in digits.bytes() {
        let Some(next) = value.checked_mul(10).and_then(|v| v.checked_add(i64::from(b - b'0'))) else {
            break;
        };
        (value, scale) = (next, scale * 10.0);
    }
    (value as f64 * (unit as f64 / scale)) as u64
}

/// Go's `Duration.String`.
pub fn format_duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let n = nanos.unsigned_abs();
    let fraction = |value: u64, unit: u64| {
        let text = format!("{}.{:09}", value / unit, value % unit * (1_000_000_000 / unit));
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match n {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{n}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", fraction(n, 1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", fraction(n, 1_000_000)),
        _ => {
            let (minutes, rest) = (n / 60_000_000_000, n % 60_000_000_000);
            let seconds = fraction(rest, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, m) => format!("{sign}{m}m{seconds}s"),
                (h, m) => format!("{sign}{h}h{m}m{seconds}s"),
            }
        }
    }
}
