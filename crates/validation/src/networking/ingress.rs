//! Ingresses and ingress classes.

use api::Value;
use api::field::{ErrorList, ErrorType, Path};

use crate::Context;
use crate::batch::job::domain_prefixed_path;
use crate::core::service::host_name;
use crate::errs::Errs;
use crate::golang;
use crate::meta;
use crate::names;
use crate::net;
use crate::value::Get;

const SPEC: Path<'static> = Path::new("spec");

/// What an update tolerates because it is there.
#[derive(Clone, Copy, Default)]
struct Tolerate {
    secret_name: bool,
    wildcard_rule: bool,
}

/// The names that services may have: DNS-1035 labels until 1.33, which then took 1123 labels.
type ServiceName = fn(&str) -> Vec<String>;

fn service_names(ctx: &Context<'_>) -> ServiceName {
    if ctx.is_old() { names::is_dns1035_label } else { names::is_dns1123_label }
}

impl Tolerate {
    /// What v1beta1 never looked at.
    fn of_version(ctx: &Context<'_>) -> Tolerate {
        Tolerate { secret_name: ctx.is_old(), wildcard_rule: ctx.is_old() }
    }
}

/// `ValidateIngressCreate`.
pub(crate) fn create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    ingress(object, Tolerate::of_version(ctx), service_names(ctx), errs);
    as_version(ctx, errs);
    const ANNOTATION: &str = "kubernetes.io/ingress.class";
    let annotation = object.sub("metadata").sub("annotations").opt_str(ANNOTATION);
    if let (Some(class), Some(name)) = (annotation, object.sub("spec").opt_str("ingressClassName"))
        && (class != name || ctx.is_old())
    {
        let why = if ctx.is_old() {
            "can not be set when the class field is also set"
        } else {
            "must match `ingressClassName` when both are specified"
        };
        errs.invalid(&Path::new("annotations").child(ANNOTATION), class, why);
    }
}

/// `ValidateIngressUpdate`.
pub(crate) fn update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    let before = old.sub("spec");
    let secret = |tls: &Value| {
        let name = tls.str("secretName");
        !name.is_empty() && !names::is_dns1123_subdomain(name).is_empty()
    };
    let wildcard = |rule: &Value| {
        let mut found = ErrorList::new();
        rule_value(rule, service_names(ctx), &Path::ROOT, &mut found);
        rule.str("host").contains('*') && !found.is_empty()
    };
    let any = Tolerate::of_version(ctx);
    let tolerate = Tolerate {
        secret_name: any.secret_name || before.list("tls").iter().any(secret),
        wildcard_rule: any.wildcard_rule || before.list("rules").iter().any(wildcard),
    };
    ingress(new, tolerate, service_names(ctx), errs);
    as_version(ctx, errs);
}

/// Backends have other names in v1beta1, which upstream's paths used while it served that version.
fn as_version(ctx: &Context<'_>, errs: &mut ErrorList) {
    if !ctx.is_old() {
        return;
    }
    for error in errs {
        for (name, old_name) in [
            ("spec.defaultBackend", "spec.backend"),
            (".service.name", ".serviceName"),
            (".service.port.name", ".servicePort"),
            (".service.port.number", ".servicePort"),
        ] {
            if error.field.contains(name) {
                error.field = error.field.replace(name, old_name);
            }
        }
        let field = error.field.rsplit('.').next().unwrap_or_default();
        let of_reference = [".resource.", ".parameters."].iter().any(|part| error.field.contains(part));
        if of_reference && error.kind == ErrorType::Required && matches!(field, "kind" | "name") {
            error.detail = format!("{field} is required");
        }
        if error.detail.contains("`defaultBackend`") {
            error.detail = error.detail.replace("`defaultBackend`", "`backend`");
        }
    }
}

/// `ValidateIngressStatusUpdate`.
pub(crate) fn status_update(new: &Value, old: &Value, _: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    let of = |o: &'_ Value| golang::dig(o, &["status", "loadBalancer"]).clone();
    let (status, old_status) = (of(new), of(old));
    let before = old_status.list("ingress").iter().map(|i| i.str("ip")).collect();
    let list = Path::new("status.loadBalancer");
    let list = list.child("ingress");
    for (i, entry) in status.list("ingress").iter().enumerate() {
        let path = list.index(i);
        if !entry.str("ip").is_empty() {
            net::valid_ip(&path.child("ip"), entry.str("ip"), &before, errs);
        }
        host_name(entry.str("hostname"), &path.child("hostname"), errs);
    }
}

