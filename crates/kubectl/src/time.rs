//! Times as kubectl shows them.

use jiff::Timestamp;

/// The current time.
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// An RFC 3339 time, if it is one.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// The age of a time at `now` (upstream v1.10: `ShortHumanDuration`, `translateTimestamp`).
pub(crate) fn age(text: &str, now: Timestamp) -> String {
    match parse(text) {
        None => "<unknown>".into(),
        Some(t) => short(now.as_second() - t.as_second()),
    }
}

/// Seconds in their largest unit.
pub(crate) fn short(seconds: i64) -> String {
    match seconds {
        i64::MIN..=-2 => "<invalid>".into(),
        -1 => "0s".into(),
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        86_400..31_536_000 => format!("{}d", seconds / 86_400),
        _ => format!("{}y", seconds / 31_536_000),
    }
}

/// Go's `time.RFC1123Z` in UTC: `Sun, 22 Nov 2026 12:26:30 +0000`.
pub(crate) fn rfc1123z(text: &str) -> String {
    match parse(text) {
        // What is no time prints as Go's zero time does.
        None => "Mon, 01 Jan 0001 00:00:00 +0000".into(),
        Some(t) => t.to_zoned(jiff::tz::TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S +0000").to_string(),
    }
}

/// Go's default format of a time: `2026-11-22 13:45:57 +0000 UTC`.
pub(crate) fn go_default(text: &str) -> String {
    match parse(text) {
        None => "0001-01-01 00:00:00 +0000 UTC".into(),
        Some(t) => t.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string(),
    }
}

/// A Go duration (`1h30m`, `20s`, `500ms`) in milliseconds.
pub(crate) fn go_duration_ms(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(r) => (-1.0, r),
        None => (1.0, text),
    };
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        total += number
            * match &rest[..unit] {
                "h" => 3_600_000.0,
                "m" => 60_000.0,
                "s" => 1_000.0,
                "ms" => 1.0,
                "us" | "µs" => 0.001,
                "ns" => 0.000_001,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    Some((sign * total) as i64)
}

/// Milliseconds as Go prints a duration: `1m30s`, `500ms`, `30s`.
pub(crate) fn go_duration(ms: i64) -> String {
    if ms.abs() < 1000 {
        return if ms == 0 { "0s".into() } else { format!("{ms}ms") };
    }
    let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms % 60_000);
    let secs = if s % 1000 == 0 { format!("{}s", s / 1000) } else { format!("{}s", s as f64 / 1000.0) };
    match (h, m) {
        (0, 0) => secs,
        (0, m) => format!("{m}m{secs}"),
        (h, m) => format!("{h}h{m}m{secs}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_show_their_largest_unit() {
        assert_eq!(short(-1), "0s");
        assert_eq!(short(-2), "<invalid>");
        assert_eq!(short(59), "59s");
        assert_eq!(short(119), "1m");
        assert_eq!(short(86_399), "23h");
        assert_eq!(short(400 * 86_400), "1y");
    }

    #[test]
    fn durations_read_and_print_as_go() {
        assert_eq!(go_duration_ms("1h30m"), Some(5_400_000));
        assert_eq!(go_duration_ms("x"), None);
        assert_eq!(go_duration(90_000), "1m30s");
        assert_eq!(go_duration(600_000), "10m0s");
    }

    #[test]
    fn rfc1123z_is_utc() {
        assert_eq!(rfc1123z("2026-11-22T12:26:30Z"), "Sun, 22 Nov 2026 12:26:30 +0000");
    }
}
