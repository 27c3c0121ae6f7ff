//! Times as the API writes them: upstream's `metav1.Time` and `metav1.MicroTime`, with Go's parse errors.

use std::time::{SystemTime, UNIX_EPOCH};

/// Go's name of the layout of [`parse`].
const RFC3339: &str = "2006-01-02T15:04:05Z07:00";
const RFC3339_MICRO: &str = "2006-01-02T15:04:05.000000Z07:00";

/// A time as seconds since 1970 and microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Seconds since 1970, UTC.
    pub seconds: i64,
    /// Microseconds, 0 to 999,999.
    pub micros: u32,
}

impl Timestamp {
    /// The time of a clock.
    pub fn from_system(time: SystemTime) -> Timestamp {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp { seconds: since.as_secs() as i64, micros: since.subsec_micros() },
            Err(_) => Timestamp { seconds: 0, micros: 0 },
        }
    }

    /// Go's zero time, the first second of year 1: it stands for no time, and is written as null.
    pub fn is_zero(self) -> bool {
        self == Timestamp { seconds: -62_135_596_800, micros: 0 }
    }

    /// `2018-01-02T03:04:05Z`
    pub fn to_rfc3339(self) -> String {
        let (y, mo, d) = civil(self.seconds.div_euclid(86_400));
        let s = self.seconds.rem_euclid(86_400);
        format!("{y:04}-{mo:02}-{d:02}T{:02}:{:02}:{:02}Z", s / 3600, s / 60 % 60, s % 60)
    }

    /// `2018-01-02T03:04:05.000006Z`
    pub fn to_rfc3339_micro(self) -> String {
        let mut text = self.to_rfc3339();
        text.truncate(text.len() - 1);
        format!("{text}.{:06}Z", self.micros)
    }
}

/// Days since 1970 → year, month, day.
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let mp = if month > 2 { month - 3 } else { month + 9 };
    let doy = (153 * mp + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Parses `time.RFC3339`; the error is Go's.
pub fn parse(text: &str) -> Result<Timestamp, String> {
    Parser { text, rest: text, layout: RFC3339 }.run(false)
}

/// Parses `metav1.RFC3339Micro`; the error is Go's.
pub fn parse_micro(text: &str) -> Result<Timestamp, String> {
    Parser { text, rest: text, layout: RFC3339_MICRO }.run(true)
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
    layout: &'static str,
}

impl Parser<'_> {
    fn run(mut self, micro: bool) -> Result<Timestamp, String> {
        let year = self.digits(4, "2006")?;
        self.literal("-")?;
        let month = self.digits(2, "01")?;
        self.within("month", (1..=12).contains(&month))?;
        self.literal("-")?;
        let day = self.digits(2, "02")?;
        self.literal("T")?;
        let hour = self.digits(2, "15")?;
        self.within("hour", hour < 24)?;
        self.literal(":")?;
        let minute = self.digits(2, "04")?;
        self.within("minute", minute < 60)?;
        self.literal(":")?;
        let second = self.digits(2, "05")?;
        self.within("second", second < 60)?;
        let micros = self.fraction(micro)?;
        let offset = self.zone()?;
        if !self.rest.is_empty() {
            return Err(format!("parsing time {}: extra text: {}", quote(self.text), quote(self.rest)));
        }
        self.within("day", day >= 1 && day <= days_in(year, month))?;
        let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
        Ok(Timestamp { seconds, micros })
    }

    fn within(&self, what: &str, ok: bool) -> Result<(), String> {
        if ok { Ok(()) } else { Err(format!("parsing time {}: {what} out of range", quote(self.text))) }
    }

    fn cannot<T>(&self, element: &str) -> Result<T, String> {
        let (text, rest) = (quote(self.text), quote(self.rest));
        Err(format!(
            "parsing time {text} as {}: cannot parse {rest} as {}",
            quote(self.layout),
            quote(element)
        ))
    }

    fn digits(&mut self, count: usize, element: &str) -> Result<i64, String> {
        let bytes = self.rest.as_bytes();
        if bytes.len() < count || !bytes[..count].iter().all(u8::is_ascii_digit) {
            return self.cannot(element);
        }
        let value = bytes[..count].iter().fold(0, |n, b| n * 10 + i64::from(b - b'0'));
        self.rest = &self.rest[count..];
        Ok(value)
    }

    fn literal(&mut self, expected: &str) -> Result<(), String> {
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None => self.cannot(expected),
        }
    }

    /// The fraction of a second: six digits where the layout has them, else anything that Go lets pass.
    fn fraction(&mut self, required: bool) -> Result<u32, String> {
        let behind = self.rest.strip_prefix(['.', ',']).unwrap_or("");
        let mut len = behind.bytes().take_while(u8::is_ascii_digit).count();
        if required && len < 6 {
            return self.cannot(".000000");
        }
        if required {
            len = 6;
        }
        if len == 0 {
            return Ok(0);
        }
        let micros = (0..6).fold(0, |n, i| {
            n * 10 + behind.as_bytes().get(i).filter(|_| i < len).map_or(0, |b| u32::from(b - b'0'))
        });
        self.rest = &behind[len..];
        Ok(micros)
    }

    fn zone(&mut self) -> Result<i64, String> {
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Ok(0);
        }
        let b = self.rest.as_bytes();
        let ok = b.len() >= 6
            && (b[0] == b'+' || b[0] == b'-')
            && b[3] == b':'
            && [1, 2, 4, 5].iter().all(|i| b[*i].is_ascii_digit());
        if !ok {
            return self.cannot("Z07:00");
        }
        let two = |i: usize| i64::from(b[i] - b'0') * 10 + i64::from(b[i + 1] - b'0');
        let (hours, minutes) = (two(1), two(4));
        let offset = (hours * 60 + minutes) * 60 * if b[0] == b'-' { -1 } else { 1 };
        self.within("time zone offset hour", hours <= 24)?;
        self.within("time zone offset minute", minutes < 60)?;
        self.rest = &self.rest[6..];
        Ok(offset)
    }
}

