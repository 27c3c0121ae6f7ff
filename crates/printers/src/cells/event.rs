//! Events, in the core or the newer group's shape.

use api::Value;
use jiff::Timestamp;

use super::{cells, name};
use crate::age::since;
use crate::value::{at, int, text, text_or};

pub(super) fn event(o: &Value, now: Timestamp) -> Vec<Value> {
    let either = |core: &str, newer: &str| {
        let found = at(o, &[core]);
        if found.is_null() { at(o, &[newer]) } else { found }
    };
    let mut first = since(either("firstTimestamp", "deprecatedFirstTimestamp"), now);
    if first == "<unknown>" {
        first = since(at(o, &["eventTime"]), now);
    }
    let mut last = since(either("lastTimestamp", "deprecatedLastTimestamp"), now);
    if last == "<unknown>" {
        last.clone_from(&first);
    }
    let mut count = either("count", "deprecatedCount").as_i64().unwrap_or_default();
    let series = at(o, &["series"]);
    if !series.is_null() {
        last = since(at(series, &["lastObservedTime"]), now);
        count = int(series, &["count"]);
    } else if count == 0 {
        // Events of the newer API that happened once do not count.
        count = 1;
    }
    let about = either("involvedObject", "regarding");
    let kind = text(about, &["kind"]).to_lowercase();
    let target = match text(about, &["name"]) {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    let source = either("source", "deprecatedSource");
    let component = text_or(
        source,
        &["component"],
        either("reportingComponent", "reportingController").as_str().unwrap_or(""),
    );
    let source = match text_or(source, &["host"], text(o, &["reportingInstance"])) {
        "" => component.to_owned(),
        host => format!("{component}, {host}"),
    };
    cells![
        last,
        text(o, &["type"]),
        text(o, &["reason"]),
        target,
        text(about, &["fieldPath"]),
        source,
        either("message", "note").as_str().unwrap_or_default().trim(),
        first,
        count,
        name(o),
    ]
}
