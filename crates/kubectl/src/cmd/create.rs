//! `kubectl create` and its generators.

use base64::Engine as _;
use http::Method;
use serde_json::{Map, Value, json};

use super::generate::{self, metadata};
use crate::cli::Flags;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::print::output::{Format, format, hide_managed_fields};
use crate::resource::{Info, Wanted, from_document, wanted};
use crate::value::Json;

/// `create -f`.
pub(crate) fn run(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    if !words.is_empty() {
        return Err(flags.usage(format!("Unexpected args: [{}]", words.join(" "))));
    }
    let format = format(flags)?;
    let dry = flags.bool("dry-run");
    let mut errors = Vec::new();
    let mut created = 0;
    for w in wanted(ctx, flags, &[], false)? {
        let mut info = match prepare(ctx, flags, w) {
            None => continue,
            Some(Ok(info)) => info,
            Some(Err(e)) => {
                errors.push(e);
                continue;
            }
        };
        let file = info.source.clone();
        if flags.bool("save-config") {
            generate::save_config(&mut info.object);
        }
        if flags.bool("edit") {
            match super::edit::in_editor(&info.object)? {
                Some(edited) => info.object = edited,
                None => {
                    eprintln!("Edit cancelled, no changes made.");
                    return Ok(());
                }
            }
        }
        if !dry {
            match ctx.http()?.write(Method::POST, &info.resource.collection(&info.namespace), &info.object) {
                Ok(answer) => {
                    info.object = answer;
                    info.name = info.object.s("metadata.name").to_string();
                    record(ctx, flags, words, &mut info)?;
                }
                Err(e) => {
                    errors.push(e.during(&format!("error when creating \"{file}\"")));
                    continue;
                }
            }
        }
        created += 1;
        emit(&format, &mut info, "created", dry, false)?;
    }
    if created == 0 && errors.is_empty() {
        return Err("no objects passed to create".into());
    }
    Error::collect(errors)
}

/// One object of a file, checked; None when the selector leaves it out. A bad one does not stop the others.
pub(crate) fn prepare(ctx: &mut Context, flags: &Flags, w: Wanted) -> Option<Result<Info>> {
    let (resource, document) = match w {
        Wanted::Doc(r, d) => (r, d),
        Wanted::Failed(e) => return Some(Err(e)),
        _ => return None,
    };
    if !selected(&document.object, flags.str("selector")) {
        return None;
    }
    if flags.bool("validate")
        && let Err(e) = crate::openapi::validate(ctx, &document.object)
    {
        return Some(Err(invalid(&document.source, &e)));
    }
    Some(from_document(ctx, resource, document))
}

