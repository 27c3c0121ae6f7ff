//! The Events section.

use jiff::Timestamp;
use serde_json::Value;

use super::Writer;
use crate::print::columns::{event_count, event_source};
use crate::time;
use crate::value::Json;

/// Writes the events of an object, oldest first (upstream: `DescribeEvents`).
pub(super) fn write(w: &mut Writer, events: &[Value], now: Timestamp) {
    if events.is_empty() {
        w.line(0, "Events:\t<none>");
        return;
    }
    let first = |keys: &[&str], e: &Value| -> String {
        keys.iter().map(|k| e.s(k)).find(|t| !t.is_empty()).unwrap_or("").to_string()
    };
    let last_seen = |e: &Value| first(&["lastTimestamp", "series.lastObservedTime", "eventTime"], e);
    let first_seen = |e: &Value| first(&["firstTimestamp", "eventTime"], e);
    let mut sorted: Vec<&Value> = events.iter().collect();
    sorted.sort_by_key(|e| time::parse(&last_seen(e)).map(|t| t.as_second()));
    w.line(0, "Events:");
    w.line(1, "Type\tReason\tAge\tFrom\tMessage");
    w.line(1, "----\t------\t----\t----\t-------");
    for e in sorted {
        let count = event_count(e);
        let age = if count > 1 {
            format!("{} (x{count} over {})", time::age(&last_seen(e), now), time::age(&first_seen(e), now))
        } else {
            time::age(&first_seen(e), now)
        };
        w.line(
            1,
            &format!(
                "{}\t{}\t{age}\t{}\t{}",
                e.s("type"),
                e.s("reason"),
                event_source(e),
                e.s("message").trim()
            ),
        );
    }
}
