//! The operations of a resource: paths, ids, parameters, answers (`apiserver/pkg/endpoints/installer.go`; for custom
//! resources `apiextensions-apiserver/pkg/controller/openapi/builder`).

use api::Value;
use api::kinds::{Resource, Served, Subresource};
use api::schema::Schemas;

use crate::definitions::Dialect;
use crate::names::{capital, group_tag, group_title};
use crate::operation::{Operation, Parameter, number, path, path_item, text, truth};
use crate::sources::Source;

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// What built-in resources are spoken in; protobuf among them, as clients of upstream know it.
pub(crate) const MEDIA_TYPES: [&str; 3] =
    ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
const STREAMS: [&str; 5] = [
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
];
const LOGS: [&str; 4] =
    ["text/plain", "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
/// What custom resources are spoken in.
const CUSTOM: [&str; 2] = ["application/json", "application/yaml"];
const ANY: [&str; 1] = ["*/*"];
const PATCHES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];
const CUSTOM_PATCHES: [&str; 3] =
    ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];

const PRETTY: Parameter = text("pretty");
/// `ListOptions`; the first and the last are for watches only.
const LIST: [Parameter; 11] = [
    truth("allowWatchBookmarks"),
    text("continue"),
    text("fieldSelector"),
    text("labelSelector"),
    number("limit"),
    text("resourceVersion"),
    text("resourceVersionMatch"),
    truth("sendInitialEvents"),
    text("shardSelector"),
    number("timeoutSeconds"),
    truth("watch"),
];
/// `CreateOptions` and `UpdateOptions`.
const WRITE: [Parameter; 3] = [text("dryRun"), text("fieldManager"), text("fieldValidation")];
/// `DeleteOptions`.
const DELETE: [Parameter; 5] = [
    text("dryRun"),
    number("gracePeriodSeconds"),
    truth("ignoreStoreReadErrorWithClusterBreakingPotential"),
    truth("orphanDependents"),
    text("propagationPolicy"),
];
/// `PodExecOptions`, of which attaching takes all but the command.
const EXEC: [Parameter; 6] =
    [text("command"), text("container"), truth("stderr"), truth("stdin"), truth("stdout"), truth("tty")];
/// `PodLogOptions`.
const LOG: [Parameter; 10] = [
    text("container"),
    truth("follow"),
    truth("insecureSkipTLSVerifyBackend"),
    number("limitBytes"),
    truth("previous"),
    number("sinceSeconds"),
    text("stream"),
    number("tailLines"),
    truth("timestamps"),
    PRETTY,
];

/// The paths of a resource in one version, with their operations.
pub(crate) fn of_resource(
    resource: &Resource,
    source: &Source<'_>,
    dialect: Dialect,
) -> Vec<(String, Value)> {
    let served: &Served = resource;
    let plural = &resource.kind.plural;
    let namespaced = resource.kind.namespaced;
    let custom = source.is_custom();
    let scope = if namespaced { "Namespaced" } else { "" };
    let writer = Writer { resource, schemas: source.schemas, custom, scope };
    let root = root(&served.group, &served.version);
    let within = if namespaced { "namespaces/{namespace}/" } else { "" };
    let base = format!("{root}/{within}{plural}");
    let mut collection = Vec::new();
    let mut item = Vec::new();
    for verb in &served.verbs {
        match &**verb {
            "create" => collection.push(writer.write("post", "create", "")),
            "list" => collection.push(writer.list(writer.scope, "")),
            "deletecollection" => collection.push(writer.delete_collection()),
            "get" => item.push(writer.read("")),
            "update" => item.push(writer.write("put", "replace", "")),
            "patch" => item.push(writer.patch("")),
            "delete" => item.push(writer.delete()),
            _ => {}
        }
    }
    let mut paths = vec![(base.clone(), collection)];
    if namespaced && served.has_verb("list") {
        paths.push((format!("{root}/{plural}"), vec![writer.list("", "ForAllNamespaces")]));
    }
    paths.push((format!("{base}/{{name}}"), item));
    for sub in &served.subresources {
        let below = format!("{base}/{{name}}/{}", sub.name);
        paths.push((below.clone(), writer.subresource(sub)));
        if sub.name == "proxy" {
            paths.push((format!("{below}/{{path}}"), writer.proxy_with_path(sub)));
        }
    }
    // The old way to watch; custom resources never had it.
    if served.has_verb("watch") && !custom {
        let watched = format!("{root}/watch/{within}{plural}");
        let watch = |action, scope, suffix| vec![writer.watch(action, scope, suffix)];
        paths.push((watched.clone(), watch("watchlist", writer.scope, "List")));
        if served.has_verb("get") {
            paths.push((format!("{watched}/{{name}}"), watch("watch", writer.scope, "")));
        }
        if namespaced {
            let all = watch("watchlist", "", "ListForAllNamespaces");
            paths.push((format!("{root}/watch/{plural}"), all));
        }
    }
    let mut written = Vec::new();
    for (path, mut operations) in paths.into_iter().filter(|(_, operations)| !operations.is_empty()) {
        operations.iter_mut().for_each(|op| op.parameters.extend(in_path(&path)));
        written.push((path, path_item(&operations, dialect)));
    }
    written
}

