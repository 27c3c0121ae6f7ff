//! Which encoding and which shape an answer has: `Accept`, `pretty`, `Accept-Encoding`.

pub mod encode;
mod mime;
pub mod table;

use api::status::ApiError;
use http::HeaderMap;
use http::header;

pub use crate::encoding::Media;

/// The media types in upstream's order. Protobuf is named, as upstream names it, and refused for what it cannot do yet.
pub const OFFERED: [&str; 3] =
    ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

/// Those that a watch can have: not every encoding can be cut into frames.
pub const STREAMED: [&str; 2] =
    ["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"];

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

impl<'a> Clause<'a> {
    /// One part of the header; what is no media type is left out, as are parameters without a value.
    fn parse(part: &'a str) -> Option<Clause<'a>> {
        let (media, rest) = part.split_once(';').unwrap_or((part, ""));
        let (main, sub) = match media.trim_matches(' ').split_once('/') {
            Some((main, sub)) => (main.trim_matches(' '), sub.trim_matches(' ')),
            None if media.trim_matches(' ') == "*" => ("*", "*"),
            None => return None,
        };
        if (sub.is_empty() && main != "*") || sub.contains('/') {
            return None;
        }
        let mut clause =
            Clause { main, sub: if sub.is_empty() { "*" } else { sub }, q: 1.0, params: Vec::new() };
        for (name, value) in rest.split(';').filter_map(|p| p.split_once('=')) {
            match (name.trim_matches(' '), value) {
                (_, value) if value.is_empty() || value.contains('=') => {}
                ("q", value) => clause.q = value.parse().unwrap_or(0.0),
                (name, value) => clause.params.push((name, value.trim_matches(' '))),
            }
        }
        Some(clause)
    }

    fn matches(&self, media: Media) -> bool {
        let (main, sub) = media.content_type().split_once('/').unwrap_or_default();
        (self.main == main && (self.sub == "*" || self.sub == sub)) || (self.main == "*" && self.sub == "*")
    }

    /// goautoneg's order, which is none: a specific type goes ahead of a wildcard whatever they weigh.
    fn ahead_of(&self, other: &Clause<'_>) -> bool {
        self.q > other.q || (self.main != "*" && other.main == "*") || (self.sub != "*" && other.sub == "*")
    }
}

fn clauses(header: &str) -> Vec<Clause<'_>> {
    let mut out: Vec<Clause<'_>> =
        header.split(',').filter_map(|p| Clause::parse(p.trim_matches(' '))).collect();
    // Go sorts so few by insertion, and what comes out depends on it.
    for end in 1..out.len() {
        let mut at = end;
        while at > 0 && out[at].ahead_of(&out[at - 1]) {
            out.swap(at, at - 1);
            at -= 1;
        }
    }
    out
}

/// go-restful's look at `Accept`, ahead of any handler: a route produces these types.
pub fn produces(headers: &HeaderMap, types: &[&str]) -> Result<(), ApiError> {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let wanted = |part: &str| {
        let media = part.split(';').next().unwrap_or_default().trim_matches(' ');
        media == "*/*" || types.contains(&media)
    };
    if accept.is_empty() || accept.split(',').any(wanted) {
        return Ok(());
    }
    let message = format!("406: Not Acceptable\n\nAvailable representations: {}", types.join(", "));
    Err(ApiError::new(406, "NotAcceptable", message))
}

/// What an endpoint can turn its answers into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transforms {
    /// Nothing.
    None,
    /// Partial metadata alone: the endpoint has no columns.
    Metadata,
    /// Tables and partial metadata.
    Objects,
}

fn acceptable(
    clause: &Clause<'_>,
    media: Media,
    transforms: Transforms,
) -> Option<(Option<Convert>, Option<bool>)> {
    let mut convert: Option<Convert> = None;
    let mut pretty = None;
    let empty = || Convert { kind: String::new(), group: String::new(), version: String::new() };
    for (name, value) in &clause.params {
        match *name {
            "as" => convert.get_or_insert_with(empty).kind = (*value).to_owned(),
            "g" => convert.get_or_insert_with(empty).group = (*value).to_owned(),
            "v" => convert.get_or_insert_with(empty).version = (*value).to_owned(),
            // YAML cannot be cut into frames.
            "stream" if *value != "watch" || media == Media::Yaml => return None,
            "pretty" => pretty = Some(*value == "1"),
            _ => {}
        }
    }
    if let Some(c) = &convert {
        let kind = match c.kind.as_str() {
            "Table" => transforms == Transforms::Objects,
            "PartialObjectMetadata" | "PartialObjectMetadataList" => transforms != Transforms::None,
            _ => false,
        };
        let known = kind && c.group == "meta.k8s.io" && matches!(c.version.as_str(), "v1" | "v1beta1");
        if !known {
            return None;
        }
    }
    Some((convert, pretty))
}

/// Whether the client takes compressed answers.
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    let given = headers.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok());
    given.is_some_and(|v| v.split(',').any(|e| e.split(';').next().is_some_and(|e| e.trim() == "gzip")))
}

