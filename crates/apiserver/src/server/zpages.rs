//! `/statusz`: what runs here, since when (`k8s.io/component-base/zpages`).

use std::sync::LazyLock;

use api::Value;
use api::status::ApiError;
use bytes::Bytes;
use component_base::version::{MAJOR, MINOR};
use http::HeaderMap;
use http::header;
use jiff::Timestamp;
use serde_json::json;

use super::Server;
use crate::http::Response;
use crate::negotiate::{self, Media, Zpage, encode};
use crate::registry::kinds;

static STARTED: LazyLock<Timestamp> = LazyLock::new(Timestamp::now);

/// Starts the clock.
pub(crate) fn started() {
    LazyLock::force(&STARTED);
}

/// The paths that upstream's page names, as far as they are served.
const PATHS: [&str; 6] = ["/healthz", "/livez", "/metrics", "/readyz", "/statusz", "/version"];

/// Answers `/statusz`, with any method.
pub(super) fn statusz(server: &Server, headers: &HeaderMap) -> Result<Response, ApiError> {
    let up = Timestamp::now().duration_since(*STARTED).as_secs().max(0);
    let binary = format!("{MAJOR}.{MINOR}");
    let emulated = kinds::emulated(server.options()).ok().flatten();
    let emulated = emulated.map_or_else(|| binary.clone(), |e| format!("{}.{}", e.major, e.minor));
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    match negotiate::zpage(accept, "Statusz")? {
        Zpage::Text => Ok(text(&binary, &emulated, up)),
        Zpage::Typed(media, version) => Ok(typed(media, version, &binary, &emulated, up)),
    }
}

fn text(binary: &str, emulated: &str, up: i64) -> Response {
    let since = STARTED.strftime("%a %b %e %H:%M:%S UTC %Y");
    let (hours, minutes, seconds) = (up / 3600, up / 60 % 60, up % 60);
    let paths = PATHS.join(" ");
    let page = format!(
        "\napiserver statusz\nWarning: this page is for people: its form may change.\n\nStarted: {since}\n\
         Up: {hours} hr {minutes:02} min {seconds:02} sec\nGo version: rust\nBinary version: {binary}\n\
         Emulation version: {emulated}\nPaths: {paths}\n"
    );
    encode::whole(200, Bytes::from(page), "text/plain; charset=utf-8", false)
}

fn typed(media: Media, version: &'static str, binary: &str, emulated: &str, up: i64) -> Response {
    let page: Value = json!({
        "kind": "Statusz", "apiVersion": format!("config.k8s.io/{version}"), "metadata": {"name": "apiserver"},
        "startTime": crate::registry::obj::format_time(*STARTED), "uptimeSeconds": up, "goVersion": "rust",
        "binaryVersion": binary, "emulationVersion": emulated, "paths": PATHS,
    });
    let accept = negotiate::Accept { media, ..negotiate::Accept::JSON };
    let mut response = encode::value(200, &page, &accept);
    let label = format!("{};g=config.k8s.io;v={version};as=Statusz", media.content_type());
    if let Ok(label) = header::HeaderValue::from_str(&label) {
        response.headers_mut().insert(header::CONTENT_TYPE, label);
    }
    response
}