/// The error of an object that its schema does not allow.
fn invalid(file: &str, errors: &[String]) -> Error {
    let text = match errors {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    format!("error validating \"{file}\": error validating data: {text}; if you choose to ignore these errors, turn validation off with --validate=false").into()
}

/// Does an object in a file have the labels of `-l`? Equality only, as files are few.
fn selected(object: &Value, selector: &str) -> bool {
    let labels = object.strings("metadata.labels");
    selector.split(',').filter(|p| !p.is_empty()).all(|p| {
        let (k, v, equal) = match p.split_once("!=") {
            Some((k, v)) => (k, v, false),
            None => match p.split_once('=') {
                Some((k, v)) => (k, v.trim_start_matches('='), true),
                None => return labels.iter().any(|(l, _)| *l == p),
            },
        };
        labels.iter().any(|(l, value)| *l == k && *value == v) == equal
    })
}

/// `--record`: notes the command line at the object.
pub(crate) fn record(ctx: &mut Context, flags: &Flags, words: &[String], info: &mut Info) -> Result {
    let key = "kubernetes.io/change-cause";
    let had = info.object.at("metadata.annotations").and_then(|a| a.get(key)).is_some();
    // v1.10 keeps the cause up to date once it is there, unless told not to.
    if !flags.bool("record") && (!had || flags.changed("record") || flags.str("record") == "never") {
        return Ok(());
    }
    let patch = json!({"metadata": {"annotations": {key: flags.recorded(words)}}});
    let kind =
        if crate::patch::is_strategic(&info.object) { crate::patch::STRATEGIC } else { crate::patch::MERGE };
    info.object = ctx.http()?.patch(&info.path(), kind, &patch)?;
    Ok(())
}

/// Says what was done, or prints the object with `-o`.
pub(crate) fn emit(format: &Format, info: &mut Info, done: &str, dry: bool, internal: bool) -> Result {
    match format {
        Format::Human | Format::Wide | Format::Name => {
            let name_only = matches!(format, Format::Name);
            if internal { info.say_internal(done, name_only, dry) } else { info.say(done, name_only, dry) }
        }
        _ => {
            hide_managed_fields(&mut info.object);
            format.print(&info.resource, &info.object, String::new)
        }
    }
}

/// Sends a generated object and says so.
fn generated(ctx: &mut Context, flags: &Flags, words: &[String], mut object: Value) -> Result {
    let format = format(flags)?;
    let dry = flags.bool("dry-run");
    if flags.bool("save-config") {
        generate::save_config(&mut object);
    }
    let name = object.s("metadata.name").to_string();
    let resource = match known(&object) {
        // A dry run of a generator needs no server.
        Some(r) if dry => std::rc::Rc::new(r),
        _ => resource_for(ctx, &mut object)?,
    };
    let namespace = if resource.namespaced { ctx.namespace()? } else { String::new() };
    let mut info = Info { resource, namespace, name, object, source: String::new() };
    if info.resource.namespaced && dry && ctx.target()?.namespace_given {
        crate::value::set(&mut info.object, "metadata.namespace", info.namespace.clone().into());
    }
    if !dry {
        info.object =
            ctx.http()?.write(Method::POST, &info.resource.collection(&info.namespace), &info.object)?;
        record(ctx, flags, words, &mut info)?;
    }
    emit(&format, &mut info, "created", dry, false)
}

/// The resource of a generated object; servers without v1.10's versions get today's.
pub(crate) fn resource_for(
    ctx: &mut Context,
    object: &mut Value,
) -> Result<std::rc::Rc<crate::discovery::Resource>> {
    let mapper = ctx.mapper()?;
    let kind = object.s("kind").to_string();
    if let Ok(r) = mapper.of_kind(object.s("apiVersion"), &kind) {
        return Ok(r);
    }
    let group = crate::discovery::split_api_version(object.s("apiVersion")).0.to_string();
    let other =
        mapper.resources.iter().find(|r| r.kind == kind && (r.group == group || group == "extensions"));
    match other {
        Some(r) => {
            object["apiVersion"] = r.api_version().into();
            Ok(r.clone())
        }
        None => mapper.of_kind(object.s("apiVersion"), &kind),
    }
}

/// A resource made up from a generated object, for dry runs.
pub(crate) fn known(object: &Value) -> Option<crate::discovery::Resource> {
    let (group, version) = crate::discovery::split_api_version(object.s("apiVersion"));
    let kind = object.s("kind");
    let singular = kind.to_lowercase();
    let cluster_wide = ["Namespace", "ClusterRole", "ClusterRoleBinding", "PriorityClass"].contains(&kind);
    Some(crate::discovery::Resource {
        group: group.into(),
        version: version.into(),
        kind: kind.into(),
        plural: format!("{singular}s"),
        singular,
        short: Vec::new(),
        namespaced: !cluster_wide,
        verbs: Vec::new(),
        categories: Vec::new(),
    })
}

/// The one NAME that a generator takes.
fn one_name<'a>(flags: &Flags, words: &'a [String]) -> Result<&'a str> {
    match words {
        [name] => Ok(name),
        _ => Err(flags.usage(format!("exactly one NAME is required, got {}", words.len()))),
    }
}

pub(crate) fn namespace(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let name = one_name(flags, words)?;
    let o = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata(name, None), "spec": {}, "status": {}});
    generated(ctx, flags, words, o)
}