/// Upstream's `NegotiateOutputMediaType`.
pub fn negotiate(
    headers: &HeaderMap,
    pretty_query: Option<&str>,
    transforms: Transforms,
) -> Result<Accept, ApiError> {
    let gzip = takes_gzip(headers);
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let pretty = |media: Media, param: Option<bool>| {
        let asked = || match pretty_query.filter(|q| !q.is_empty()) {
            Some(query) => matches!(query, "1" | "t" | "T" | "true" | "TRUE" | "True"),
            None => {
                let agent = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
                ["curl", "Wget", "Mozilla/5.0"].iter().any(|a| agent.starts_with(a))
            }
        };
        media == Media::Json && (param.unwrap_or(false) || asked())
    };
    if accept.is_empty() {
        return Ok(Accept { media: Media::Json, convert: None, pretty: pretty(Media::Json, None), gzip });
    }
    let clauses = clauses(accept);
    for clause in &clauses {
        for media in Media::ALL.into_iter().filter(|m| m.codec().writes_all_kinds()) {
            if !clause.matches(media) {
                continue;
            }
            if let Some((convert, param)) = acceptable(clause, media, transforms) {
                return Ok(Accept { media, convert, pretty: pretty(media, param), gzip });
            }
        }
    }
    Err(ApiError::not_acceptable(&OFFERED))
}

/// The form of a page about the server itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zpage {
    /// For people.
    Text,
    /// An object, of this version of `config.k8s.io`.
    Typed(Media, &'static str),
}

/// What is agreed on for such a page: its kind must be asked for by name, or else it is text.
pub fn zpage(accept: &str, kind: &str) -> Result<Zpage, ApiError> {
    const OFFERED: [&str; 3] = ["application/json", "application/yaml", "text/plain"];
    if accept.is_empty() {
        return Ok(Zpage::Text);
    }
    for clause in clauses(accept) {
        let given = |name: &str| clause.params.iter().rfind(|(n, _)| *n == name).map(|(_, value)| *value);
        let version = match (given("as"), given("g"), given("v")) {
            (Some(of), Some("config.k8s.io"), Some("v1alpha1")) if of == kind => Some("v1alpha1"),
            (Some(of), Some("config.k8s.io"), Some("v1beta1")) if of == kind => Some("v1beta1"),
            _ => None,
        };
        let media = [Media::Json, Media::Yaml].into_iter().find(|media| clause.matches(*media));
        if let (Some(media), Some(version)) = (media, version) {
            return Ok(Zpage::Typed(media, version));
        }
        let text = matches!((clause.main, clause.sub), ("text", "plain" | "*") | ("*", "*"));
        if text && given("as").is_none() {
            return Ok(Zpage::Text);
        }
    }
    Err(ApiError::not_acceptable(&OFFERED))
}

/// The encoding of a refusal: every encoding can write one. `None` when the client takes none.
pub fn for_refusal(headers: &HeaderMap) -> Option<Media> {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if accept.is_empty() {
        return Some(Media::Json);
    }
    let plain = |c: &Clause<'_>, m: Media| c.matches(m) && acceptable(c, m, Transforms::None).is_some();
    clauses(accept).iter().find_map(|c| Media::ALL.into_iter().find(|m| plain(c, *m)))
}

/// The encoding of a request body.
pub fn content_type(headers: &HeaderMap) -> Result<Media, ApiError> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if value.is_empty() {
        return Ok(Media::Json);
    }
    let named = mime::essence(value).and_then(|name| Media::of(&name));
    named.ok_or_else(|| ApiError::unsupported_media_type(&OFFERED))
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

    #[test]
    fn pages_about_the_server_are_text_unless_asked_for_by_name() {
        let ask = |accept| zpage(accept, "Statusz").map_err(|e| e.code);
        assert_eq!(ask("application/json, text/plain"), Ok(Zpage::Text));
        assert_eq!(ask("*/*"), Ok(Zpage::Text));
        let yaml = "application/yaml;v=v1beta1;g=config.k8s.io;as=Statusz";
        assert_eq!(ask(yaml), Ok(Zpage::Typed(Media::Yaml, "v1beta1")));
        assert_eq!(ask("application/json;v=v1beta1;g=config.k8s.io;as=Flagz"), Err(406));
        assert_eq!(ask("application/json"), Err(406));
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
        assert_eq!(for_refusal(&headers), Some(Media::Protobuf));
        assert_eq!(ask("application/*").unwrap().media, Media::Json);
        assert_eq!(ask("application/json;as=").unwrap().convert, None);
        assert_eq!(ask("application/yaml;q=0.1, application/json;q=x").unwrap().media, Media::Yaml);
        // A wildcard has no type of its own, and YAML has no frames.
        assert_eq!(ask("*/json").unwrap_err().code, 406);
        assert_eq!(ask("application/yaml;stream=watch").unwrap_err().code, 406);
        let table =
            [(header::ACCEPT, HeaderValue::from_static("application/json;as=Table;v=v1;g=meta.k8s.io"))];
        assert_eq!(for_refusal(&HeaderMap::from_iter(table)), None);
        assert_eq!(ask("a/b/c").unwrap_err().message, ApiError::not_acceptable(&OFFERED).message);
    }

    #[test]
    fn routes_know_their_types_before_handlers_do() {
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("application/*"))]);
        let refused = produces(&headers, &["application/json"]).unwrap_err();
        assert_eq!(refused.message, "406: Not Acceptable\n\nAvailable representations: application/json");
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("a/b;q=1, */*;q=0"))]);
        assert!(produces(&headers, &["application/json"]).is_ok());
    }
}
