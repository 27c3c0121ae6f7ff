//! GET of a collection: served from the watch cache, the stored version without parsing.

use std::time::Duration;

use api::Value;
use api::field::go_quote;
use api::status::ApiError;
use base64::Engine;
use base64::engine::GeneralPurpose;
use bytes::{BufMut, Bytes, BytesMut};
use cache::{Item, List, Predicate};
use serde_json::json;

use super::Ctx;
use super::options::ListOptions;
use crate::http::Response;
use crate::negotiate::{Accept, encode, table};
use crate::registry::codec;
use crate::registry::resource::Resource;
use crate::request::query::parse_uint;
use crate::request::selector;

/// How long a list waits for the cache to be as fresh as asked (upstream's `blockTimeout`).
pub const FRESH_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a list of any version waits for this server's own writes: they come at once, or something is wrong.
const CAUGHT_UP: Duration = Duration::from_millis(100);

/// The cache's words as an answer.
pub fn cache_error(error: &cache::Error) -> ApiError {
    match error {
        cache::Error::TooOld { .. } | cache::Error::Compacted => ApiError::gone(error.to_string()),
        cache::Error::TooLarge { .. } => {
            let mut e = ApiError::timeout(error.to_string());
            let message = "Too large resource version";
            e.details
                .insert("causes".into(), json!([{"reason": "ResourceVersionTooLarge", "message": message}]));
            e.details.insert("retryAfterSeconds".into(), 1.into());
            e
        }
        cache::Error::NotReady(_) => ApiError::too_many_requests("storage is (re)initializing", 1),
        cache::Error::Store(e) => crate::registry::storage::store_error(e),
    }
}

/// Answers with a list.
pub async fn list(ctx: &Ctx) -> Result<Response, ApiError> {
    let accept = ctx.accept()?;
    let options = ListOptions::parse(&ctx.query, false)?;
    let found = find(ctx, &options).await?;
    answer(ctx, &accept, found)
}

/// A version in a request (`ParseResourceVersion`); zero when none is given.
pub fn version(text: &str) -> Result<u64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    parse_uint(text).map_err(|e| format!("resourceVersion: Invalid value: {}: {e}", go_quote(text)))
}

/// Waits for the cache to be as fresh as asked. Whoever asks for less still sees what this server has answered already,
/// as fast as the cache is.
pub async fn wait_until_fresh(ctx: &Ctx, wanted: u64) -> Result<(), ApiError> {
    let (cache, written) = (ctx.server.cache(), ctx.server.storage().last_written());
    let revision = i64::try_from(wanted).unwrap_or(i64::MAX);
    if revision > 0 {
        let waited = cache.wait_until_fresh(revision, FRESH_TIMEOUT).await;
        waited.map_err(|e| cache_error(&naming(e, wanted)))?;
    }
    if written > revision && cache.wait_until_fresh(written, CAUGHT_UP).await.is_err() {
        // A store that went back has no such version: nobody waits for it again.
        ctx.server.storage().forget_written(written);
    }
    Ok(())
}

/// The same error about the number that the client sent.
fn naming(error: cache::Error, wanted: u64) -> cache::Error {
    match error {
        cache::Error::TooLarge { current, .. } => cache::Error::TooLarge { requested: wanted, current },
        other => other,
    }
}

/// What the store says of a revision: nobody waited for it, so no time to wait is told.
fn exactly(error: &cache::Error) -> ApiError {
    let mut error = cache_error(error);
    error.details.remove("retryAfterSeconds");
    error
}

/// What a continue token says.
struct Token {
    revision: i64,
    start: String,
}

impl Token {
    fn parse(text: &str) -> Result<Token, ApiError> {
        let bad = |why: &str| {
            ApiError::bad_request(format!("invalid continue token: continue key is not valid: {why}"))
        };
        let bytes = TOKEN.decode(text).map_err(|_| bad(&corrupt(text)))?;
        let token = api::decode::untyped(&bytes).map_err(|why| bad(&why))?.value;
        if let Some(why) = misfit(&token) {
            return Err(bad(&format!("json: cannot unmarshal {why}")));
        }
        let version = token.get("v").and_then(Value::as_str).unwrap_or_default();
        if version != "meta.k8s.io/v1" {
            return Err(bad(&format!("server does not recognize this encoded version {version}")));
        }
        let revision = token.get("rv").and_then(Value::as_i64).unwrap_or(0);
        if revision == 0 {
            return Err(bad("incorrect encoded start resourceVersion (version meta.k8s.io/v1)"));
        }
        let start = token.get("start").and_then(Value::as_str).unwrap_or_default();
        if start.is_empty() {
            return Err(bad("encoded start key empty (version meta.k8s.io/v1)"));
        }
        // Nothing outside of the list may be named.
        let path = start.strip_prefix('/').unwrap_or(start);
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(bad(start));
        }
        Ok(Token { revision, start: path.to_owned() })
    }

    fn text(&self) -> String {
        let token = json!({"v": "meta.k8s.io/v1", "rv": self.revision, "start": self.start});
        TOKEN.encode(token.to_string())
    }
}