/// How Go's `time` package quotes what it could not read: byte by byte where it is not printable ASCII.
pub fn quote(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for b in text.bytes() {
        match b {
            b'"' | b'\\' => out.extend(['\\', char::from(b)]),
            b' '..0x80 => out.push(char::from(b)),
            _ => {
                let _ = write!(out, "\\x{b:02x}");
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_round_trip_in_utc() {
        assert_eq!(parse("2018-05-01T10:00:00+02:00").unwrap().to_rfc3339(), "2018-05-01T08:00:00Z");
        assert_eq!(parse("2020-02-29T23:59:59.9Z").unwrap().to_rfc3339(), "2020-02-29T23:59:59Z");
        let micro = parse_micro("2020-02-29T23:59:59.123456Z").unwrap();
        assert_eq!(micro.to_rfc3339_micro(), "2020-02-29T23:59:59.123456Z");
        assert_eq!(Timestamp { seconds: 0, micros: 7 }.to_rfc3339_micro(), "1970-01-01T00:00:00.000007Z");
    }

    #[test]
    fn errors_are_gos() {
        assert_eq!(
            parse("yesterday").unwrap_err(),
            r#"parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006""#
        );
        assert_eq!(
            parse("2018-02-30T00:00:00Z").unwrap_err(),
            r#"parsing time "2018-02-30T00:00:00Z": day out of range"#
        );
        assert_eq!(
            parse("2018-02-03 00:00:00").unwrap_err(),
            r#"parsing time "2018-02-03 00:00:00" as "2006-01-02T15:04:05Z07:00": cannot parse " 00:00:00" as "T""#
        );
        assert_eq!(
            parse_micro("2024-01-02T03:04:05.123456789Z").unwrap_err(),
            r#"parsing time "2024-01-02T03:04:05.123456789Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "789Z" as "Z07:00""#
        );
        assert_eq!(
            parse("日\n").unwrap_err(),
            r#"parsing time "\xe6\x97\xa5\x0a" as "2006-01-02T15:04:05Z07:00": cannot parse "\xe6\x97\xa5\x0a" as "2006""#
        );
    }
}
