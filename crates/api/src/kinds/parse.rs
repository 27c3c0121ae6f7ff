//! Reads `data/kinds.txt`. The format is described in its first line.

use super::{Deprecation, Kind, Kinds, Served, Subresource};
use crate::schema::{Name, Schemas};

/// All kinds of the text.
pub(super) fn kinds(text: &'static str, schemas: &Schemas) -> Kinds {
    let mut order: Vec<Name> = Vec::new();
    let mut kinds: Vec<Kind> = Vec::new();
    for line in text.lines() {
        let words: Vec<&'static str> = line.split(' ').collect();
        match words.as_slice() {
            ["G", groups @ ..] => order = groups.iter().map(|g| name(g)).collect(),
            [
                "K",
                group,
                version,
                kind,
                list_kind,
                plural,
                singular,
                scope,
                prefix,
                short_names,
                categories,
                hash,
            ] => kinds.push(Kind {
                group: name(group),
                version: name(version),
                kind: name(kind),
                list_kind: name(list_kind),
                plural: name(plural),
                singular: name(singular),
                short_names: names(short_names),
                categories: names(categories),
                namespaced: *scope == "N",
                etcd_prefix: (*prefix != "-").then(|| name(prefix)),
                storage_version_hash: name(hash),
                served: Vec::new(),
            }),
            ["V", group, version, kind, verbs, definition, life @ ..] => {
                if let Some(row) = kinds.last_mut() {
                    row.served.push(Served {
                        group: name(group),
                        version: name(version),
                        kind: name(kind),
                        verbs: names(verbs),
                        ty: schemas.by_name(definition),
                        deprecation: life.first().and_then(|text| deprecation(text)),
                        subresources: Vec::new(),
                    });
                }
            }
            ["s", sub, group, version, kind, verbs, definition] => {
                if let Some(served) = kinds.last_mut().and_then(|k| k.served.last_mut()) {
                    served.subresources.push(Subresource {
                        name: name(sub),
                        group_version: (*version != "=").then(|| (name(group), name(version))),
                        kind: name(kind),
                        verbs: names(verbs),
                        ty: schemas.by_name(definition),
                    });
                }
            }
            _ => {}
        }
    }
    Kinds::new(&order, kinds)
}

fn name(word: &'static str) -> Name {
    if word == "-" { Name::Borrowed("") } else { Name::Borrowed(word) }
}

fn names(words: &'static str) -> Vec<Name> {
    if words == "-" { Vec::new() } else { words.split(',').map(Name::Borrowed).collect() }
}

fn deprecation(text: &'static str) -> Option<Deprecation> {
    let mut parts = text.split(',');
    let version = |text: &str| {
        let (major, minor) = text.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    let deprecated = version(parts.next()?)?;
    let removed = parts.next().and_then(version);
    let mut gvk = parts.next().unwrap_or_default().split('/');
    let replacement = match (gvk.next(), gvk.next(), gvk.next()) {
        (Some(g), Some(v), Some(k)) => Some((Name::Borrowed(g), Name::Borrowed(v), Name::Borrowed(k))),
        _ => None,
    };
    Some(Deprecation { deprecated, removed, replacement })
}
