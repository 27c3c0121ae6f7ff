//! Resource claims, their templates, and device classes.

use api::Value;
use api::field::{ErrorList, Path};

use super::{each, each_text, each_unique, fully_qualified_name, label, raw_extension, status, taint};
use crate::Context;
use crate::cel::{self, Type};
use crate::core::pod::resources;
use crate::core::volume::csi_driver_name;
use crate::errs::{Errs, Raw};
use crate::meta;
use crate::names;
use crate::value::{Get, same_at};

static SPEC: Path<'static> = Path::new("spec");

/// The most requests of a claim.
pub(super) const REQUESTS_MAX: usize = 32;

/// `ValidateResourceClaim`.
pub(crate) fn create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, names::subdomain, errs);
    devices(object.sub("spec").sub("devices"), &SPEC.child("devices"), errs);
}

/// `ValidateResourceClaimUpdate`.
pub(crate) fn update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(new, true, names::subdomain, errs);
    meta::kube_object_meta_update(new, old, errs);
    meta::immutable(new, old, "spec", "resource.ResourceClaimSpec", &SPEC, errs);
}

/// `ValidateResourceClaimStatusUpdate`.
pub(crate) fn status_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    let requests = Requests::of(new.sub("spec").sub("devices"));
    let deleted = new.sub("metadata").at("deletionTimestamp").is_some();
    status::claim(new.sub("status"), old.sub("status"), deleted, &requests, errs);
}

/// `ValidateResourceClaimTemplate`.
pub(crate) fn template_create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, names::subdomain, errs);
    let spec = object.sub("spec");
    meta::of_template(spec.sub("metadata"), &SPEC.child("metadata"), errs);
    devices(spec.sub("spec").sub("devices"), &SPEC.child("spec").child("devices"), errs);
}

/// `ValidateResourceClaimTemplateUpdate`.
pub(crate) fn template_update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    template_create(new, ctx, errs);
    meta::kube_object_meta_update(new, old, errs);
    meta::immutable(new, old, "spec", "resource.ResourceClaimTemplateSpec", &SPEC, errs);
}

/// `ValidateDeviceClass`.
pub(crate) fn class_create(object: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_named(object, false, names::is_long_name, errs);
    class_spec(object.sub("spec"), None, errs);
}

/// `ValidateDeviceClassUpdate`.
pub(crate) fn class_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_named(new, false, names::is_long_name, errs);
    meta::kube_object_meta_update(new, old, errs);
    class_spec(new.sub("spec"), Some(old.sub("spec")), errs);
}

fn class_spec(spec: &Value, old: Option<&Value>, errs: &mut ErrorList) {
    let stored = |field| old.is_some_and(|old| same_at(spec, old, field));
    selectors(spec, &SPEC, errs);
    let stored = stored("config");
    each(spec.list("config").iter(), 32, &SPEC.child("config"), errs, |config, path, errs| {
        configuration(config, stored, path, errs);
    });
    if let Some(name) = spec.opt_str("extendedResourceName")
        && !resources::is_extended(name)
    {
        errs.invalid(&SPEC.child("extendedResourceName"), name, "must be a valid extended resource name");
    }
}

/// The names of a claim's requests, and of the alternatives in them.
pub(super) struct Requests<'a>(Vec<(&'a str, Vec<&'a str>)>);

