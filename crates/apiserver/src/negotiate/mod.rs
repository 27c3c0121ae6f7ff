//! Which encoding and which shape an answer has: `Accept`, `pretty`, `Accept-Encoding`.

pub mod encode;
pub mod table;

use api::status::ApiError;
use http::HeaderMap;
use http::header;

pub use crate::encoding::Media;

/// The media types in upstream's order. Protobuf is named, as upstream names it, and refused for what it cannot do yet.
pub const OFFERED: [&str; 3] =
    ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

/// `as=…;g=…;v=…`: another kind is wanted for the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Convert {
    /// `Table`, `PartialObjectMetadata`, `PartialObjectMetadataList`.
    pub kind: String,
    /// `meta.k8s.io`.
    pub group: String,
    /// `v1` or `v1beta1`.
    pub version: String,
}

/// What was agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept {
    /// The encoding.
    pub media: Media,
    /// The kind to convert to.
    pub convert: Option<Convert>,
    /// Indented JSON.
    pub pretty: bool,
    /// The client takes gzip.
    pub gzip: bool,
}

impl Accept {
    /// JSON as it is.
    pub const JSON: Accept = Accept { media: Media::Json, convert: None, pretty: false, gzip: false };

    /// Whether JSON that is there already can go out as it is.
    pub fn is_plain(&self) -> bool {
        self.media == Media::Json && !self.pretty
    }
}

struct Clause<'a> {
    main: &'a str,
    sub: &'a str,
    q: f32,
    params: Vec<(&'a str, &'a str)>,
}

impl Clause<'_> {
    fn matches(&self, media: Media) -> bool {
        let (main, sub) = media.content_type().split_once('/').unwrap_or_default();
        (self.main == "*" || self.main == main) && (self.sub == "*" || self.sub == sub)
    }
}

fn clauses(header: &str) -> Vec<Clause<'_>> {
    let mut out: Vec<Clause<'_>> = Vec::new();
    for part in header.split(',') {
        let mut pieces = part.split(';').map(str::trim);
        let Some((main, sub)) =
            pieces.next().and_then(|t| t.split_once('/').or_else(|| (t == "*").then_some(("*", "*"))))
        else {
            continue;
        };
        let params: Vec<(&str, &str)> = pieces.filter_map(|p| p.split_once('=')).collect();
        let q = params.iter().find(|(n, _)| *n == "q").and_then(|(_, v)| v.parse().ok()).unwrap_or(1.0);
        out.push(Clause { main: main.trim(), sub: sub.trim(), q, params });
    }
    out.sort_by(|a, b| b.q.total_cmp(&a.q));
    out
}

/// What an endpoint can turn its answers into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transforms {
    /// Nothing.
    None,
    /// Partial metadata: what storages without a `TableConvertor` can do.
    Metadata,
    /// Tables and partial metadata.
    Objects,
}

fn acceptable(clause: &Clause<'_>, transforms: Transforms) -> Option<(Option<Convert>, Option<bool>)> {
    let mut convert: Option<Convert> = None;
    let mut pretty = None;
    let empty = || Convert { kind: String::new(), group: String::new(), version: String::new() };
    for (name, value) in &clause.params {
        match *name {
            "as" => convert.get_or_insert_with(empty).kind = (*value).to_owned(),
            "g" => convert.get_or_insert_with(empty).group = (*value).to_owned(),
            "v" => convert.get_or_insert_with(empty).version = (*value).to_owned(),
            "stream" if *value != "watch" => return None,
            "pretty" => pretty = Some(*value == "1"),
            _ => {}
        }
    }
    if let Some(c) = &convert {
        let known = transforms != Transforms::None
            && (transforms == Transforms::Objects || c.kind != "Table")
            && c.group == "meta.k8s.io"
            && matches!(c.version.as_str(), "v1" | "v1beta1")
            && matches!(c.kind.as_str(), "Table" | "PartialObjectMetadata" | "PartialObjectMetadataList");
        if !known {
            return None;
        }
    }
    Some((convert, pretty))
}

