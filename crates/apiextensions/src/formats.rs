//! `format` of strings (`kube-openapi/validation/strfmt` with what custom resources may use of it).

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use regex::Regex;

const STRINGS: [&str; 26] = [
    "bsonobjectid",
    "byte",
    "cidr",
    "creditcard",
    "date",
    "datetime",
    "duration",
    "email",
    "hexcolor",
    "hostname",
    "ipv4",
    "ipv6",
    "isbn",
    "isbn10",
    "isbn13",
    "k8slongname",
    "k8sshortname",
    "mac",
    "password",
    "rgbcolor",
    "ssn",
    "uri",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
];

/// The format if it means something for these types, else nothing.
pub(crate) fn supported(types: &[String], format: &str) -> String {
    let one = match types {
        [one] => one.as_str(),
        _ => "",
    };
    let known = match one {
        "" | "string" => STRINGS.contains(&format.replace('-', "").as_str()),
        "integer" => matches!(format, "int32" | "int64"),
        "number" => matches!(format, "float" | "double"),
        _ => false,
    };
    if known { format.to_owned() } else { String::new() }
}

/// Whether a format is none that is known for the type (upstream warns then).
pub fn unrecognized(kind: &str, format: &str) -> bool {
    let types: Vec<String> = if kind.is_empty() { Vec::new() } else { vec![kind.to_owned()] };
    !format.is_empty() && supported(&types, format).is_empty()
}

fn pattern(text: &str) -> Regex {
    // A pattern of this file that does not compile matches nothing; the test below finds it.
    Regex::new(text)
        .unwrap_or_else(|_| Regex::new("[^\\s\\S]").unwrap_or_else(|_| unreachable!("a valid pattern")))
}

static HOSTNAME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^([a-zA-Z0-9\p{S}\p{L}]((-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?)|([a-zA-Z0-9\p{S}\p{L}](([a-zA-Z0-9-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?)(\.)){1,}([a-zA-Z\p{L}]){2,63})$",
    )
});
static UUID: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?([0-9a-f])[0-9a-f]{3}-?([0-9a-f])[0-9a-f]{3}-?[0-9a-f]{12}$")
});
static HEX_COLOR: LazyLock<Regex> = LazyLock::new(|| pattern("^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$"));
static RGB_COLOR: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^rgb\(\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*,\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*,\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*\)$",
    )
});
static SSN: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\d{3}[- ]?\d{2}[- ]?\d{4}$"));
static CREDIT_CARD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35\d{3})\d{11})$",
    )
});
static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"^(?:[^@<>"(),:;\[\]\\]*<[ \t]*)?(?:DOTS|"(?:[^"\\]|\\.)*")@(?:DOTS|\[[^\[\]\\]*\])[ \t]*>?$"#
            .replace("DOTS", r#"[^\s@<>"(),:;\[\]\\.]+(?:\.[^\s@<>"(),:;\[\]\\.]+)*"#)
            .as_str(),
    )
});
static DATE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(\d{4})-(\d{2})-(\d{2})$"));
static DAY_TIME: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|[+-][0-9]{2}:[0-9]{2})$"));
static DURATION_PART: LazyLock<Regex> = LazyLock::new(|| pattern(r"(\d+)\s*([A-Za-zµ]+)"));

/// What units of time may be called; the last name of each may go on (`seconds`).
const UNITS: [(&[&str], &str); 8] = [
    (&["ns"], "nano"),
    (&["us", "µs"], "micro"),
    (&["ms"], "milli"),
    (&["s"], "sec"),
    (&["m"], "min"),
    (&["h", "hr"], "hour"),
    (&["d"], "day"),
    (&["w", "wk"], "week"),
];

/// `strfmt.ParseDuration`: one that Go reads, or a text with at least one number with a unit.
fn duration(text: &str) -> bool {
    if api::decode::parse_duration(text).is_some() {
        return true;
    }
    let is_unit = |unit: &str| {
        let unit = unit.to_lowercase();
        UNITS.iter().any(|(names, last)| names.contains(&unit.as_str()) || unit.starts_with(last))
    };
    let mut known = false;
    for part in DURATION_PART.captures_iter(text) {
        if part[1].parse::<i64>().is_err() {
            return false;
        }
        known |= is_unit(&part[2]);
    }
    known
}

fn day(text: &str) -> bool {
    DATE.captures(text).is_some_and(|c| {
        let number = |i: usize| c.get(i).and_then(|m| m.as_str().parse::<u32>().ok()).unwrap_or(0);
        let (year, month, day) = (number(1), number(2), number(3));
        let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        let days = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => 0,
        };
        (1..=days).contains(&day)
    })
}

/// `IsDateTime`: a day, a `t` and a time; what follows a second `t` is not looked at.
fn date_time(text: &str) -> bool {
    let text = text.to_lowercase();
    let mut parts = text.split('t');
    let (Some(date), Some(time)) = (parts.next(), parts.next()) else { return false };
    let in_range = |c: regex::Captures<'_>| {
        let part = |i: usize| c.get(i).map_or("", |m| m.as_str());
        part(1) <= "23" && part(2) <= "59" && part(3) <= "59"
    };
    day(date) && DAY_TIME.captures(time).is_some_and(in_range)
}

/// `net/mail.ParseAddress`, comments aside.
fn email(text: &str) -> bool {
    let text = text.trim_matches([' ', '\t']);
    EMAIL.is_match(text) && text.contains('<') == text.ends_with('>')
}

