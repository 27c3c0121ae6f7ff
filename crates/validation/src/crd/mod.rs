//! Custom resource definitions.
//!
//! Upstream checks its internal type, in which what all versions have in common stands at the top: paths of
//! errors are those of the internal type. [`View`] is that type, read from the stored version.

mod definition;
mod expressions;
mod field_path;
mod schema;
mod structural;

use api::Value;
use api::field::{ErrorList, Path};

use crate::Context;
use crate::errs::Errs;
use crate::golang;
use crate::meta;
use crate::names;
use crate::value::{Get, NULL, same_at};
use schema::Options;

static METADATA: Path<'static> = Path::new("metadata");
static SPEC: Path<'static> = Path::new("spec");
static STATUS: Path<'static> = Path::new("status");

/// The parts that versions may have in common.
const SHARED: [&str; 4] = ["schema", "subresources", "additionalPrinterColumns", "selectableFields"];

/// A definition's spec as the internal type has it.
struct View<'a> {
    spec: &'a Value,
    versions: &'a [Value],
    common: [bool; 4],
}

impl<'a> View<'a> {
    fn of(object: &'a Value) -> View<'a> {
        let spec = object.sub("spec");
        let versions = spec.list("versions");
        let common = SHARED.map(|field| {
            versions.first().is_some_and(|first| versions.iter().all(|v| same_at(v, first, field)))
        });
        View { spec, versions, common }
    }

    fn is_common(&self, field: &str) -> bool {
        SHARED.iter().zip(self.common).any(|(name, common)| *name == field && common)
    }

    /// A shared part at the top.
    fn top(&self, field: &str) -> &'a Value {
        match self.versions.first() {
            Some(first) if self.is_common(field) => first.sub(field),
            _ => &NULL,
        }
    }

    /// A shared part in a version.
    fn part(&self, version: &'a Value, field: &str) -> &'a Value {
        if self.is_common(field) { &NULL } else { version.sub(field) }
    }

    /// Whether a schema has default values.
    fn has_defaults(&self) -> bool {
        self.schemas().any(|s| schema::any(s, &|s| s.at("default").is_some()))
    }

    /// Every schema there is.
    fn schemas(&self) -> impl Iterator<Item = &'a Value> {
        self.versions.iter().filter_map(|v| v.sub("schema").at("openAPIV3Schema"))
    }

    /// The versions as Go has them, to be shown.
    fn own_versions(&self) -> Value {
        let mut versions = self.spec.sub("versions").clone();
        for version in versions.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            for (field, common) in SHARED.iter().zip(self.common) {
                if common {
                    version.remove(*field);
                }
            }
        }
        versions
    }
}

/// `ValidateCustomResourceDefinition`.
pub(crate) fn create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    let spec = object.sub("spec");
    let wanted = format!("{}.{}", spec.sub("names").str("plural"), spec.str("group"));
    meta::object_meta(object, false, names::subdomain, errs);
    for field in ["name", "generateName"] {
        let name = object.sub("metadata").str(field);
        if !name.is_empty() && name != wanted {
            // The name's own messages stand together, before those of other fields.
            let path = METADATA.child(field);
            let at = errs.iter().rposition(|e| e.field == format!("metadata.{field}"));
            let at = at.map_or(0, |i| i + 1);
            let mut own = ErrorList::new();
            own.invalid(&path, name, "must be spec.names.plural+\".\"+spec.group");
            errs.splice(at..at, own);
        }
    }
    let options = if is_beta(ctx) { Options::beta() } else { Options::default() };
    definition::spec(&View::of(object), &options, errs);
    rest(object, None, ctx, errs);
}

/// `ValidateCustomResourceDefinitionUpdate`.
pub(crate) fn update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::object_meta_update(new, old, errs);
    let before = View::of(old);
    let options = if is_beta(ctx) { Options::beta_given(&before) } else { Options::given(&before) };
    definition::spec(&View::of(new), &options, errs);
    let (spec, old_spec) = (new.sub("spec"), old.sub("spec"));
    let established = old
        .sub("status")
        .list("conditions")
        .iter()
        .any(|c| c.str("type") == "Established" && c.str("status") == "True");
    let path = SPEC.child("names");
    let (n, old_n) = (spec.sub("names"), old_spec.sub("names"));
    if established {
        meta::immutable(spec, old_spec, "scope", "s", &SPEC.child("scope"), errs);
        meta::immutable(n, old_n, "kind", "s", &path.child("kind"), errs);
    }
    meta::immutable(spec, old_spec, "group", "s", &SPEC.child("group"), errs);
    meta::immutable(n, old_n, "plural", "s", &path.child("plural"), errs);
    rest(new, Some(old), ctx, errs);
}

