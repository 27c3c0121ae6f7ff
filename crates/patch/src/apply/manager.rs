//! The two operations on managed fields: an update is told what changed, an apply decides what changes
//! (`structured-merge-diff/merge/update.go` and the chain of managers in `managedfields/internal`).
//!
//! ```text
//!   apply:  live + configuration ──merge──► merged ──prune──► new object
//!             conflicts: what others own and this would change ──► 409, unless forced
//!             prune:     what this manager applied last time, does not any more, and nobody else owns
//!   update: live ──► new object; whoever changed a field owns it, whoever owned it does not any more
//! ```

use std::collections::HashMap;
use std::collections::btree_map::Entry;
use std::sync::LazyLock;

use api::status::ApiError;
use api::{Object, Value};
use serde_json::json;

use super::fieldpath::{Element, Set};
use super::managed::{self, ManagerId, Managers, Owned};
use super::typed::{self, Comparison, Twins, TypeSchema};

/// Updaters beyond this number are folded into one (`DefaultMaxUpdateManagers`).
const UPDATE_MANAGERS_MAX: usize = 10;
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The versions in which a kind is served: managers write their paths in the version that they used.
pub trait Versions {
    /// The schema of one version.
    type Schema: TypeSchema;
    /// The schema of a version; `None` when it is not served (any more).
    fn schema(&self, version: &str) -> Option<Self::Schema>;
    /// The object in another version; `None` when that version is not served.
    fn convert(&self, object: &Object, from: &str, to: &str) -> Option<Object>;
}

/// One write, as far as managed fields are concerned.
#[derive(Debug)]
pub struct Request<'a, V> {
    /// The versions of the kind.
    pub versions: &'a V,
    /// The version of the request: `apps/v1`.
    pub version: &'a str,
    /// `status`, `scale`, … or empty.
    pub subresource: &'a str,
    /// The field manager, or the start of the user agent.
    pub manager: &'a str,
    /// Fields that this endpoint resets, and that nobody comes to own through it (`GetResetFields`).
    pub reset: &'a Set<'a>,
    /// A new object of the version, as Go makes it: nobody owns what it has already.
    pub empty: &'a Object,
    /// RFC 3339.
    pub now: &'a str,
}

impl<V: Versions> Request<'_, V> {
    fn id(&self, applies: bool) -> ManagerId {
        let name = if self.manager.is_empty() { "unknown" } else { self.manager };
        ManagerId {
            applies,
            name: name.to_owned(),
            version: if applies { String::new() } else { self.version.to_owned() },
            subresource: self.subresource.to_owned(),
        }
    }
}

/// Sets `metadata.managedFields` of a created or updated object. `live` is empty for a create. Both are in the
/// request's version.
pub fn update<V: Versions>(live: &Object, new: &mut Object, request: &Request<'_, V>) {
    let sent = take_entries(new);
    let live_managers = || managed::decode(entries(live)).unwrap_or_default();
    let managers = if !request.subresource.is_empty() {
        live_managers()
    } else if managed::is_reset(sent.as_ref()) {
        Managers::new()
    } else {
        // A client that does not know the field must not lose it for others.
        managed::decode(sent.as_ref()).filter(|m| !m.is_empty()).unwrap_or_else(live_managers)
    };
    let exists = live.get("metadata").is_some_and(|m| m.get("uid").is_some());
    if managers.is_empty() && exists {
        // Nobody has applied to this object and its managers were reset: it stays untracked.
        return;
    }
    let live = if live.is_empty() { request.empty } else { live };
    if let Some(managers) = update_managers(live, new, managers, request.id(false), request) {
        set_entries(new, managed::encode(&managers));
    }
}

fn update_managers<'a, V: Versions>(
    live: &'a Object,
    new: &'a Object,
    managers: Managers<'a>,
    id: ManagerId,
    request: &Request<'_, V>,
) -> Option<Managers<'a>> {
    let (mut managers, comparison) = change(live, new, managers, None, true, request).ok()?;
    if comparison.misfit {
        // Upstream then forgets who managed what.
        return None;
    }
    let mut set = comparison.into_changed();
    set.subtract(&OWN_METADATA);
    if !set.is_empty() {
        let time = Some(request.now.to_owned());
        match managers.entry(id) {
            Entry::Occupied(mut owned) => {
                owned.get_mut().set.extend(set);
                owned.get_mut().time = time;
            }
            Entry::Vacant(free) => {
                free.insert(Owned { version: request.version.to_owned(), time, set });
            }
        }
    }
    cap(&mut managers);
    Some(managers)
}

