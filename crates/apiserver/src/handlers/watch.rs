//! Watches: frames from the cache, made once and shared by all watchers of the same form.

use std::pin::Pin;
use std::time::Duration;

use api::Value;
use api::status::ApiError;
use bytes::Bytes;
use cache::{EventType, Item, Predicate, Start, WatchItem, Watcher};
use futures::Stream;
use http::{HeaderValue, header};
use serde_json::json;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::Ctx;
use super::list::{FRESH_TIMEOUT, cache_error, item_value, version, wait_until_fresh};
use super::options::ListOptions;
use crate::http::{Body, Response, status};
use crate::negotiate::{self, Accept, Convert, Media, table};
use crate::registry::codec;
use crate::registry::resource::Resource;
use crate::request::selector;

mod websocket;

/// How a watch writes its objects.
#[derive(Clone)]
pub struct Form {
    resource: std::sync::Arc<Resource>,
    convert: Option<Convert>,
    include: table::Include,
    printer: crate::crd::Columns,
    /// Tables: whether this frame carries the columns. Only the first of a watch does.
    headers: bool,
}

impl Form {
    /// The number by which the cache shares frames.
    fn number(&self) -> u32 {
        let version = u32::try_from(self.resource.api.index).unwrap_or(0);
        let shape = match &self.convert {
            None => 0,
            Some(c) => {
                let beta = u32::from(c.version == "v1beta1");
                let include = if c.kind == "Table" { 2 + self.include as u32 } else { 1 };
                1 + beta * 8 + include
            }
        };
        version * 64 + shape + if self.headers { 32 } else { 0 }
    }

    /// Whether no event has this form: a watch has no lists. Upstream notices with the first event, and hangs up.
    fn is_unwritable(&self) -> bool {
        self.convert.as_ref().is_some_and(|c| c.kind == "PartialObjectMetadataList")
    }

    fn write(&self, item: &Item, out: &mut Vec<u8>) -> Result<(), ApiError> {
        if let Some(convert) = &self.convert {
            let value =
                table::event(&self.resource, &self.printer, convert, (self.include, self.headers), item)?;
            api::json::encode(out, &value);
            return Ok(());
        }
        if self.resource.is_hub() && !self.resource.custom {
            let head = format!(
                "{{\"kind\":\"{}\",\"apiVersion\":\"{}\",",
                self.resource.kind,
                self.resource.group_version()
            );
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(&item.bytes()[1..]);
            return Ok(());
        }
        api::json::encode(out, &item_value(&self.resource, item)?);
        Ok(())
    }

    /// A bookmark is an object with nothing but a version, in the shape of the others: a table has a row for it.
    fn bookmark(&self, revision: i64, initial_events_end: bool) -> Bytes {
        let mut object = codec::zero(&self.resource);
        object["metadata"]["resourceVersion"] = revision.to_string().into();
        let mut include = self.include;
        if initial_events_end {
            object["metadata"]["annotations"]["k8s.io/initial-events-end"] = "true".into();
            // What says so is always shown.
            if include == table::Include::None {
                include = table::Include::Metadata;
            }
        }
        if let Some(convert) = &self.convert {
            object = table::bookmark(&self.resource, &self.printer, convert, (include, self.headers), object);
        }
        frame(&json!({"type": "BOOKMARK", "object": object}))
    }

    /// The frame of one item.
    fn frame(&self, item: &WatchItem) -> Bytes {
        let made = match item {
            WatchItem::Bookmark { revision, initial_events_end } => {
                return self.bookmark(*revision, *initial_events_end);
            }
            WatchItem::Event(event_type, event) => self.event(*event_type, event),
        };
        made.unwrap_or_else(|error| error_frame(&error))
    }

    fn event(&self, event_type: EventType, event: &cache::Event) -> Result<Bytes, ApiError> {
        event.frame(event_type, self.number(), |item, out| self.write(item, out))
    }
}

fn frame(value: &Value) -> Bytes {
    let mut bytes = api::json::to_vec(value);
    bytes.push(b'\n');
    Bytes::from(bytes)
}

/// A refusal inside a watch.
fn error_frame(error: &ApiError) -> Bytes {
    let mut bytes = br#"{"type":"ERROR","object":"#.to_vec();
    let status = status::failure(error);
    bytes.extend_from_slice(status.trim_ascii_end());
    bytes.extend_from_slice(b"}\n");
    Bytes::from(bytes)
}

