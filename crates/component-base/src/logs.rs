//! Log lines in klog's format on stderr.
//!
//! `I1122 22:10:40.228231 kubelet::pods] Syncing pod="default/nginx"`: severity, month and day, time, where from, text,
//! fields. Upstream's `klog` prints a thread id and a Go file name in their places; we print the module.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Sends this process's logs to stderr. `verbosity` is klog's `--v`: 0 to 3 shows what operators need, 4 adds
/// decisions, 6 and more adds everything, the libraries' own lines included.
/// A second call changes nothing (in-process clusters start several daemons).
pub fn init(verbosity: u8) {
    let (ours, libraries) = match verbosity {
        0..=3 => (LevelFilter::INFO, LevelFilter::ERROR),
        4..=5 => (LevelFilter::DEBUG, LevelFilter::WARN),
        6..=7 => (LevelFilter::TRACE, LevelFilter::INFO),
        _ => (LevelFilter::TRACE, LevelFilter::TRACE),
    };
    let mut filter = Targets::new().with_default(ours);
    for library in [
        // Not "kube": targets match by prefix, and "kubelet" is ours.
        "kube_client",
        "kube_core",
        "kube_runtime",
        "hyper",
        "hyper_util",
        "h2",
        "tower",
        "tower_http",
        "rustls",
        "bollard",
        "tonic",
    ] {
        filter = filter.with_target(library, libraries);
    }
    // kube reports every failed connection as an error of its own; its callers tell the same with more sense.
    let kube = if verbosity < 6 { LevelFilter::OFF } else { libraries };
    filter = filter.with_target("kube_client", kube);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).event_format(Klog);
    // Failing means that a subscriber is there already.
    let _ = tracing_subscriber::registry().with(filter).with(layer).try_init();
}

struct Klog;

impl<S, N> FormatEvent<S, N> for Klog
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let meta = event.metadata();
        let now = jiff::Zoned::now();
        let mut line = Line::default();
        event.record(&mut line);
        write!(
            writer,
            "{}{:02}{:02} {:02}:{:02}:{:02}.{:06} {}] {}",
            severity(meta.level()),
            now.month(),
            now.day(),
            now.hour(),
            now.minute(),
            now.second(),
            now.subsec_nanosecond() / 1000,
            meta.target(),
            line.message,
        )?;
        writeln!(writer, "{}", line.fields)
    }
}

fn severity(level: &Level) -> char {
    match *level {
        Level::ERROR => 'E',
        Level::WARN => 'W',
        _ => 'I',
    }
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else {
            let _ = write!(self.fields, " {}={value:?}", field.name());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
            return;
        }
        // `%value` fields come through here as their Display text: quote what a reader could misread.
        let text = format!("{value:?}");
        let quoted =
            text.starts_with('"') || text.bytes().all(|c| c.is_ascii_alphanumeric() || b".-+".contains(&c));
        if quoted {
            let _ = write!(self.fields, " {}={text}", field.name());
        } else {
            let _ = write!(self.fields, " {}={text:?}", field.name());
        }
    }
}