/// Applies a configuration; both are in the request's version, `live` is empty for a create.
///
/// # Errors
/// 409 with every conflict, 400 for a configuration that says who manages what, and (as upstream) a bare 500 for one
/// that does not fit the schema, as for a live object that does not.
pub fn apply<V: Versions>(
    live: &Object,
    config: &Object,
    force: bool,
    request: &Request<'_, V>,
) -> Result<Object, ApiError> {
    let config_version = config.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    if config_version != request.version {
        return Err(ApiError::bad_request(format!(
            "Incorrect version specified in apply patch. Specified patch version: {config_version}, expected: {}",
            request.version
        )));
    }
    let Some(schema) = request.versions.schema(request.version) else {
        return Err(ApiError::internal(format!("no schema for {}", request.version)));
    };
    let mut managers = managed::decode(entries(live)).unwrap_or_default();
    let mut live = live.clone();
    take_entries(&mut live);
    if managers.is_empty() {
        let before = ManagerId { name: "before-first-apply".to_owned(), ..request.id(false) };
        let before = ManagerId { subresource: request.subresource.to_owned(), ..before };
        managers = match update_managers(request.empty, &live, managers, before, request) {
            Some(managers) => managers,
            None => {
                let how = "failed to create manager for existing fields: failed to convert new object";
                check(how, " to smd typed", &live, &schema, Twins::Allowed)?;
                Managers::new()
            }
        };
    }
    // What is no list of entries is the schema's matter.
    let said = entries(config).and_then(Value::as_array);
    if said.is_some_and(|list| list.iter().all(Value::is_object)) {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    check("failed to create typed patch object", "", config, &schema, Twins::Refused)?;
    let result = match apply_managed(&live, config, &schema, managers.clone(), force, request) {
        Err(conflicts) if request.manager == "kubectl" => {
            // What kubectl applied on the client's side before is its own, not a conflict.
            let allowed = last_applied_set(&live, &schema);
            if conflicts.iter().all(|(_, set)| set.difference(&allowed).is_empty()) {
                apply_managed(&live, config, &schema, managers, true, request)
            } else {
                let rest = conflicts.into_iter().map(|(id, set)| (id, set.difference(&allowed)));
                Err(rest.filter(|(_, set)| !set.is_empty()).collect())
            }
        }
        other => other,
    };
    let misfit = result.as_ref().map_or(true, |(.., misfit)| *misfit);
    if misfit {
        check("failed to create typed live object", "", &live, &schema, Twins::Allowed)?;
    }
    let (mut object, managers, _) = result.map_err(|conflicts| conflict_error(&conflicts))?;
    if request.manager == "kubectl" && last_applied(&object).is_some() {
        set_last_applied(&mut object, config);
    }
    set_entries(&mut object, managed::encode(&managers));
    Ok(object)
}

/// Refuses an object that does not fit its type.
fn check<S: TypeSchema>(
    how: &str,
    into: &str,
    object: &Object,
    schema: &S,
    twins: Twins,
) -> Result<(), ApiError> {
    let mistakes = typed::validate(object, schema, twins);
    let text = match mistakes.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    Err(ApiError::new(500, "", format!("{how} ({}){into}: {text}", describe(object))))
}

type Conflicts<'a> = Vec<(ManagerId, Set<'a>)>;

/// The new object, who manages it, and whether the one that lives (or the new one) does not fit its type.
type Applied<'a> = (Object, Managers<'a>, bool);