fn ingress(object: &Value, tolerate: Tolerate, service: ServiceName, errs: &mut ErrorList) {
    meta::kube_object_meta(object, true, names::subdomain, errs);
    let spec = object.sub("spec");
    let backend_path = SPEC.child("defaultBackend");
    if spec.list("rules").is_empty() && spec.at("defaultBackend").is_none() {
        let shown = golang::shown("[networking.IngressRule", spec.sub("rules"));
        errs.invalid(&SPEC, shown, "either `defaultBackend` or `rules` must be specified");
    }
    if let Some(b) = spec.at("defaultBackend") {
        backend(b, service, &backend_path, errs);
    }
    rules(spec.list("rules"), tolerate, service, &SPEC.child("rules"), errs);
    tls(spec.list("tls"), tolerate, &SPEC.child("tls"), errs);
    if let Some(class) = spec.opt_str("ingressClassName") {
        errs.invalid_each(&SPEC.child("ingressClassName"), class, names::is_dns1123_subdomain(class));
    }
}

fn is_host(host: &str) -> Vec<String> {
    if host.contains('*') { names::is_wildcard_subdomain(host) } else { names::is_dns1123_subdomain(host) }
}

fn tls(list: &[Value], tolerate: Tolerate, path: &Path<'_>, errs: &mut ErrorList) {
    for (i, entry) in list.iter().enumerate() {
        let path = path.index(i);
        let hosts = path.child("hosts");
        for (j, host) in entry.strs("hosts").into_iter().enumerate() {
            errs.invalid_each(&hosts.index(j), host, is_host(host));
        }
        let secret = entry.str("secretName");
        if !tolerate.secret_name && !secret.is_empty() {
            errs.invalid_each(&path.child("secretName"), secret, names::is_dns1123_subdomain(secret));
        }
    }
}

fn rules(list: &[Value], tolerate: Tolerate, service: ServiceName, path: &Path<'_>, errs: &mut ErrorList) {
    for (i, rule) in list.iter().enumerate() {
        let path = path.index(i);
        let host = rule.str("host");
        if !host.is_empty() {
            let path = path.child("host");
            if net::parse_ip_sloppy(host).is_some() {
                errs.invalid(&path, host, "must be a DNS name, not an IP address");
            }
            errs.invalid_each(&path, host, is_host(host));
        }
        if !host.contains('*') || !tolerate.wildcard_rule {
            rule_value(rule, service, &path, errs);
        }
    }
}

fn rule_value(rule: &Value, service: ServiceName, path: &Path<'_>, errs: &mut ErrorList) {
    let Some(http) = rule.at("http") else { return };
    let http_path = path.child("http");
    let list = http_path.child("paths");
    if http.list("paths").is_empty() {
        errs.required(&list, "");
    }
    for (i, p) in http.list("paths").iter().enumerate() {
        http_ingress_path(p, service, &list.index(i), errs);
    }
}

fn http_ingress_path(v: &Value, service: ServiceName, path: &Path<'_>, errs: &mut ErrorList) {
    let (text, text_path) = (v.str("path"), path.child("path"));
    const ABSOLUTE: &str = "must be an absolute path";
    match v.opt_str("pathType") {
        None => {
            errs.required(&path.child("pathType"), "pathType must be specified");
            return;
        }
        Some("Exact" | "Prefix") => {
            if !text.starts_with('/') {
                errs.invalid(&text_path, text, ABSOLUTE);
            }
            for bad in ["//", "/./", "/../", "%2f", "%2F"] {
                if text.contains(bad) {
                    errs.invalid(&text_path, text, format!("must not contain '{bad}'"));
                }
            }
            for bad in ["/..", "/."] {
                if text.ends_with(bad) {
                    errs.invalid(&text_path, text, format!("cannot end with '{bad}'"));
                }
            }
        }
        Some("ImplementationSpecific") => {
            if !text.is_empty() && !text.starts_with('/') {
                errs.invalid(&text_path, text, ABSOLUTE);
            }
        }
        Some(other) => {
            const TYPES: &[&str] = &["Exact", "ImplementationSpecific", "Prefix"];
            errs.not_supported(&path.child("pathType"), other, TYPES);
        }
    }
    backend(v.sub("backend"), service, &path.child("backend"), errs);
}