/// What Go's decoder says of a token that is none.
fn misfit(token: &Value) -> Option<String> {
    let Some(token) = token.as_object() else {
        let is = (!token.is_null()).then(|| api::decode::kind_of(token))?;
        return Some(format!("{is} into Go value of type storage.continueToken"));
    };
    token.iter().find_map(|(name, value)| {
        let (ty, fits) = match name.as_str() {
            "v" | "start" => ("string", value.is_string()),
            "rv" => ("int64", value.is_i64()),
            _ => return None,
        };
        let is = if ty == "int64" && value.is_number() {
            format!("number {value}")
        } else {
            api::decode::kind_of(value).into()
        };
        (!fits && !value.is_null())
            .then(|| format!("{is} into Go struct field continueToken.{name} of type {ty}"))
    })
}

/// Base64 for URLs as Go reads it: bits behind the last byte do not matter.
const TOKEN: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    base64::engine::general_purpose::NO_PAD.with_decode_allow_trailing_bits(true),
);

/// Go's `base64.CorruptInputError`.
fn corrupt(text: &str) -> String {
    let symbol = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let at = text.bytes().position(|b| !symbol(b)).unwrap_or(text.len().saturating_sub(1));
    format!("illegal base64 data at input byte {at}")
}

/// What the selectors of a list choose.
pub fn predicate(ctx: &Ctx, options: &ListOptions) -> Result<Predicate, ApiError> {
    selector::predicate(&ctx.resource, &ctx.info.namespace, &options.label_selector, &options.field_selector)
}