/// Answers with a watch.
pub async fn watch(ctx: &Ctx) -> Result<Response, ApiError> {
    let accept = ctx.accept()?;
    let options = ListOptions::parse(&ctx.query, ctx.query.flag("watch"))?;
    let predicate = predicate(ctx, &options)?;
    let tables = accept.convert.as_ref().is_some_and(|c| c.kind == "Table");
    let form = Form {
        resource: ctx.resource.clone(),
        convert: accept.convert.clone(),
        include: if tables { table::Include::parse(&ctx.query)? } else { table::Include::Metadata },
        printer: ctx.printer(),
        headers: true,
    };
    // As upstream counts: in nanoseconds of 64 bits; a watch that should have ended ends at once.
    let lasts = match options.timeout_seconds.map_or(0, |s| s.wrapping_mul(1_000_000_000)) {
        0 => {
            let min = ctx.server.options().min_request_timeout;
            component_base::rand::jitter(Duration::from_secs(min), 1.0)
        }
        nanos => Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)),
    };
    let deadline = Instant::now() + lasts;
    let watcher = match open(ctx, &options, predicate).await {
        Ok(watcher) => watcher.until(deadline),
        // Upstream tells this inside the watch.
        Err(error) if error.code == 410 => {
            streams(&accept)?;
            return Ok(respond(futures::stream::iter([error_frame(&error)])));
        }
        Err(error) => return Err(error),
    };
    streams(&accept)?;
    if websocket::wanted(ctx) {
        return websocket::upgrade(ctx, watcher, form, deadline);
    }
    let stop = ctx.server.stopping();
    Ok(respond(frames(watcher, form, deadline, stop)))
}

/// Not every encoding can be cut into frames.
fn streams(accept: &Accept) -> Result<(), ApiError> {
    if accept.media == Media::Json { Ok(()) } else { Err(ApiError::not_acceptable(&negotiate::STREAMED)) }
}

/// What the watch is about. An object in the path is chosen by name; a field selector must mean the same object.
fn predicate(ctx: &Ctx, options: &ListOptions) -> Result<Predicate, ApiError> {
    let (info, fields) = (&ctx.info, &options.field_selector);
    let mut predicate = selector::predicate(&ctx.resource, &info.namespace, &options.label_selector, fields)?;
    if !info.name.is_empty() {
        let chosen = fields.split(',').any(|term| !term.is_empty());
        if chosen && predicate.name.as_ref() != Some(&info.name) {
            return Err(ApiError::bad_request("fieldSelector metadata.name doesn't match requested name"));
        }
        predicate.name = Some(info.name.clone());
    }
    Ok(predicate)
}

async fn open(ctx: &Ctx, options: &ListOptions, predicate: Predicate) -> Result<Watcher, ApiError> {
    let kind = ctx.server.cached(&ctx.resource)?;
    kind.loaded(FRESH_TIMEOUT).await.map_err(|e| cache_error(&e))?;
    let text = options.resource_version.as_str();
    let number = version(text).map_err(|why| ApiError::new(500, "", why))?;
    let after = i64::try_from(number).unwrap_or(i64::MAX);
    let initial = options.send_initial_events;
    let fresh = || async {
        if text.is_empty() {
            let asked = ctx.server.cache().consistent(FRESH_TIMEOUT).await;
            asked.map(|_| ()).map_err(|e| cache_error(&e))
        } else {
            wait_until_fresh(ctx, number).await
        }
    };
    let start = match initial {
        Some(true) => {
            fresh().await?;
            Start::InitialObjects { end_bookmark: options.bookmarks }
        }
        Some(false) if after == 0 => {
            fresh().await?;
            Start::After(ctx.server.cache().revision())
        }
        _ if after == 0 => {
            fresh().await?;
            Start::InitialObjects { end_bookmark: false }
        }
        _ => Start::After(after),
    };
    kind.watch(predicate, start, options.bookmarks).map_err(|e| cache_error(&e))
}

/// An open watch. Timer and stop signal are made once: registering them anew for every event would cost more than
/// the event.
struct Open {
    watcher: Watcher,
    form: Form,
    deadline: Pin<Box<Sleep>>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// The frames of a watch until its deadline or the server's stop.
fn frames(
    watcher: Watcher,
    form: Form,
    deadline: Instant,
    stop: CancellationToken,
) -> impl Stream<Item = Bytes> + Send + 'static {
    let open = Open {
        watcher,
        form,
        deadline: Box::pin(tokio::time::sleep_until(deadline)),
        stop: Box::pin(stop.cancelled_owned()),
    };
    futures::stream::unfold(open, |mut open| async move {
        let item = tokio::select! {
            biased;
            item = open.watcher.next() => item?,
            () = &mut open.deadline => return None,
            () = &mut open.stop => return None,
        };
        if open.form.is_unwritable() {
            return None;
        }
        let frame = open.form.frame(&item);
        open.form.headers = false;
        Some((frame, open))
    })
}

fn respond(frames: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let mut response = Response::new(Body::stream(frames));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}
