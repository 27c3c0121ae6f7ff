//! Lists and watches on raw bytes: no copy of a large body as text, one parse per object.

use bytes::{Buf, Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::BoxStream;
use http_body_util::BodyExt;
use kube::client::Body;
use kube::core::Status;
use kube::{Client, Error};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// The longest line of a watch that is accepted: far above the API server's own limit of an object.
const LINE_BYTES_MAX: usize = 64 << 20;

/// A list response.
#[derive(Deserialize)]
#[serde(bound = "K: DeserializeOwned")]
pub(crate) struct List<K> {
    #[serde(default)]
    pub(crate) metadata: ListMeta,
    #[serde(default = "Vec::new", deserialize_with = "null_is_empty")]
    pub(crate) items: Vec<K>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ListMeta {
    pub(crate) resource_version: Option<String>,
    #[serde(rename = "continue")]
    pub(crate) token: Option<String>,
}

fn null_is_empty<'de, D: serde::Deserializer<'de>, K: DeserializeOwned>(from: D) -> Result<Vec<K>, D::Error> {
    Ok(Option::<Vec<K>>::deserialize(from)?.unwrap_or_default())
}

/// One event of a watch.
pub(crate) enum WatchEvent<K> {
    Added(K),
    Modified(K),
    Deleted(K),
    Bookmark(String),
    Error(Box<Status>),
}

#[derive(Deserialize)]
struct RawEvent<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct MetaOnly {
    #[serde(default)]
    metadata: ListMeta,
}

pub(crate) async fn list<K: DeserializeOwned>(
    client: &Client,
    url: &str,
    accept: &str,
) -> Result<List<K>, Error> {
    let response = send(client, url, accept).await?;
    let bytes = response.into_body().collect().await?.to_bytes();
    serde_json::from_slice(&bytes).map_err(Error::SerdeError)
}

pub(crate) async fn watch<K: DeserializeOwned + Send + 'static>(
    client: &Client,
    url: &str,
    accept: &str,
) -> Result<BoxStream<'static, Result<WatchEvent<K>, Error>>, Error> {
    let response = send(client, url, accept).await?;
    let body = response.into_body().into_data_stream().boxed();
    let start = (body, BytesMut::new(), 0_usize);
    let lines = futures::stream::try_unfold(start, |(mut body, mut buffer, mut scanned)| async move {
        loop {
            if let Some(at) = buffer[scanned..].iter().position(|byte| *byte == b'\n') {
                let line = buffer.split_to(scanned + at).freeze();
                buffer.advance(1);
                return Ok(Some((line, (body, buffer, 0))));
            }
            scanned = buffer.len();
            if scanned > LINE_BYTES_MAX {
                return Err(Error::LinesCodecMaxLineLengthExceeded);
            }
            match body.next().await {
                Some(Ok(chunk)) => buffer.extend_from_slice(&chunk),
                Some(Err(err)) => return Err(Error::Service(Box::new(err))),
                None => return Ok(None),
            }
        }
    });
    let events = lines.filter_map(|line| {
        std::future::ready(match line {
            Ok(line) if line.iter().all(u8::is_ascii_whitespace) => None,
            Ok(line) => Some(parse(&line)),
            Err(err) => Some(Err(err)),
        })
    });
    Ok(events.boxed())
}

fn parse<K: DeserializeOwned>(line: &Bytes) -> Result<WatchEvent<K>, Error> {
    let event: RawEvent<'_> = serde_json::from_slice(line).map_err(Error::SerdeError)?;
    let object = event.object.get();
    let parsed = match event.kind {
        "ADDED" => serde_json::from_str(object).map(WatchEvent::Added),
        "MODIFIED" => serde_json::from_str(object).map(WatchEvent::Modified),
        "DELETED" => serde_json::from_str(object).map(WatchEvent::Deleted),
        "BOOKMARK" => serde_json::from_str::<MetaOnly>(object)
            .map(|object| WatchEvent::Bookmark(object.metadata.resource_version.unwrap_or_default())),
        _ => serde_json::from_str(object).map(|status| WatchEvent::Error(Box::new(status))),
    };
    parsed.map_err(Error::SerdeError)
}

async fn send(client: &Client, url: &str, accept: &str) -> Result<http::Response<Body>, Error> {
    let request = http::Request::get(url)
        .header(http::header::ACCEPT, accept)
        .body(Body::empty())
        .map_err(Error::HttpError)?;
    let response = client.send(request).await?;
    if response.status().is_success() {
        return Ok(response);
    }
    let code = response.status();
    let bytes = response.into_body().collect().await?.to_bytes();
    let status = serde_json::from_slice::<Status>(&bytes).ok().filter(|status| status.code != 0);
    let status = status.unwrap_or_else(|| {
        let text = String::from_utf8_lossy(&bytes);
        let message = if text.is_empty() { code.to_string() } else { text.trim().to_owned() };
        let mut status = Status::failure(&message, code.canonical_reason().unwrap_or_default());
        status.code = code.as_u16();
        status
    });
    Err(Error::Api(Box::new(status)))
}
