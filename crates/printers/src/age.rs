//! Ages as people read them (`k8s.io/apimachinery/pkg/util/duration`).

use api::Value;
use jiff::{SignedDuration, Timestamp};

/// How much time that is, to two or three figures. Upstream's `HumanDuration`.
pub fn human_duration(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let pair = |a: i64, a_unit: &str, b: i64, b_unit: &str| {
        if b == 0 { format!("{a}{a_unit}") } else { format!("{a}{a_unit}{b}{b_unit}") }
    };
    match seconds {
        // Clocks of two machines may differ by a second or two.
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        _ if seconds < 120 => format!("{seconds}s"),
        _ if minutes < 10 => pair(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => pair(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 24 * 8 => pair(days, "d", hours % 24, "h"),
        _ if hours < 24 * 365 * 2 => format!("{days}d"),
        _ if hours < 24 * 365 * 8 => pair(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

/// A time of an object; none when it is missing, null or unreadable.
pub(crate) fn time(value: &Value) -> Option<Timestamp> {
    value.as_str().and_then(|s| s.parse().ok())
}

/// How long ago that was. Upstream's `translateTimestampSince`.
pub(crate) fn since(value: &Value, now: Timestamp) -> String {
    time(value).map_or_else(|| "<unknown>".to_owned(), |then| human_duration(now.duration_since(then)))
}

/// The object's age.
pub(crate) fn age(object: &Value, now: Timestamp) -> String {
    since(&object["metadata"]["creationTimestamp"], now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_or_three_figures() {
        let human = |s: i64| human_duration(SignedDuration::from_secs(s));
        let (m, h, d) = (60, 3600, 86400);
        let cases = [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (2 * m, "2m"),
            (9 * m + 59, "9m59s"),
            (10 * m + 59, "10m"),
            (3 * h - 1, "179m"),
            (3 * h, "3h"),
            (7 * h + 59 * m, "7h59m"),
            (47 * h, "47h"),
            (2 * d, "2d"),
            (7 * d + 23 * h, "7d23h"),
            (8 * d, "8d"),
            (729 * d, "729d"),
            (730 * d, "2y"),
            (731 * d, "2y1d"),
            (8 * 365 * d, "8y"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(human(seconds), expected, "{seconds}");
        }
        assert_eq!(human_duration(SignedDuration::from_millis(-1900)), "0s");
    }
}