/// `ValidateUpdateCustomResourceDefinitionStatus`.
pub(crate) fn status_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::object_meta_update(new, old, errs);
    let path = STATUS.child("acceptedNames");
    definition::names(new.sub("status").sub("acceptedNames"), &path, errs);
}

/// `v1beta1`, in which definitions need no schema: upstream asked less of them as long as it served that version.
fn is_beta(ctx: &Context<'_>) -> bool {
    ctx.version == "v1beta1"
}

fn rest(object: &Value, old: Option<&Value>, ctx: &Context<'_>, errs: &mut ErrorList) {
    definition::names(object.sub("status").sub("acceptedNames"), &STATUS.child("acceptedNames"), errs);
    stored_versions(object, &STATUS.child("storedVersions"), errs);
    if is_beta(ctx) {
        return;
    }
    approval(object, old, errs);
    let keeps = |object: &Value| object.sub("spec").flag("preserveUnknownFields");
    if keeps(object) && !old.is_some_and(keeps) {
        errs.invalid(
            &SPEC.child("preserveUnknownFields"),
            true,
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
        );
    }
}

/// `ValidateCustomResourceDefinitionStoredVersions`.
fn stored_versions(object: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let all = object.sub("status").sub("storedVersions");
    let stored = object.sub("status").strs("storedVersions");
    if stored.is_empty() {
        errs.invalid(path, golang::shown("[s", all), "must have at least one stored version");
        return;
    }
    let versions = object.sub("spec").list("versions");
    let mut missing = stored.clone();
    for version in versions {
        let name = version.str("name");
        // A second version of the same name finds the name taken.
        if version.flag("storage") && !missing.contains(&name) {
            errs.invalid(path, all, format!("must have the storage version {name}"));
        }
        missing.retain(|other| *other != name);
    }
    for (i, name) in stored.iter().enumerate() {
        if missing.contains(name) {
            errs.invalid(
                &path.index(i),
                *name,
                format!("missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"),
            );
        }
    }
}

const APPROVED: &str = "api-approved.kubernetes.io";

/// `GetAPIApprovalState`.
#[derive(PartialEq)]
enum Approval {
    Missing,
    Bypassed,
    Approved,
    Invalid,
}

fn approval_of(object: &Value) -> Approval {
    let text = object.sub("metadata").sub("annotations").str(APPROVED);
    let has_host = text.split_once("://").is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
            && !rest.is_empty()
            && !rest.starts_with(['/', '?', '#'])
            && !text.contains([' ', '\u{7f}'])
    });
    match text {
        "" => Approval::Missing,
        _ if text.starts_with("unapproved") => Approval::Bypassed,
        _ if has_host => Approval::Approved,
        _ => Approval::Invalid,
    }
}

/// `validateAPIApproval`: groups of the Kubernetes community need a review.
fn approval(object: &Value, old: Option<&Value>, errs: &mut ErrorList) {
    let group = object.sub("spec").str("group");
    let is_protected = ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|domain| group.strip_suffix(domain).is_some_and(|head| head.is_empty() || head.ends_with('.')));
    if !is_protected {
        return;
    }
    let state = approval_of(object);
    if old.is_some_and(|old| approval_of(old) == state) {
        return;
    }
    let annotations = METADATA.child("annotations");
    let path = annotations.key(APPROVED);
    match state {
        Approval::Invalid => errs.invalid(
            &path,
            object.sub("metadata").sub("annotations").str(APPROVED),
            format!("protected groups must have approval annotation \"{APPROVED}\" with either a URL or a reason starting with \"unapproved\", see https://github.com/kubernetes/enhancements/pull/1111"),
        ),
        Approval::Missing => errs.required(
            &path,
            format!("protected groups must have approval annotation \"{APPROVED}\", see https://github.com/kubernetes/enhancements/pull/1111"),
        ),
        Approval::Bypassed | Approval::Approved => {}
    }
}