fn apply_managed<'a, V: Versions>(
    live: &Object,
    config: &'a Object,
    schema: &V::Schema,
    mut managers: Managers<'a>,
    force: bool,
    request: &Request<'_, V>,
) -> Result<Applied<'a>, Conflicts<'a>> {
    let id = request.id(true);
    let merged = typed::merge(live, config, schema);
    let last = managers.get(&id).cloned();
    let set = typed::field_set(config, schema).recursive_difference(request.reset);
    let time = last.as_ref().and_then(|l| l.time.clone());
    managers.insert(id.clone(), Owned { version: request.version.to_owned(), time, set });
    let new = match &last {
        Some(last) if !last.set.is_empty() && !gives_up_nothing(last, &managers, schema, request) => {
            prune(&merged, &managers, last, request)
        }
        _ => merged,
    };
    let (mut managers, Comparison { misfit, .. }) = change(live, &new, managers, Some(&id), force, request)?;
    let changed = *live != new;
    if let Some(owned) = managers.get_mut(&id) {
        owned.set.subtract(&OWN_METADATA);
        if changed {
            owned.time = Some(request.now.to_owned());
        }
        if owned.set.is_empty() {
            managers.remove(&id);
        }
    }
    Ok((new, managers, misfit))
}

/// Whether all that `last` owned is still owned, so that [`prune`] would take nothing away. It is sure only where nothing is
/// converted and each owned path has its way owned as well; then most of an apply's work is saved.
fn gives_up_nothing<V: Versions>(
    last: &Owned<'_>,
    managers: &Managers<'_>,
    schema: &V::Schema,
    request: &Request<'_, V>,
) -> bool {
    managers.values().all(|owned| owned.version == last.version)
        && last.version == request.version
        && managers.values().any(|owned| last.set.within(&owned.set))
        && typed::is_rooted(&last.set, schema)
}

/// Takes away what `last` owned and nobody owns any more.
fn prune<V: Versions>(
    merged: &Object,
    managers: &Managers<'_>,
    last: &Owned<'_>,
    request: &Request<'_, V>,
) -> Object {
    let versions = request.versions;
    let Some(schema) = versions.schema(&last.version) else { return merged.clone() };
    let Some(at_last) = versions.convert(merged, request.version, &last.version) else {
        return merged.clone();
    };
    let last_set = typed::ensure_named_fields(&last.set, &schema);
    let mut pruned = typed::remove(&at_last, &last_set, &schema);
    // Other managers keep what they own, in whichever version they named it.
    let mut by_version: Vec<(&str, Vec<Set<'_>>)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for owned in managers.values() {
        let at = *places.entry(&owned.version).or_insert_with(|| {
            by_version.push((&owned.version, Vec::new()));
            by_version.len() - 1
        });
        by_version[at].1.push(owned.set.clone());
    }
    by_version.sort_by_key(|(v, _)| *v != last.version);
    for (version, owned) in by_version {
        let (Some(s), Some(m), Some(p)) = (
            versions.schema(version),
            versions.convert(&at_last, &last.version, version),
            versions.convert(&pruned, &last.version, version),
        ) else {
            continue;
        };
        let all = typed::ensure_named_fields(&typed::field_set(&m, &s), &s);
        let kept = typed::ensure_named_fields(&typed::field_set(&p, &s), &s)
            .union(&typed::ensure_named_fields(&Set::of_all(owned), &s));
        let rest = typed::remove(&m, &all.difference(&kept), &s);
        if let Some(back) = versions.convert(&rest, version, &last.version) {
            pruned = back;
        }
    }
    // What went along without having been owned comes back.
    let pruned_set = typed::ensure_named_fields(&typed::field_set(&pruned, &schema), &schema);
    let all = typed::ensure_named_fields(&typed::field_set(&at_last, &schema), &schema);
    let gone = all.difference(&pruned_set).intersection(&last_set);
    let pruned = typed::remove(&at_last, &gone, &schema);
    versions.convert(&pruned, &last.version, request.version).unwrap_or(pruned)
}