pub(crate) fn deployment(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let name = one_name(flags, words)?;
    let mut o = generate::deployment(name, flags.list("image"));
    if flags.str("generator").ends_with("apps.v1beta1") {
        o["apiVersion"] = "apps/v1beta1".into();
    }
    if flags.changed("replicas") {
        o["spec"]["replicas"] = flags.int("replicas").into();
    }
    generated(ctx, flags, words, o)
}

pub(crate) fn config_map(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let name = one_name(flags, words)?;
    let mut o = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(name, None)});
    let (mut text, mut binary) = (Map::new(), Map::new());
    for (k, bytes) in generate::data(flags)? {
        match String::from_utf8(bytes) {
            Ok(s) => text.insert(k, s.into()),
            Err(e) => binary.insert(k, base64(e.as_bytes()).into()),
        };
    }
    for (key, map) in [("data", text), ("binaryData", binary)] {
        if !map.is_empty() {
            o[key] = Value::Object(map);
        }
    }
    generated(ctx, flags, words, o)
}

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn secret(name: &str, kind: &str, data: Vec<(String, Vec<u8>)>) -> Value {
    let mut o = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata(name, None)});
    if !kind.is_empty() {
        o["type"] = kind.into();
    }
    let data: Map<String, Value> = data.into_iter().map(|(k, v)| (k, base64(&v).into())).collect();
    if !data.is_empty() {
        o["data"] = Value::Object(data);
    }
    o
}

pub(crate) fn secret_generic(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let name = one_name(flags, words)?;
    let o = secret(name, flags.str("type"), generate::data(flags)?);
    generated(ctx, flags, words, o)
}

pub(crate) fn secret_tls(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let name = one_name(flags, words)?;
    let read =
        |flag: &str| std::fs::read(flags.str(flag)).map_err(|e| format!("open {}: {e}", flags.str(flag)));
    let data = vec![("tls.crt".into(), read("cert")?), ("tls.key".into(), read("key")?)];
    generated(ctx, flags, words, secret(name, "kubernetes.io/tls", data))
}

pub(crate) fn secret_docker(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let name = one_name(flags, words)?;
    let files = generate::data(flags)?;
    if !files.is_empty() {
        return generated(ctx, flags, words, secret(name, "kubernetes.io/dockerconfigjson", files));
    }
    let (user, password) = (flags.str("docker-username"), flags.str("docker-password"));
    let mut entry = json!({"username": user, "password": password});
    if !flags.str("docker-email").is_empty() {
        entry["email"] = flags.str("docker-email").into();
    }
    entry["auth"] = base64(format!("{user}:{password}").as_bytes()).into();
    let config = json!({"auths": {flags.str("docker-server"): entry}});
    let data = vec![(".dockerconfigjson".to_string(), config.to_string().into_bytes())];
    generated(ctx, flags, words, secret(name, "kubernetes.io/dockerconfigjson", data))
}

pub(crate) fn service_account(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let name = one_name(flags, words)?;
    generated(
        ctx,
        flags,
        words,
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(name, None)}),
    )
}

pub(crate) fn service_cluster_ip(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let o = generate::create_service(one_name(flags, words)?, "ClusterIP", flags)?;
    generated(ctx, flags, words, o)
}

pub(crate) fn service_node_port(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let o = generate::create_service(one_name(flags, words)?, "NodePort", flags)?;
    generated(ctx, flags, words, o)
}

pub(crate) fn service_load_balancer(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let o = generate::create_service(one_name(flags, words)?, "LoadBalancer", flags)?;
    generated(ctx, flags, words, o)
}

pub(crate) fn service_external_name(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let o = generate::create_service(one_name(flags, words)?, "ExternalName", flags)?;
    generated(ctx, flags, words, o)
}

