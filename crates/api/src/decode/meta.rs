//! Which kind a body is of, and the refusals when it is not the expected one.

use super::{Target, Typed, cannot_be_handled, typed};
use crate::json::{self, Reader};
use crate::kinds::{self, Era};
use crate::schema::{self, StructId, Type};
use crate::status::ApiError;

/// The `apiVersion` and `kind` of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeMeta {
    /// The group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The kind.
    pub kind: String,
}

/// Go's name of the struct that upstream reads the two fields into.
const GO_STRUCT: &str = "struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }";

/// Reads `apiVersion` and `kind` (`json.SimpleMetaFactory.Interpret`); field names match in any case, as in Go.
pub fn interpret(text: &[u8]) -> Result<TypeMeta, String> {
    let failed = |why: String| format!("couldn't get version/kind; json parse error: {why}");
    json::check(text).map_err(failed)?;
    let mut reader = Reader::new(text);
    let mut api_version = String::new();
    let mut kind = String::new();
    let mut error = None;
    let first = reader.peek().unwrap_or(b'n');
    if first == b'{' {
        let mut read = || -> Result<(), json::Malformed> {
            reader.expect(b'{')?;
            let mut first = true;
            while reader.more(first, b'}')? {
                first = false;
                let key = reader.key()?;
                let (slot, name) = if key.eq_ignore_ascii_case("apiVersion") {
                    (&mut api_version, "apiVersion")
                } else if key.eq_ignore_ascii_case("kind") {
                    (&mut kind, "kind")
                } else {
                    reader.skip()?;
                    continue;
                };
                match reader.peek()? {
                    b'"' => *slot = reader.string()?.into_owned(),
                    b'n' => reader.skip()?,
                    found => {
                        let found = super::typed::found(found);
                        error.get_or_insert(format!(
                            "json: cannot unmarshal {found} into Go struct field .{name} of type string"
                        ));
                        reader.skip()?;
                    }
                }
            }
            Ok(())
        };
        read().map_err(|_| failed("exceeded max depth".to_owned()))?;
    } else if first != b'n' {
        let found = super::typed::found(first);
        error = Some(format!("json: cannot unmarshal {found} into Go value of type {GO_STRUCT}"));
    }
    if let Some(error) = error {
        return Err(failed(error));
    }
    if api_version.matches('/').count() > 1 {
        return Err(format!("unexpected GroupVersion string: {api_version}"));
    }
    let (group, version) = match api_version.as_str() {
        "/" => ("", ""),
        text => kinds::split_api_version(text),
    };
    Ok(TypeMeta { group: group.to_owned(), version: version.to_owned(), kind })
}

/// Upstream's `transformDecodeError` for bodies of no kind.
pub fn unrecognized(expected: &str, why: &str, body: &[u8]) -> ApiError {
    const MAX: usize = 30;
    let start = &body[..body.len().min(MAX)];
    let more = if body.len() > MAX { " ..." } else { "" };
    let summary = match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(start)),
        Some(_) => {
            let hex: String = start.iter().map(|b| format!("{b:02x}")).collect();
            format!("{hex}{more}")
        }
    };
    ApiError::bad_request(format!(
        "the object provided is unrecognized (must be of type {expected}): {why} ({summary})"
    ))
}