/// Takes changed fields away from the other managers, or reports them as conflicts (`Updater.update`).
fn change<'m, 'o, V: Versions>(
    live: &'o Object,
    new: &'o Object,
    mut managers: Managers<'m>,
    workflow: Option<&ManagerId>,
    force: bool,
    request: &Request<'_, V>,
) -> Result<(Managers<'m>, Comparison<'o>), Conflicts<'m>> {
    let compare_in = |version: &str| -> Option<Comparison<'o>> {
        let schema = request.versions.schema(version)?;
        let comparison = if version == request.version {
            typed::compare(live, new, &schema)
        } else {
            let in_version = |object| request.versions.convert(object, request.version, version);
            typed::compare(&in_version(live)?, &in_version(new)?, &schema).into_owned()
        };
        let mut comparison = comparison.exclude(request.reset);
        // An update's live object may still carry them.
        comparison.removed.subtract(&MANAGED_FIELDS);
        Some(comparison)
    };
    let comparison = compare_in(request.version).unwrap_or_default();
    // The differences in the versions of other managers, and the changed fields of each.
    let mut known: HashMap<String, Option<(Comparison<'_>, Set<'_>)>> = HashMap::new();
    let mut conflicts = Conflicts::new();
    // A new object has no managers yet.
    let changed = if managers.is_empty() { Set::default() } else { comparison.changed() };
    for (id, owned) in &managers {
        if Some(id) == workflow {
            continue;
        }
        let changed = if owned.version == request.version {
            Some(&changed)
        } else {
            let there = known.entry(owned.version.clone()).or_insert_with(|| {
                compare_in(&owned.version).map(|c| {
                    let changed = c.changed();
                    (c, changed)
                })
            });
            there.as_ref().map(|(_, changed)| changed)
        };
        let conflict = changed.map(|changed| owned.set.intersection(changed)).unwrap_or_default();
        if !conflict.is_empty() {
            conflicts.push((id.clone(), conflict));
        }
    }
    if !force && !conflicts.is_empty() {
        return Err(conflicts);
    }
    let conflicts: HashMap<ManagerId, Set<'_>> = conflicts.into_iter().collect();
    managers.retain(|id, owned| {
        if Some(id) == workflow {
            return true;
        }
        let removed = if owned.version == request.version {
            Some(&comparison.removed)
        } else {
            known.get(&owned.version).and_then(Option::as_ref).map(|(c, _)| &c.removed)
        };
        // A version that is not served any more takes its managers along.
        let Some(removed) = removed else { return false };
        if let Some(conflict) = conflicts.get(id) {
            owned.set.subtract(conflict);
        }
        owned.set.subtract(removed);
        true
    });
    managers.retain(|_, owned| !owned.set.is_empty());
    Ok((managers, comparison))
}

/// Folds the oldest updaters of a version together when there are too many (`capManagersManager`).
fn cap(managers: &mut Managers<'_>) {
    let mut updaters: Vec<(ManagerId, Option<String>)> =
        managers.iter().filter(|(id, _)| !id.applies).map(|(id, o)| (id.clone(), o.time.clone())).collect();
    let mut excess = updaters.len().saturating_sub(UPDATE_MANAGERS_MAX);
    updaters.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
    let mut first_of_version: HashMap<String, ManagerId> = HashMap::new();
    let mut sets: HashMap<ManagerId, Vec<Set<'_>>> = HashMap::new();
    for (id, _) in updaters {
        if excess == 0 {
            break;
        }
        let Some(first) = first_of_version.get(&id.version) else {
            first_of_version.insert(id.version.clone(), id);
            continue;
        };
        let bucket =
            ManagerId { name: "ancient-changes".to_owned(), subresource: String::new(), ..id.clone() };
        if !managers.contains_key(&bucket)
            && let Some(owned) = managers.remove(first)
        {
            managers.insert(bucket.clone(), owned);
        }
        if let Some(folded) = managers.remove(&id)
            && let Some(owned) = managers.get_mut(&bucket)
        {
            sets.entry(bucket).or_default().push(folded.set);
            owned.time = folded.time;
            excess -= 1;
        }
    }
    for (bucket, folded) in sets {
        if let Some(owned) = managers.get_mut(&bucket) {
            owned.set = Set::of_all(std::iter::once(std::mem::take(&mut owned.set)).chain(folded));
        }
    }
}