/// `/apis/apps/v1`.
fn root(group: &str, version: &str) -> String {
    if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") }
}

/// The parameters that a path names.
fn in_path(of: &str) -> impl Iterator<Item = Parameter> {
    let all = [("{name}", path("name")), ("{namespace}", path("namespace")), ("{path}", path("path"))];
    all.into_iter().filter(|(part, _)| of.contains(part)).map(|(_, parameter)| parameter)
}

struct Writer<'a> {
    resource: &'a Resource,
    schemas: &'a Schemas,
    custom: bool,
    scope: &'static str,
}

impl Writer<'_> {
    fn served(&self) -> &Served {
        self.resource
    }

    fn definition(&self) -> Option<String> {
        self.resource.ty.map(|id| self.schemas.get(id).name.to_string())
    }

    /// `readAppsV1NamespacedDeploymentScale`.
    fn id(&self, verb: &str, scope: &str, suffix: &str) -> String {
        let served = self.served();
        let group = group_title(&served.group);
        format!("{verb}{group}{}{scope}{}{suffix}", capital(&served.version), served.kind)
    }

    fn operation(&self, method: &'static str, action: &'static str, id: String) -> Operation {
        let served = self.served();
        Operation {
            method,
            action: Some(action),
            id,
            tag: format!("{}_{}", group_tag(&served.group), served.version),
            body: None,
            answer: self.definition(),
            codes: &[200],
            parameters: vec![PRETTY],
            kind: Some((served.group.to_string(), served.version.to_string(), served.kind.to_string())),
            consumes: if self.custom { &CUSTOM } else { &ANY },
            produces: if self.custom { &CUSTOM } else { &MEDIA_TYPES },
        }
    }

    fn list(&self, scope: &str, suffix: &str) -> Operation {
        let list = self.definition().map(|d| format!("{d}List"));
        let list_of = &self.resource.kind.list_kind;
        let custom = self.definition().map(|d| d.trim_end_matches(&*self.served().kind).to_owned() + list_of);
        let mut op = self.operation("get", "list", self.id("list", scope, suffix));
        let known = |name: &String| self.schemas.by_name(name).is_some();
        op.answer = list.filter(known).or(custom.filter(known)).or(op.answer);
        op.parameters.extend(LIST);
        if !self.custom {
            op.produces = &STREAMS;
        }
        op
    }

    fn watch(&self, action: &'static str, scope: &str, suffix: &str) -> Operation {
        let mut op = self.operation("get", action, self.id("watch", scope, suffix));
        op.answer = Some(format!("{META}.WatchEvent"));
        op.parameters.extend(LIST);
        op.produces = &STREAMS;
        op
    }

    fn read(&self, suffix: &str) -> Operation {
        let mut op = self.operation("get", "get", self.id("read", self.scope, suffix));
        if self.custom {
            op.parameters.push(text("resourceVersion"));
        }
        op
    }

    /// `post` to create, `put` to replace.
    fn write(&self, method: &'static str, verb: &str, suffix: &str) -> Operation {
        let mut op = self.operation(method, method, self.id(verb, self.scope, suffix));
        op.body = self.definition();
        op.codes = if method == "post" { &[200, 201, 202] } else { &[200, 201] };
        op.parameters.extend(WRITE);
        op
    }

    fn patch(&self, suffix: &str) -> Operation {
        let mut op = self.operation("patch", "patch", self.id("patch", self.scope, suffix));
        op.body = Some(format!("{META}.Patch"));
        op.codes = if self.custom { &[200] } else { &[200, 201] };
        op.consumes = if self.custom { &CUSTOM_PATCHES } else { &PATCHES };
        op.parameters.extend(WRITE);
        op.parameters.push(truth("force"));
        op
    }

    fn delete(&self) -> Operation {
        let mut op = self.operation("delete", "delete", self.id("delete", self.scope, ""));
        op.body = Some(format!("{META}.DeleteOptions"));
        // Namespaces end in two steps; upstream's document says nothing of what is left after the second.
        let kind = &self.resource.kind;
        if self.custom || !kind.returns_deleted() || kind.plural == "namespaces" {
            op.answer = Some(format!("{META}.Status"));
        }
        op.codes = &[200, 202];
        op.parameters.extend(DELETE);
        op
    }

    fn delete_collection(&self) -> Operation {
        let scope = format!("Collection{}", self.scope);
        let mut op = self.operation("delete", "deletecollection", self.id("delete", &scope, ""));
        op.answer = Some(format!("{META}.Status"));
        if self.custom {
            op.parameters.extend(LIST);
        } else {
            op.body = Some(format!("{META}.DeleteOptions"));
            op.parameters.extend(&LIST[1..LIST.len() - 1]);
            op.parameters.extend(DELETE.iter().filter(|p| !LIST.contains(p)));
        }
        op
    }

    fn subresource(&self, sub: &Subresource) -> Vec<Operation> {
        let suffix = capital(&sub.name);
        let definition = sub.ty.map(|id| self.schemas.get(id).name.to_string());
        let mut operations = match &*sub.name {
            "exec" => self.connect(&["get", "post"], &suffix, &EXEC),
            "attach" => self.connect(&["get", "post"], &suffix, &EXEC[1..]),
            "portforward" => self.connect(&["get", "post"], &suffix, &[number("ports")]),
            "proxy" => self.proxy(&suffix),
            _ => {
                let of_verb = |verb: &str| {
                    Some(match verb {
                        "get" => self.read(&suffix),
                        "update" => self.write("put", "replace", &suffix),
                        "patch" => self.patch(&suffix),
                        "create" => self.write("post", "create", &suffix),
                        _ => return None,
                    })
                };
                let mut operations: Vec<Operation> = sub.verbs.iter().filter_map(|v| of_verb(v)).collect();
                for op in &mut operations {
                    if op.body.is_some() && op.method != "patch" {
                        op.body.clone_from(&definition);
                    }
                    op.answer.clone_from(&definition);
                    if sub.name == "log" {
                        op.answer = None;
                        op.parameters = LOG.to_vec();
                        op.produces = &LOGS;
                    }
                }
                operations
            }
        };
        let served = self.served();
        let (group, version) =
            sub.group_version.clone().unwrap_or_else(|| (served.group.clone(), served.version.clone()));
        for op in &mut operations {
            op.kind = Some((group.to_string(), version.to_string(), sub.kind.to_string()));
        }
        operations
    }

    fn proxy(&self, suffix: &str) -> Vec<Operation> {
        let methods = ["delete", "get", "head", "options", "patch", "post", "put"];
        self.connect(&methods, suffix, &[text("path")])
    }

    fn proxy_with_path(&self, sub: &Subresource) -> Vec<Operation> {
        let mut operations = self.subresource(sub);
        operations.iter_mut().for_each(|op| op.id.push_str("WithPath"));
        operations
    }

    fn connect(&self, methods: &[&'static str], suffix: &str, parameters: &[Parameter]) -> Vec<Operation> {
        let served = self.served();
        let (group, version) = (group_title(&served.group), capital(&served.version));
        let of_method = |method: &&'static str| {
            let (method, scope, kind) = (*method, self.scope, &served.kind);
            let id = format!("connect{group}{version}{}{scope}{kind}{suffix}", capital(method));
            let mut op = self.operation(method, "connect", id);
            op.answer = None;
            op.parameters = parameters.to_vec();
            op.produces = &ANY;
            op
        };
        methods.iter().map(of_method).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn items(group: &str, version: &str, plural: &str) -> Vec<(String, Value)> {
        let kinds = api::kinds::builtin();
        let resource = kinds.lookup(group, version, plural).unwrap();
        of_resource(resource, &Source::builtin(), Dialect::V3)
    }

    fn item(items: &[(String, Value)], path: &str) -> Value {
        items.iter().find(|(p, _)| p == path).map(|(_, v)| v.clone()).unwrap()
    }

    fn names(parameters: &Value) -> Vec<&str> {
        parameters.as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect()
    }

    #[test]
    fn operations_are_named_as_upstream_names_them() {
        let all = items("apps", "v1", "deployments");
        let deployment = item(&all, "/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
        assert_eq!(deployment["patch"]["operationId"], "patchAppsV1NamespacedDeployment");
        let scale = item(&all, "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale");
        assert_eq!(scale["get"]["operationId"], "readAppsV1NamespacedDeploymentScale");
        assert_eq!(scale["get"]["tags"], json!(["apps_v1"]));
        assert_eq!(
            scale["get"]["x-kubernetes-group-version-kind"],
            json!({"group": "autoscaling", "version": "v1", "kind": "Scale"})
        );
        let id = |path: &str| item(&all, path)["get"]["operationId"].clone();
        assert_eq!(id("/apis/apps/v1/deployments"), "listAppsV1DeploymentForAllNamespaces");
        assert_eq!(id("/apis/apps/v1/watch/deployments"), "watchAppsV1DeploymentListForAllNamespaces");
    }

    #[test]
    fn what_all_operations_take_stands_at_the_path() {
        let all = items("", "v1", "pods");
        let pod = item(&all, "/api/v1/namespaces/{namespace}/pods/{name}");
        assert_eq!(names(&pod["parameters"]), ["name", "namespace", "pretty"]);
        assert_eq!(names(&pod["put"]["parameters"]), ["dryRun", "fieldManager", "fieldValidation"]);
        assert_eq!(pod["get"].get("parameters"), None);
        let proxy = item(&all, "/api/v1/namespaces/{namespace}/pods/{name}/proxy/{path}");
        assert_eq!(names(&proxy["parameters"]), ["name", "namespace", "path", "path"]);
        assert_eq!(proxy["head"]["operationId"], "connectCoreV1HeadNamespacedPodProxyWithPath");
    }
}