impl<'a> Requests<'a> {
    fn of(devices: &'a Value) -> Requests<'a> {
        let alternatives = |r: &'a Value| r.list("firstAvailable").iter().map(|s| s.str("name")).collect();
        Requests(devices.list("requests").iter().map(|r| (r.str("name"), alternatives(r))).collect())
    }

    fn has(&self, name: &str) -> bool {
        let (first, second) = name.split_once('/').map_or((name, None), |(a, b)| (a, Some(b)));
        self.0.iter().rfind(|(request, _)| *request == first).is_some_and(|(_, alternatives)| match second {
            None => true,
            Some(second) => alternatives.contains(&second),
        })
    }

    /// `validateRequestNameRef`.
    pub(super) fn reference(&self, name: &str, path: &Path<'_>, errs: &mut ErrorList) {
        const UNKNOWN: &str = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";
        if name.matches('/').count() > 1 {
            errs.invalid(path, name, UNKNOWN);
            return;
        }
        for segment in name.split('/') {
            label(segment, path, errs);
        }
        if !self.has(name) {
            errs.invalid(path, name, UNKNOWN);
        }
    }
}

/// `validateDeviceClaim`.
fn devices(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let names = Requests::of(v);
    let requests = v.list("requests").iter();
    each_unique(requests, REQUESTS_MAX, &path.child("requests"), errs, |r| r.str("name"), request);
    each(v.list("constraints").iter(), 32, &path.child("constraints"), errs, |c, path, errs| {
        constraint(c, &names, path, errs);
    });
    each(v.list("config").iter(), 32, &path.child("config"), errs, |config, path, errs| {
        let requests = config.strs("requests");
        each_text(&requests, REQUESTS_MAX, &path.child("requests"), errs, |name, path, errs| {
            names.reference(name, path, errs);
        });
        configuration(config, false, path, errs);
    });
}

fn request(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    label(v.str("name"), &path.child("name"), errs);
    let alternatives = v.list("firstAvailable");
    match (v.at("exactly"), alternatives.is_empty()) {
        (None, true) => errs.required(path, "exactly one of `exactly` or `firstAvailable` is required"),
        (Some(_), false) => errs.invalid(
            path,
            Raw("null".to_owned()),
            "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set",
        ),
        (Some(exactly), true) => device_request(exactly, &path.child("exactly"), errs),
        (None, false) => {
            let list = path.child("firstAvailable");
            each_unique(
                alternatives.iter(),
                8,
                &list,
                errs,
                |r| r.str("name"),
                |v, path, errs| {
                    label(v.str("name"), &path.child("name"), errs);
                    device_request(v, path, errs);
                },
            );
        }
    }
}

fn device_request(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    let class = v.str("deviceClassName");
    if class.is_empty() {
        errs.required(&path.child("deviceClassName"), "");
    } else {
        errs.invalid_each(&path.child("deviceClassName"), class, names::is_dns1123_subdomain(class));
    }
    selectors(v, path, errs);
    let (mode, count) = (v.str("allocationMode"), v.int("count"));
    match mode {
        "All" if count != 0 => {
            let detail = "must not be specified when allocationMode is 'All'";
            errs.invalid(&path.child("count"), count, detail);
        }
        "ExactCount" if count <= 0 => {
            errs.invalid(&path.child("count"), count, "must be greater than zero");
        }
        "All" | "ExactCount" => {}
        other => errs.not_supported(&path.child("allocationMode"), other, &["All", "ExactCount"]),
    }
    let list = path.child("tolerations");
    for (i, toleration) in v.list("tolerations").iter().enumerate() {
        taint::toleration(toleration, &list.index(i), errs);
    }
}

fn selectors(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    each(v.list("selectors").iter(), 32, &path.child("selectors"), errs, |selector, path, errs| {
        let path = path.child("cel");
        let Some(cel) = selector.at("cel") else {
            errs.required(&path, "");
            return;
        };
        const MAX: usize = 10 * 1024;
        let (text, path) = (cel.str("expression"), path.child("expression"));
        if text.len() > MAX {
            errs.too_long(&path, MAX);
        } else if let Some(problem) = selector_problem(text) {
            errs.invalid(&path, text, problem);
        }
    });
}

/// What is wrong with an expression that chooses devices.
fn selector_problem(text: &str) -> Option<String> {
    let by_domain = || Type::map(Type::String, Type::map(Type::String, Type::Dyn));
    let fields = vec![
        ("driver".to_owned(), Type::String),
        ("attributes".to_owned(), by_domain()),
        ("capacity".to_owned(), by_domain()),
        ("allowMultipleAllocations".to_owned(), Type::Bool),
    ];
    let device = Type::object("kubernetes.DRADevice", fields);
    match cel::compile(text, &vec![("device".to_owned(), device)]) {
        Ok(found) if found.fits(&Type::Bool) => None,
        Ok(other) => Some(format!("must evaluate to bool or the unknown type, not {other}")),
        Err(problem) => Some(problem),
    }
}

fn constraint(v: &Value, names: &Requests<'_>, path: &Path<'_>, errs: &mut ErrorList) {
    let requests = v.strs("requests");
    each_text(&requests, REQUESTS_MAX, &path.child("requests"), errs, |name, path, errs| {
        names.reference(name, path, errs);
    });
    if let Some(name) = v.opt_str("matchAttribute") {
        fully_qualified_name(name, &path.child("matchAttribute"), errs);
    } else if let Some(name) = v.opt_str("distinctAttribute") {
        fully_qualified_name(name, &path.child("distinctAttribute"), errs);
    } else {
        errs.required(
            path,
            "exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are set",
        );
    }
}

/// `validateDeviceConfiguration`.
pub(super) fn configuration(v: &Value, stored: bool, path: &Path<'_>, errs: &mut ErrorList) {
    let path = path.child("opaque");
    let Some(opaque) = v.at("opaque") else {
        errs.required(&path, "");
        return;
    };
    csi_driver_name(opaque.str("driver"), &path.child("driver"), errs);
    raw_extension(opaque.sub("parameters"), stored, &path.child("parameters"), errs);
}