/// `validateIngressBackend`.
fn backend(v: &Value, valid_service: ServiceName, path: &Path<'_>, errs: &mut ErrorList) {
    match (v.at("resource"), v.at("service")) {
        (Some(_), Some(_)) => errs.invalid(path, "", "cannot set both resource and service backends"),
        (Some(resource), None) => {
            let path = path.child("resource");
            group(resource, &path, errs);
            path_segments(resource, &["kind", "name"], &path, errs);
        }
        (None, Some(service)) => {
            let service_path = path.child("service");
            let name = service.str("name");
            if name.is_empty() {
                errs.required(&service_path.child("name"), "");
            } else {
                errs.invalid_each(&service_path.child("name"), name, valid_service(name));
            }
            let port = service.sub("port");
            let port_path = service_path.child("port");
            match (port.str("name"), port.int("number")) {
                ("", 0) => errs.required(path, "port name or number is required"),
                ("", number) => {
                    for message in names::is_port_number(number) {
                        errs.invalid(&port_path.child("number"), number, message);
                    }
                }
                (name, 0) => errs.invalid_each(&port_path.child("name"), name, names::is_port_name(name)),
                _ => errs.invalid(path, "", "cannot set both port name & port number"),
            }
        }
        (None, None) => errs.invalid(path, "", "resource or service backend is required"),
    }
}

fn group(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    if let Some(group) = v.opt_str("apiGroup") {
        errs.invalid_each(&path.child("apiGroup"), group, names::is_dns1123_subdomain(group));
    }
}

/// Fields that must be given and that may stand in a URL.
pub(crate) fn path_segments(v: &Value, fields: &[&str], path: &Path<'_>, errs: &mut ErrorList) {
    for field in fields {
        let text = v.str(field);
        if text.is_empty() {
            errs.required(&path.child(field), "");
        } else {
            errs.invalid_each(&path.child(field), text, names::is_path_segment(text));
        }
    }
}

/// `ValidateIngressClass`.
pub(crate) fn class_create(object: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta(object, false, names::subdomain, errs);
    let spec = object.sub("spec");
    let controller = spec.str("controller");
    let path = SPEC.child("controller");
    if controller.len() > 250 {
        errs.too_long(&path, 250);
    }
    domain_prefixed_path(controller, &path, errs);
    if let Some(parameters) = spec.at("parameters") {
        class_parameters(parameters, &SPEC.child("parameters"), errs);
    }
    as_version(ctx, errs);
}

/// `ValidateIngressClassUpdate`.
pub(crate) fn class_update(new: &Value, old: &Value, ctx: &Context<'_>, errs: &mut ErrorList) {
    meta::kube_object_meta_update(new, old, errs);
    let path = SPEC.child("controller");
    meta::immutable(new.sub("spec"), old.sub("spec"), "controller", "s", &path, errs);
    class_create(new, ctx, errs);
}

fn class_parameters(v: &Value, path: &Path<'_>, errs: &mut ErrorList) {
    group(v, path, errs);
    path_segments(v, &["kind", "name"], path, errs);
    let namespace = v.opt_str("namespace");
    let namespace_path = path.child("namespace");
    match (v.opt_str("scope"), namespace) {
        (None, _) => errs.required(&path.child("scope"), ""),
        (Some("Namespace"), None) => {
            errs.required(&namespace_path, "`parameters.scope` is set to 'Namespace'");
        }
        (Some("Namespace"), Some(n)) => {
            errs.invalid_each(&namespace_path, n, names::is_dns1123_label(n));
        }
        (Some("Cluster"), Some(_)) => {
            errs.forbidden(&namespace_path, "`parameters.scope` is set to 'Cluster'");
        }
        (Some("Cluster"), None) => {}
        (Some(other), _) => {
            errs.not_supported(&path.child("scope"), other, &["Cluster", "Namespace"]);
        }
    }
}