pub(crate) fn quota(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let name = one_name(flags, words)?;
    let mut spec = json!({});
    let hard = generate::resource_list(flags.str("hard"))?;
    if !hard.is_empty() {
        spec["hard"] = Value::Object(hard);
    }
    let scopes: Vec<&str> = flags.str("scopes").split(',').filter(|s| !s.is_empty()).collect();
    if !scopes.is_empty() {
        spec["scopes"] = json!(scopes);
    }
    let o = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata(name, None), "spec": spec, "status": {}});
    generated(ctx, flags, words, o)
}

pub(crate) fn budget(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let name = one_name(flags, words)?;
    if flags.str("selector").is_empty() {
        return Err("a selector must be specified".into());
    }
    let (min, max) = (flags.str("min-available"), flags.str("max-unavailable"));
    let mut spec = json!({"selector": {"matchLabels": generate::labels(flags.str("selector"))?}});
    match (min, max) {
        ("", "") => return Err("one of min-available or max-unavailable must be specified".into()),
        (m, "") => spec["minAvailable"] = m.parse::<i64>().map_or(json!(m), |n| json!(n)),
        ("", m) => spec["maxUnavailable"] = m.parse::<i64>().map_or(json!(m), |n| json!(n)),
        _ => return Err("min-available and max-unavailable cannot be both specified".into()),
    }
    let o = json!({
        "apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "metadata": metadata(name, None), "spec": spec,
        "status": {"currentHealthy": 0, "desiredHealthy": 0, "disruptedPods": null, "disruptionsAllowed": 0, "expectedPods": 0},
    });
    generated(ctx, flags, words, o)
}

pub(crate) fn priority_class(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let name = one_name(flags, words)?;
    let mut o = json!({"apiVersion": "scheduling.k8s.io/v1alpha1", "kind": "PriorityClass", "metadata": metadata(name, None), "value": flags.int("value")});
    if flags.bool("global-default") {
        o["globalDefault"] = true.into();
    }
    if !flags.str("description").is_empty() {
        o["description"] = flags.str("description").into();
    }
    generated(ctx, flags, words, o)
}

/// The rules of `create role`: one per API group and set of verbs.
fn rules(ctx: &mut Context, flags: &Flags) -> Result<Vec<Value>> {
    let mut verbs: Vec<&String> = Vec::new();
    for v in flags.list("verb") {
        if v == "*" {
            verbs = vec![v];
            break;
        }
        if !verbs.contains(&v) {
            verbs.push(v);
        }
    }
    if verbs.is_empty() {
        return Err("at least one verb must be specified".into());
    }
    let mut rules: Vec<Value> = Vec::new();
    for text in flags.list("resource") {
        let (main, sub) = text.split_once('/').unwrap_or((text, ""));
        let (group, mut plural) = if main == "*" {
            ("*".to_string(), "*".to_string())
        } else {
            let r = ctx.mapper()?.resolve(main)?;
            // A bare word means the kind's home group, not v1.10's `extensions`.
            let home = r.typed_internal();
            let group = home.split_once('.').map_or(String::new(), |(_, g)| g.to_string());
            (if main.contains('.') { r.group.clone() } else { group }, r.plural.clone())
        };
        if !sub.is_empty() {
            plural.push_str(&format!("/{sub}"));
        }
        match rules.iter_mut().find(|r| r.list("apiGroups") == [json!(group)]) {
            Some(r) => {
                if let Some(Value::Array(a)) = r.get_mut("resources") {
                    a.push(plural.into());
                }
            }
            None => {
                let mut r = json!({"apiGroups": [group], "resources": [plural], "verbs": verbs});
                if !flags.list("resource-name").is_empty() {
                    r["resourceNames"] = json!(flags.list("resource-name"));
                }
                rules.push(r);
            }
        }
    }
    if !flags.list("non-resource-url").is_empty() {
        rules.push(json!({"nonResourceURLs": flags.list("non-resource-url"), "verbs": verbs}));
    }
    if rules.is_empty() {
        return Err("at least one resource must be specified".into());
    }
    Ok(rules)
}

pub(crate) fn role(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let name = one_name(flags, words)?;
    let rules = rules(ctx, flags)?;
    generated(
        ctx,
        flags,
        words,
        json!({"apiVersion": RBAC, "kind": "Role", "metadata": metadata(name, None), "rules": rules}),
    )
}