/// What every object has and nobody owns (`stripMetaManager`).
static OWN_METADATA: LazyLock<Set<'static>> = LazyLock::new(|| {
    let mut set = Set::default();
    for name in ["apiVersion", "kind", "metadata"] {
        set.add(Element::field(name));
    }
    for name in [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    ] {
        set.insert(&[Element::field("metadata"), Element::field(name)]);
    }
    set
});

static MANAGED_FIELDS: LazyLock<Set<'static>> = LazyLock::new(|| {
    let mut set = Set::default();
    set.insert(&[Element::field("metadata"), Element::field("managedFields")]);
    set
});

fn entries(object: &Object) -> Option<&Value> {
    object.get("metadata").and_then(|m| m.get("managedFields"))
}

fn take_entries(object: &mut Object) -> Option<Value> {
    object.get_mut("metadata")?.as_object_mut()?.remove("managedFields")
}

fn set_entries(object: &mut Object, entries: Option<Value>) {
    let Some(entries) = entries else { return drop(take_entries(object)) };
    // A configuration may have said that there is no metadata.
    if object.get("metadata").is_none_or(Value::is_null) {
        object.insert("metadata".to_owned(), json!({}));
    }
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.insert("managedFields".to_owned(), entries);
    }
}

fn last_applied(object: &Object) -> Option<&str> {
    object.get("metadata")?.get("annotations")?.get(LAST_APPLIED)?.as_str().filter(|t| !t.is_empty())
}

fn set_last_applied(object: &mut Object, config: &Object) {
    let mut config = config.clone();
    if let Some(Value::Object(annotations)) =
        config.get_mut("metadata").and_then(|m| m.get_mut("annotations"))
    {
        annotations.remove(LAST_APPLIED);
    }
    let text = format!("{}\n", Value::Object(config));
    if let Some(Value::Object(annotations)) =
        object.get_mut("metadata").and_then(|m| m.get_mut("annotations"))
    {
        annotations.insert(LAST_APPLIED.to_owned(), text.into());
    }
}

/// The fields of the last client-side apply that are still as it set them.
fn last_applied_set<S: TypeSchema>(live: &Object, schema: &S) -> Set<'static> {
    let Some(Ok(last)) = last_applied(live).map(serde_json::from_str::<Object>) else {
        return Set::default();
    };
    let comparison = typed::compare(&last, live, schema);
    let set = typed::field_set(&last, schema);
    set.difference(&comparison.changed()).difference(&comparison.removed).into_owned()
}

/// How upstream names an object in its errors: `namespace/name; group/version, Kind=kind`.
pub fn describe(object: &Object) -> String {
    let meta = |name: &str| {
        object.get("metadata").and_then(|m| m.get(name)).and_then(Value::as_str).unwrap_or_default()
    };
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    let version = text("apiVersion");
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    format!("{}/{}; {group}/{version}, Kind={}", meta("namespace"), meta("name"), text("kind"))
}

fn conflict_error(conflicts: &Conflicts<'_>) -> ApiError {
    let mut causes = Vec::new();
    let mut lines = Vec::new();
    // In the order of what identifies managers, written as JSON: the name, then whether it applies, then the version.
    let mut conflicts: Vec<&(ManagerId, Set<'_>)> = conflicts.iter().collect();
    conflicts.sort_by_cached_key(|(id, _)| {
        (format!("{}\"", id.name), !id.applies, id.version.clone(), id.subresource.clone())
    });
    for (id, set) in conflicts {
        let manager = id.describe();
        lines.push(format!("conflicts with {manager}:"));
        for path in set.paths() {
            causes.push(json!({
                "reason": "FieldManagerConflict", "message": format!("conflict with {manager}"), "field": path
            }));
            lines.push(format!("- {path}"));
        }
    }
    let message = match causes.as_slice() {
        [only] => {
            let text = |name: &str| only[name].as_str().unwrap_or_default().to_owned();
            format!("Apply failed with 1 conflict: {}: {}", text("message"), text("field"))
        }
        many => format!("Apply failed with {} conflicts: {}", many.len(), lines.join("\n")),
    };
    let mut error = ApiError::new(409, "Conflict", message);
    error.details.insert("causes".to_owned(), causes.into());
    error
}

#[cfg(test)]
mod tests;