/// Upstream's `NegotiateOutputMediaType`, behind go-restful's own look at the header.
pub fn negotiate(
    headers: &HeaderMap,
    pretty_query: Option<&str>,
    transforms: Transforms,
) -> Result<Accept, ApiError> {
    let gzip = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v.split(',').any(|e| e.split(';').next().is_some_and(|e| e.trim() == "gzip")));
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let pretty = |media: Media, param: Option<bool>| {
        media == Media::Json
            && match (pretty_query, param) {
                (Some(query), _) => !matches!(query, "false" | "0"),
                (None, Some(param)) => param,
                (None, None) => {
                    let agent =
                        headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
                    ["curl", "Wget", "Mozilla/5.0"].iter().any(|a| agent.starts_with(a))
                }
            }
    };
    if accept.is_empty() {
        return Ok(Accept { media: Media::Json, convert: None, pretty: pretty(Media::Json, None), gzip });
    }
    let clauses = clauses(accept);
    let routed = clauses.iter().any(|c| {
        (c.main == "*" && c.sub == "*") || OFFERED.iter().any(|o| o.split_once('/') == Some((c.main, c.sub)))
    });
    if !routed {
        let message = format!("406: Not Acceptable\n\nAvailable representations: {}", OFFERED.join(", "));
        return Err(ApiError::new(406, "NotAcceptable", message));
    }
    for clause in &clauses {
        for media in Media::ALL.into_iter().filter(|m| m.codec().writes_all_kinds()) {
            if !clause.matches(media) {
                continue;
            }
            if let Some((convert, param)) = acceptable(clause, transforms) {
                return Ok(Accept { media, convert, pretty: pretty(media, param), gzip });
            }
        }
    }
    Err(ApiError::not_acceptable(&OFFERED))
}

/// The encoding of a refusal: every encoding can write one.
pub fn for_refusal(headers: &HeaderMap) -> Media {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let plain = |c: &Clause<'_>| acceptable(c, Transforms::None).is_some();
    let clauses = clauses(accept);
    let chosen =
        clauses.iter().filter(|c| plain(c)).find_map(|c| Media::ALL.into_iter().find(|m| c.matches(*m)));
    chosen.unwrap_or(Media::Json)
}

/// The encoding of a request body.
pub fn content_type(headers: &HeaderMap) -> Result<Media, ApiError> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    match essence(value).as_str() {
        "" => Ok(Media::Json),
        name => Media::of(name).ok_or_else(|| ApiError::unsupported_media_type(&OFFERED)),
    }
}

/// A media type without its parameters.
pub fn essence(value: &str) -> String {
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn ask(accept: &'static str) -> Result<Accept, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        negotiate(&headers, None, Transforms::Objects)
    }

    /// A conformance test: "should return a 406 for a backend which does not implement metadata".
    #[test]
    fn reviews_have_no_table() {
        let ask = |accept: &'static str| {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            negotiate(&headers, None, Transforms::Metadata)
        };
        assert_eq!(ask("application/json;as=Table;v=v1;g=meta.k8s.io").unwrap_err().code, 406);
        assert!(
            ask("application/json;as=Table;v=v1;g=meta.k8s.io,application/json").unwrap().convert.is_none()
        );
        let partial = ask("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io").unwrap();
        assert_eq!(partial.convert.unwrap().kind, "PartialObjectMetadata");
    }

    #[test]
    fn kubectl_gets_a_table_and_old_clients_json_behind_protobuf() {
        let table = ask("application/json;as=Table;v=v1;g=meta.k8s.io,application/json").unwrap();
        assert_eq!(table.convert.unwrap().kind, "Table");
        assert_eq!(ask("application/vnd.kubernetes.protobuf, */*").unwrap().media, Media::Json);
        assert_eq!(ask("application/vnd.kubernetes.protobuf").unwrap_err().code, 406);
        let headers = HeaderMap::from_iter([(
            header::ACCEPT,
            HeaderValue::from_static("application/vnd.kubernetes.protobuf"),
        )]);
        assert_eq!(for_refusal(&headers), Media::Protobuf);
        assert!(ask("application/*").unwrap_err().message.starts_with("406: Not Acceptable"));
    }
}