fn cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let max = match (address.parse::<Ipv4Addr>(), address.parse::<Ipv6Addr>()) {
        (Ok(_), _) => 32,
        (_, Ok(_)) => 128,
        _ => return false,
    };
    !bits.is_empty()
        && bits.bytes().all(|b| b.is_ascii_digit())
        && bits.parse::<u32>().is_ok_and(|b| b <= max)
}

fn mac(text: &str) -> bool {
    let groups = |separator: char, width: usize| {
        let parts: Vec<&str> = text.split(separator).collect();
        let bytes = parts.len() * width / 2;
        parts.iter().all(|p| p.len() == width && p.bytes().all(|b| b.is_ascii_hexdigit()))
            && matches!(bytes, 6 | 8 | 20)
    };
    groups(':', 2) || groups('-', 2) || groups('.', 4)
}

fn isbn10(text: &str) -> bool {
    let digits: Vec<u32> = text
        .chars()
        .filter(|c| !matches!(c, '-' | ' '))
        .enumerate()
        .map(|(i, c)| if i == 9 && c == 'X' { 10 } else { c.to_digit(10).unwrap_or(99) })
        .collect();
    let weighted = |(i, d): (usize, &u32)| (i as u32 + 1) * d;
    digits.len() == 10
        && digits.iter().all(|d| *d < 11)
        && digits.iter().enumerate().map(weighted).sum::<u32>() % 11 == 0
}

fn isbn13(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let weighted = |(i, d): (usize, &u32)| d * if i % 2 == 0 { 1 } else { 3 };
    digits.len() == 13 && digits.iter().enumerate().map(weighted).sum::<u32>() % 10 == 0
}

fn uuid(text: &str, version: Option<char>) -> bool {
    UUID.captures(text).is_some_and(|c| {
        let nibble = |i: usize| c.get(i).map(|m| m.as_str().to_ascii_lowercase()).unwrap_or_default();
        let variant = || matches!(nibble(2).as_str(), "8" | "9" | "a" | "b");
        match version {
            None => true,
            Some('3') => nibble(1) == "3",
            Some(v) => nibble(1) == v.to_string() && variant(),
        }
    })
}

fn base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !text.is_empty()
        && text.len().is_multiple_of(4)
        && text.len() - body.len() <= 2
        && body.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
}

fn uri(text: &str) -> bool {
    let absolute = text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
            && rest.starts_with('/')
    });
    (absolute || text.starts_with('/')) && !text.bytes().any(|b| b < 0x20 || b == 0x7f || b == b' ')
}

/// Whether a string is of a format; unknown formats hold for every string.
pub(crate) fn holds(format: &str, text: &str) -> bool {
    match format.replace('-', "").as_str() {
        "bsonobjectid" => text.len() == 24 && text.bytes().all(|b| b.is_ascii_hexdigit()),
        "byte" => base64(text),
        "cidr" => cidr(text),
        "creditcard" => {
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            CREDIT_CARD.is_match(&digits)
        }
        "date" => day(text),
        "datetime" => date_time(text),
        "duration" => duration(text),
        "email" => email(text),
        "hexcolor" => HEX_COLOR.is_match(text),
        "hostname" => text.len() <= 255 && HOSTNAME.is_match(text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "isbn" => isbn10(text) || isbn13(text),
        "isbn10" => isbn10(text),
        "isbn13" => isbn13(text),
        "k8slongname" => api::names::dns1123_subdomain(text).is_empty(),
        "k8sshortname" => api::names::dns1123_label(text).is_empty(),
        "mac" => mac(text),
        "rgbcolor" => RGB_COLOR.is_match(text),
        "ssn" => SSN.is_match(text),
        "uri" => uri(text),
        "uuid" => uuid(text, None),
        "uuid3" => uuid(text, Some('3')),
        "uuid4" => uuid(text, Some('4')),
        "uuid5" => uuid(text, Some('5')),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_tell_good_texts_from_bad() {
        for (format, good, bad) in [
            ("date-time", "2024-01-01T00:00:00Z", "yesterday"),
            ("date-time", "2024-01-01t00:00:00.5+02:00", "2024-01-01T00:00:00"),
            ("date-time", "2024-01-01T23:59:59Z", "2024-01-01T24:00:00Z"),
            ("email", " Jane <jane.doe@example.com>", "jane..doe@example.com"),
            ("date", "2024-02-29", "2023-02-29"),
            ("ipv4", "10.0.0.1", "10.0.0"),
            ("ipv6", "::1", "10.0.0.1"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123"),
            ("email", "a@b.c", "a"),
            ("hostname", "a.example.com", "-a"),
            ("byte", "aGk=", "a"),
            ("byte", "aGkh", ""),
            ("duration", "1h30m", "soon"),
            ("duration", "about 5 seconds", "5 parsecs"),
            ("mac", "00:11:22:33:44:55", "00:11"),
            ("uri", "https://a/b", "a b"),
            ("isbn10", "0321751043", "0321751044"),
            ("hexcolor", "#FFFFFF", "#FFFG"),
            ("rgbcolor", "rgb(255,0,1)", "rgb(256,0,1)"),
            ("creditcard", "4111 1111 1111 1111", "1"),
        ] {
            assert!(holds(format, good), "{format} {good}");
            assert!(!holds(format, bad), "{format} {bad}");
        }
    }
}