/// Finds the objects of a list, as fresh as asked.
pub async fn find(ctx: &Ctx, options: &ListOptions) -> Result<List, ApiError> {
    let predicate = predicate(ctx, options)?;
    let kind = ctx.server.cached(&ctx.resource)?;
    let cache = ctx.server.cache();
    // A list of any version that is at hand is whole.
    let limit = if options.resource_version == "0" { 0 } else { options.limit.max(0) };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    kind.loaded(FRESH_TIMEOUT).await.map_err(|e| cache_error(&e))?;
    if !options.continue_token.is_empty() {
        let token = Token::parse(&options.continue_token)?;
        if !matches!(options.resource_version.as_str(), "" | "0") {
            return Err(ApiError::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        if token.revision < 0 {
            // An inconsistent continuation: from the key on, as things are now.
            cache.consistent(FRESH_TIMEOUT).await.map_err(|e| cache_error(&e))?;
            return Ok(kind.list(&predicate, limit, Some(&token.start)));
        }
        let listed = kind.list_at(token.revision, &predicate, limit, Some(&token.start)).await;
        return listed.map_err(|e| expired(&e, &token));
    }
    let wanted = version(&options.resource_version)
        .map_err(|why| ApiError::bad_request(format!("invalid resource version: {why}")))?;
    let exact =
        options.version_match == "Exact" || (options.version_match.is_empty() && limit > 0 && wanted > 0);
    if exact {
        let revision = i64::try_from(wanted).unwrap_or(i64::MAX);
        wait_until_fresh(ctx, wanted).await?;
        let listed = kind.list_at(revision, &predicate, limit, None).await;
        return listed.map_err(|e| exactly(&naming(e, wanted)));
    }
    if options.resource_version.is_empty() {
        cache.consistent(FRESH_TIMEOUT).await.map_err(|e| cache_error(&e))?;
    } else {
        wait_until_fresh(ctx, wanted).await?;
    }
    Ok(kind.list(&predicate, limit, None))
}

/// 410 with a token that goes on at the same place in what is there now (`handleCompactedErrorForPaging`).
fn expired(error: &cache::Error, token: &Token) -> ApiError {
    if !matches!(error, cache::Error::Compacted) {
        return exactly(error);
    }
    let fresh = Token { revision: -1, start: token.start.clone() }.text();
    let mut e = ApiError::gone(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without \
         the continue parameter, or use the continue token in this response to retrieve the remainder of the results. \
         Continuing with the provided token results in an inconsistent list - objects that were created, modified, or \
         deleted between the time the first chunk was returned and now may show up in the list.",
    );
    e.continue_token = Some(fresh);
    e
}

/// The list's own metadata.
fn metadata(list: &List) -> Value {
    let mut metadata = json!({"resourceVersion": list.revision.to_string()});
    if let Some(next) = &list.next {
        metadata["continue"] = Token { revision: list.revision, start: next.clone() }.text().into();
        if let Some(remaining) = list.remaining.filter(|r| *r > 0) {
            metadata["remainingItemCount"] = remaining.into();
        }
    }
    metadata
}

/// An item of the cache in the version that was asked.
pub fn item_value(resource: &Resource, item: &Item) -> Result<Value, ApiError> {
    let mut object = item.value().map_err(ApiError::internal)?;
    object["apiVersion"] = resource.hub_group_version().into();
    object["kind"] = resource.api.hub().kind.to_string().into();
    codec::from_hub(resource, object)
}

/// Encodes a list.
pub fn answer(ctx: &Ctx, accept: &Accept, list: List) -> Result<Response, ApiError> {
    let resource = &ctx.resource;
    let mut metadata = metadata(&list);
    let plain = accept.is_plain();
    if let Some(convert) = &accept.convert {
        if plain && let Some(bytes) = table::list_text(ctx, convert, &metadata, &list.items)? {
            return Ok(encode::whole(200, bytes, "application/json", accept.gzip));
        }
        let value = table::list(ctx, convert, metadata, &list.items)?;
        return Ok(encode::value(200, &value, accept));
    }
    // Unstructured lists write what typed ones leave out.
    if resource.custom && metadata.get("continue").is_none() {
        metadata["continue"] = "".into();
    }
    if plain && resource.is_hub() && !resource.custom {
        let pieces = Pieces::new(resource, &metadata, list.items);
        let length = pieces.length;
        return Ok(encode::pieces(pieces, length, "application/json", accept.gzip));
    }
    let mut items = Vec::with_capacity(list.items.len());
    for item in &list.items {
        let mut object = item_value(resource, item)?;
        if let Some(map) = object.as_object_mut().filter(|_| !resource.custom) {
            map.remove("kind");
            map.remove("apiVersion");
        }
        items.push(object);
    }
    let mut value = json!({
        "kind": resource.list_kind, "apiVersion": resource.group_version(), "metadata": metadata,
    });
    // Not inside the macro, which copies what it is given.
    value["items"] = Value::Array(items);
    Ok(encode::value(200, &value, accept))
}

/// So much of a list is put together at once: few enough bytes to stay in the processor's cache until they are sent.
const PIECE_BYTES: usize = 128 * 1024;

/// A list in its stored version: the items' own bytes, copied while they are sent.
struct Pieces {
    /// What is ahead of the first item, until it is sent.
    head: String,
    items: std::vec::IntoIter<std::sync::Arc<Item>>,
    /// Whether an item was sent, so that a comma comes first.
    behind_item: bool,
    ended: bool,
    /// Of all together.
    length: usize,
}

/// What ends a list.
const TAIL: &[u8] = b"]}\n";

impl Pieces {
    fn new(resource: &Resource, metadata: &Value, items: Vec<std::sync::Arc<Item>>) -> Pieces {
        let head = format!(
            "{{\"kind\":\"{}\",\"apiVersion\":\"{}\",\"metadata\":{metadata},\"items\":[",
            resource.list_kind,
            resource.group_version()
        );
        let commas = items.len().saturating_sub(1);
        let texts: usize = items.iter().map(|i| i.bytes().len()).sum();
        let length = head.len() + texts + commas + TAIL.len();
        Pieces { head, items: items.into_iter(), behind_item: false, ended: false, length }
    }
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let next = self.items.as_slice().first().map_or(0, |i| i.bytes().len());
        let room = PIECE_BYTES.max(next + self.head.len() + 1).min(self.length) + TAIL.len();
        let mut out = BytesMut::with_capacity(room);
        out.put_slice(std::mem::take(&mut self.head).as_bytes());
        while let Some(item) = self.items.as_slice().first() {
            if !out.is_empty() && out.len() + item.bytes().len() + 1 > PIECE_BYTES {
                return Some(out.freeze());
            }
            if self.behind_item {
                out.put_u8(b',');
            }
            out.put_slice(item.bytes());
            self.behind_item = true;
            self.items.next();
        }
        self.ended = true;
        out.put_slice(TAIL);
        Some(out.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a Rust library were given.
    #[test]
    fn bad_tokens_are_refused_in_upstreams_words() {
        let said = |text: &str| Token::parse(text).err().map(|e| e.message).unwrap_or_default();
        let framed = |why: &str| format!("invalid continue token: continue key is not valid: {why}");
        assert_eq!(said("bogus"), framed("illegal base64 data at input byte 4"));
        assert_eq!(said("a!"), framed("illegal base64 data at input byte 1"));
        assert_eq!(said("e30"), framed("server does not recognize this encoded version "));
        assert_eq!(
            said("W10"),
            framed("json: cannot unmarshal array into Go value of type storage.continueToken")
        );
        let field = "json: cannot unmarshal number into Go struct field continueToken.v of type string";
        assert_eq!(said("eyJ2IjoxfQ"), framed(field));
        let up = TOKEN.encode(r#"{"v":"meta.k8s.io/v1","rv":5,"start":"../x"}"#);
        assert_eq!(said(&up), framed("../x"));
        let token = Token { revision: 3, start: "a".into() };
        assert_eq!(Token::parse(&token.text()).map(|t| (t.revision, t.start)).ok(), Some((3, "a".into())));
    }
}