/// A body that is not plainly of the expected kind: finds out in upstream's order what it is, and refuses it or
/// takes it.
pub(super) fn recheck(
    target: &Target<'_>,
    body: &[u8],
    original: &[u8],
    first: Result<Typed, String>,
) -> Result<Typed, ApiError> {
    let meta = interpret(body).map_err(|why| unrecognized(target.kind, &why, original))?;
    let kind = if meta.kind.is_empty() { target.kind } else { &meta.kind };
    let (group, version) = match (meta.group.as_str(), meta.version.as_str()) {
        ("", "") => (target.group, target.version),
        (group, "") if group == target.group => (group, target.version),
        both => both,
    };
    if (group, version, kind) == (target.group, target.version, target.kind) {
        return first.map_err(|why| cannot_be_handled(kind, version, target.kind, &target.told(body, why)));
    }
    let refuse = |why: &str| Err(cannot_be_handled(kind, version, target.kind, why));
    let unversioned = target.era() == Era::Now && UNVERSIONED.contains(&kind);
    let (known_group, known_version) = if unversioned { ("", "v1") } else { (group, version) };
    let Some(ty) = registered(known_group, known_version, kind) else {
        let (kind, gv) = (crate::field::go_quote(kind), kinds::group_version(group, version));
        // Servers of 1.10 had one scheme, without a name.
        let scheme = match target.era() {
            Era::Early => "",
            _ => " in scheme \"pkg/api/legacyscheme/scheme.go:30\"",
        };
        return refuse(&format!(
            "no kind {kind} is registered for version {}{scheme}",
            crate::field::go_quote(&gv)
        ));
    };
    let accepted = match typed(schema::builtin(), &Type::Struct(ty), body, true) {
        Err(why) => return refuse(&why),
        Ok(accepted) => accepted,
    };
    if kind == "Eviction" && group == "policy" && target.kind == kind {
        // Both versions of evictions are taken (`GroupVersionsAccepted`).
        return Ok(accepted);
    }
    if kind == target.kind && same_hub(target, group, version) {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({}) does not match the expected API version ({})",
            kinds::group_version(group, version),
            kinds::group_version(target.group, target.version)
        )));
    }
    if target.era() == Era::Early
        && let Some((field, missing)) = lacks(ty, target)
    {
        return refuse(&format!(
            "converting ({version}.{kind}).{field} to ({}.{}).{field}: {missing} not present in src",
            internal_package(target.group, target.kind),
            target.kind
        ));
    }
    let version = if unversioned { known_version } else { version };
    refuse(&format!(
        "converting ({version}.{kind}) to ({}.{}): unknown conversion",
        internal_package(target.group, target.kind),
        target.kind
    ))
}

/// Servers of 1.10 tried to convert field by field between any two kinds: the last field that they had in common and
/// the first one that the source lacks. Only scales are alike enough to come so far.
fn lacks(source: StructId, target: &Target<'_>) -> Option<(&'static str, &'static str)> {
    let schemas = schema::builtin();
    let has = |part: &str, field: &str| {
        let part = schemas.get(source).field(part)?;
        schemas.field_type(&part.ty, field)
    };
    let alike =
        target.kind == "Scale" && has("spec", "replicas").is_some() && has("status", "replicas").is_some();
    (alike && has("status", "selector").is_none()).then_some(("Replicas", "Selector"))
}

/// Kinds that upstream's scheme knows in every group version.
pub const UNVERSIONED: [&str; 5] = ["Status", "APIVersions", "APIGroupList", "APIGroup", "APIResourceList"];

/// The type of a kind that upstream's scheme knows.
fn registered(group: &str, version: &str, kind: &str) -> Option<StructId> {
    let is = |k: &schema::GroupVersionKind| k.group == group && k.version == version && k.kind == kind;
    schema::builtin().iter().find(|(_, s)| s.kinds.iter().any(is)).map(|(id, _)| id)
}

/// Whether two group versions of a kind convert into each other.
fn same_hub(target: &Target<'_>, group: &str, version: &str) -> bool {
    let find = |group: &str, version: &str| kinds::builtin().by_kind(group, version, target.kind);
    match (find(target.group, target.version), find(group, version)) {
        (Some(a), Some(b)) => std::sync::Arc::ptr_eq(&a.kind, &b.kind),
        // Scales of all versions convert.
        (None, None) => true,
        _ => false,
    }
}

/// The Go package of upstream's internal type.
fn internal_package<'a>(group: &'a str, kind: &str) -> &'a str {
    match (group, kind) {
        (_, "Scale") => "autoscaling",
        (_, "DeleteOptions") => "v1",
        ("", _) | ("events.k8s.io", _) => "core",
        ("extensions", "Ingress" | "NetworkPolicy") => "networking",
        ("extensions", "PodSecurityPolicy") => "policy",
        ("extensions", _) => "apps",
        ("flowcontrol.apiserver.k8s.io", _) => "flowcontrol",
        (group, _) => group.split('.').next().unwrap_or(group),
    }
}