pub(crate) fn cluster_role(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let name = one_name(flags, words)?;
    let rules = rules(ctx, flags)?;
    generated(
        ctx,
        flags,
        words,
        json!({"apiVersion": RBAC, "kind": "ClusterRole", "metadata": metadata(name, None), "rules": rules}),
    )
}

const RBAC: &str = "rbac.authorization.k8s.io/v1";

fn subjects(flags: &Flags) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for (flag, kind) in [("user", "User"), ("group", "Group")] {
        all.extend(
            flags
                .list(flag)
                .iter()
                .map(|n| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": n})),
        );
    }
    for sa in flags.list("serviceaccount") {
        let (namespace, name) = sa
            .split_once(':')
            .filter(|(ns, n)| !ns.is_empty() && !n.is_empty())
            .ok_or("serviceaccount must be <namespace>:<name>")?;
        all.push(json!({"kind": "ServiceAccount", "name": name, "namespace": namespace}));
    }
    Ok(all)
}

fn binding(kind: &str, version: &str, name: &str, role: (&str, &str), subjects: Vec<Value>) -> Value {
    let mut o = json!({"apiVersion": version, "kind": kind, "metadata": metadata(name, None),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role.0, "name": role.1}});
    if !subjects.is_empty() {
        o["subjects"] = subjects.into();
    }
    o
}

pub(crate) fn role_binding(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let name = one_name(flags, words)?;
    let role = match (flags.str("role"), flags.str("clusterrole")) {
        (r, "") if !r.is_empty() => ("Role", r),
        ("", r) if !r.is_empty() => ("ClusterRole", r),
        _ => return Err("exactly one of clusterrole or role must be specified".into()),
    };
    let o = binding("RoleBinding", RBAC, name, role, subjects(flags)?);
    generated(ctx, flags, words, o)
}

pub(crate) fn cluster_role_binding(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let name = one_name(flags, words)?;
    let role = ("ClusterRole", flags.str("clusterrole"));
    let o = binding("ClusterRoleBinding", "rbac.authorization.k8s.io/v1beta1", name, role, subjects(flags)?);
    generated(ctx, flags, words, o)
}

/// `create job NAME --from=cronjob/x`, or with an image.
pub(crate) fn job(ctx: &mut Context, flags: &Flags, words: &[String]) -> Result {
    let from = flags.str("from");
    if from.is_empty() && flags.str("image").is_empty() {
        return Err("resource(s) were provided, but no name, label selector, or --all flag specified".into());
    }
    let (name, rest) =
        words.split_first().ok_or_else(|| flags.usage("exactly one NAME is required, got 0"))?;
    let o = if from.is_empty() {
        let image = flags.str("image");
        let mut container = json!({"name": name, "image": image, "resources": {}});
        if !rest.is_empty() {
            container["command"] = json!(rest);
        }
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata(name, None), "spec": {
            "template": {"metadata": {"creationTimestamp": null}, "spec": {"containers": [container], "restartPolicy": "Never"}}}, "status": {}})
    } else {
        let (kind, of) = from
            .split_once('/')
            .ok_or("arguments in resource/name form must have a single resource and name")?;
        let r = ctx.mapper()?.resolve(kind)?;
        let ns = ctx.namespace()?;
        let cron = ctx.http()?.get(&r.path(&ns, of))?;
        let mut annotations =
            cron.at("spec.jobTemplate.metadata.annotations").cloned().unwrap_or_else(|| json!({}));
        annotations["cronjob.kubernetes.io/instantiate"] = "manual".into();
        let mut meta = metadata(name, None);
        meta["annotations"] = annotations;
        if let Some(l) = cron.at("spec.jobTemplate.metadata.labels") {
            meta["labels"] = l.clone();
        }
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": cron.at("spec.jobTemplate.spec"), "status": {}})
    };
    generated(ctx, flags, words, o)
}
