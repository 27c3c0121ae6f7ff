//! The operations of a resource: paths, ids, parameters, answers.

use api::kinds::{Resource, Subresource};
use api::schema::Schemas;
use api::{Object, Value};
use serde_json::json;

use crate::definitions::Dialect;

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
const MEDIA_TYPES: [&str; 2] = ["application/json", "application/yaml"];
const PATCH_TYPES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

/// Query parameters with their types, by the verb that reads them.
const LIST: [(&str, &str); 10] = [
    ("allowWatchBookmarks", "boolean"),
    ("continue", "string"),
    ("fieldSelector", "string"),
    ("labelSelector", "string"),
    ("limit", "integer"),
    ("resourceVersion", "string"),
    ("resourceVersionMatch", "string"),
    ("sendInitialEvents", "boolean"),
    ("timeoutSeconds", "integer"),
    ("watch", "boolean"),
];
const WRITE: [(&str, &str); 3] =
    [("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string")];
const DELETE: [(&str, &str); 4] = [
    ("dryRun", "string"),
    ("gracePeriodSeconds", "integer"),
    ("orphanDependents", "boolean"),
    ("propagationPolicy", "string"),
];

/// One operation before it is written in a dialect.
struct Operation<'a> {
    /// `get`, `post`, …
    method: &'static str,
    /// `x-kubernetes-action`.
    action: &'static str,
    /// The operation's id begins so: `read`, `createNamespaced` comes of it.
    id: String,
    /// The definition of the body.
    body: Option<String>,
    /// The definition of the answer, `None` for a string.
    answer: Option<String>,
    codes: &'static [u16],
    query: Vec<(&'a str, &'a str)>,
    kind: (String, String, String),
}

/// The paths of a resource in one version, with their operations.
pub fn of_resource(resource: &Resource, schemas: &Schemas, dialect: Dialect) -> Vec<(String, Value)> {
    let served: &api::kinds::Served = resource;
    let root = if served.group.is_empty() {
        format!("/api/{}", served.version)
    } else {
        format!("/apis/{}/{}", served.group, served.version)
    };
    let plural = &resource.kind.plural;
    let scope = if resource.kind.namespaced { "Namespaced" } else { "" };
    let base = if resource.kind.namespaced {
        format!("{root}/namespaces/{{namespace}}/{plural}")
    } else {
        format!("{root}/{plural}")
    };
    let writer = Writer { resource, schemas, dialect, scope };
    let mut paths = Vec::new();
    let mut collection = Vec::new();
    let mut item = Vec::new();
    for verb in &served.verbs {
        match &**verb {
            "create" => collection.push(writer.write("post", "post", "create", &[200, 201, 202])),
            "list" => collection.push(writer.list("list", scope)),
            "deletecollection" => collection.push(writer.delete_collection()),
            "get" => item.push(writer.read("")),
            "update" => item.push(writer.write("put", "put", "replace", &[200, 201])),
            "patch" => item.push(writer.patch("")),
            "delete" => item.push(writer.delete()),
            _ => {}
        }
    }
    if !collection.is_empty() {
        paths.push((base.clone(), writer.path_item(&collection, &[])));
    }
    if resource.kind.namespaced && served.has_verb("list") {
        let mut all = writer.list("list", "");
        all.id = format!("{}ForAllNamespaces", all.id);
        paths.push((format!("{root}/{plural}"), writer.item_of("", &[all], &[])));
    }
    let name = format!("{base}/{{name}}");
    if !item.is_empty() {
        paths.push((name.clone(), writer.path_item(&item, &["name"])));
    }
    for sub in &served.subresources {
        let operations = writer.subresource(sub);
        if !operations.is_empty() {
            paths.push((format!("{name}/{}", sub.name), writer.path_item(&operations, &["name"])));
        }
    }
    paths
}

struct Writer<'a> {
    resource: &'a Resource,
    schemas: &'a Schemas,
    dialect: Dialect,
    scope: &'static str,
}

impl Writer<'_> {
    fn definition(&self) -> Option<String> {
        self.resource.ty.map(|id| self.schemas.get(id).name.to_string())
    }

    fn kind(&self) -> (String, String, String) {
        (
            self.resource.group.to_string(),
            self.resource.version.to_string(),
            self.resource.as_kind().to_owned(),
        )
    }

    /// `readAppsV1NamespacedDeploymentScale`.
    fn id(&self, verb: &str, scope: &str, suffix: &str) -> String {
        let group = group_title(&self.resource.group);
        format!("{verb}{group}{}{scope}{}{suffix}", capital(&self.resource.version), self.resource.as_kind())
    }

    fn operation<'q>(&self, method: &'static str, action: &'static str, id: String) -> Operation<'q> {
        Operation {
            method,
            action,
            id,
            body: None,
            answer: self.definition(),
            codes: &[200],
            query: Vec::new(),
            kind: self.kind(),
        }
    }

    fn list(&self, verb: &str, scope: &str) -> Operation<'static> {
        let list = self.definition().map(|d| format!("{d}List"));
        let mut op = self.operation("get", "list", self.id(verb, scope, ""));
        op.answer = list.filter(|name| self.schemas.by_name(name).is_some()).or(op.answer);
        op.query = LIST.to_vec();
        op
    }

    fn read(&self, suffix: &str) -> Operation<'static> {
        self.operation("get", "get", self.id("read", self.scope, suffix))
    }

    fn write(
        &self,
        method: &'static str,
        action: &'static str,
        verb: &str,
        codes: &'static [u16],
    ) -> Operation<'static> {
        let mut op = self.operation(method, action, self.id(verb, self.scope, ""));
        op.body = self.definition();
        op.codes = codes;
        op.query = WRITE.to_vec();
        op
    }

    fn patch(&self, suffix: &str) -> Operation<'static> {
        let mut op = self.operation("patch", "patch", self.id("patch", self.scope, suffix));
        op.body = Some(format!("{META}.Patch"));
        op.codes = &[200, 201];
        op.query = WRITE.to_vec();
        op.query.push(("force", "boolean"));
        op
    }

    fn delete(&self) -> Operation<'static> {
        let mut op = self.operation("delete", "delete", self.id("delete", self.scope, ""));
        op.body = Some(format!("{META}.DeleteOptions"));
        op.answer = Some(format!("{META}.Status"));
        op.codes = &[200, 202];
        op.query = DELETE.to_vec();
        op
    }

    fn delete_collection(&self) -> Operation<'static> {
        let scope = format!("Collection{}", self.scope);
        let mut op = self.operation("delete", "deletecollection", self.id("delete", &scope, ""));
        op.body = Some(format!("{META}.DeleteOptions"));
        op.answer = Some(format!("{META}.Status"));
        op.query = DELETE.to_vec();
        op.query.extend(LIST.iter().filter(|(n, _)| !matches!(*n, "allowWatchBookmarks" | "watch")));
        op
    }

    fn subresource(&self, sub: &Subresource) -> Vec<Operation<'static>> {
        let suffix = capital(&sub.name);
        let definition = sub.ty.map(|id| self.schemas.get(id).name.to_string());
        let (group, version) = sub
            .group_version
            .clone()
            .unwrap_or_else(|| (self.resource.group.clone(), self.resource.version.clone()));
        let kind = (group.to_string(), version.to_string(), sub.kind.to_string());
        let connects = matches!(&*sub.name, "exec" | "attach" | "portforward" | "proxy");
        sub.verbs
            .iter()
            .filter_map(|verb| {
                let mut op = match (&**verb, connects) {
                    ("get", false) => self.read(&suffix),
                    ("update", false) => {
                        let mut op = self.write("put", "put", "replace", &[200, 201]);
                        op.id = self.id("replace", self.scope, &suffix);
                        op
                    }
                    ("patch", false) => self.patch(&suffix),
                    ("create", false) => {
                        let mut op = self.write("post", "post", "create", &[200, 201, 202]);
                        op.id = self.id("create", self.scope, &suffix);
                        op
                    }
                    ("get" | "create", true) => {
                        let (method, word) = if &**verb == "get" { ("get", "Get") } else { ("post", "Post") };
                        let group = group_title(&self.resource.group);
                        let id = format!(
                            "connect{group}{}{word}{}{}{suffix}",
                            capital(&self.resource.version),
                            self.scope,
                            self.resource.as_kind()
                        );
                        let mut op = self.operation(method, "connect", id);
                        op.answer = None;
                        op
                    }
                    _ => return None,
                };
                if !connects {
                    if op.body.is_some() && op.method != "patch" {
                        op.body.clone_from(&definition);
                    }
                    op.answer.clone_from(&definition);
                    if sub.name == "log" {
                        op.answer = None;
                    }
                }
                op.kind = kind.clone();
                Some(op)
            })
            .collect()
    }

    fn path_item(&self, operations: &[Operation<'_>], names: &[&str]) -> Value {
        self.item_of(self.scope, operations, names)
    }

    fn item_of(&self, scope: &str, operations: &[Operation<'_>], names: &[&str]) -> Value {
        let mut item: Object =
            operations.iter().map(|op| (op.method.to_owned(), self.operation_json(op))).collect();
        let mut parameters: Vec<Value> = names.iter().map(|n| self.parameter("path", n, "string")).collect();
        if !scope.is_empty() {
            parameters.push(self.parameter("path", "namespace", "string"));
        }
        parameters.push(self.parameter("query", "pretty", "string"));
        item.insert("parameters".into(), parameters.into());
        item.into()
    }

    fn parameter(&self, place: &str, name: &str, ty: &str) -> Value {
        let mut parameter = match self.dialect {
            Dialect::V2 => json!({"name": name, "in": place, "type": ty, "uniqueItems": true}),
            Dialect::V3 => json!({"name": name, "in": place, "schema": {"type": ty, "uniqueItems": true}}),
        };
        if place == "path" {
            parameter["required"] = true.into();
        }
        parameter
    }

    fn operation_json(&self, op: &Operation<'_>) -> Value {
        let (group, version, kind) = &op.kind;
        let tag = format!("{}_{}", group_tag(&self.resource.group), self.resource.version);
        let mut json = json!({
            "tags": [tag],
            "operationId": op.id,
            "x-kubernetes-action": op.action,
            "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
        });
        let mut parameters: Vec<Value> =
            op.query.iter().map(|(name, ty)| self.parameter("query", name, ty)).collect();
        let consumes: &[&str] = if op.method == "patch" { &PATCH_TYPES } else { &["*/*"] };
        if let Some(body) = &op.body {
            let required = op.method != "delete";
            match self.dialect {
                Dialect::V2 => {
                    let mut parameter =
                        json!({"name": "body", "in": "body", "schema": self.dialect.reference(body)});
                    if required {
                        parameter["required"] = true.into();
                    }
                    parameters.insert(0, parameter);
                }
                Dialect::V3 => {
                    let content: Object = consumes
                        .iter()
                        .map(|media| ((*media).to_owned(), json!({"schema": self.dialect.reference(body)})))
                        .collect();
                    json["requestBody"] = json!({"content": content});
                    if required {
                        json["requestBody"]["required"] = true.into();
                    }
                }
            }
        }
        if !parameters.is_empty() {
            json["parameters"] = parameters.into();
        }
        let schema =
            op.answer.as_ref().map_or_else(|| json!({"type": "string"}), |d| self.dialect.reference(d));
        let mut responses = Object::new();
        for code in op.codes {
            let mut response = json!({"description": if *code == 201 { "Created" } else if *code == 202 { "Accepted" } else { "OK" }});
            match self.dialect {
                Dialect::V2 => response["schema"] = schema.clone(),
                Dialect::V3 => {
                    let content: Object =
                        MEDIA_TYPES.iter().map(|m| ((*m).to_owned(), json!({"schema": schema}))).collect();
                    response["content"] = content.into();
                }
            }
            responses.insert(code.to_string(), response);
        }
        responses.insert("401".into(), json!({"description": "Unauthorized"}));
        json["responses"] = responses.into();
        if self.dialect == Dialect::V2 {
            json["consumes"] = consumes.to_vec().into();
            json["produces"] = MEDIA_TYPES.to_vec().into();
            json["schemes"] = json!(["https"]);
        }
        json
    }
}

/// `rbac.authorization.k8s.io` → `RbacAuthorization`, the core group → `Core`.
fn group_title(group: &str) -> String {
    if group.is_empty() {
        return "Core".to_owned();
    }
    group.trim_end_matches(".k8s.io").split('.').map(capital).collect()
}

fn group_tag(group: &str) -> String {
    let title = group_title(group);
    let mut chars = title.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// The kind as this version calls it.
trait AsKind {
    fn as_kind(&self) -> &str;
}

impl AsKind for Resource {
    fn as_kind(&self) -> &str {
        let served: &api::kinds::Served = self;
        &served.kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_named_as_upstream_names_them() {
        let kinds = api::kinds::builtin();
        let resource = kinds.lookup("apps", "v1", "deployments").unwrap();
        let paths = of_resource(resource, api::schema::builtin(), Dialect::V3);
        let item = |path: &str| paths.iter().find(|(p, _)| p == path).map(|(_, v)| v.clone()).unwrap();
        let deployment = item("/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
        assert_eq!(deployment["patch"]["operationId"], "patchAppsV1NamespacedDeployment");
        let scale = item("/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale");
        assert_eq!(scale["get"]["operationId"], "readAppsV1NamespacedDeploymentScale");
        assert_eq!(scale["get"]["tags"], json!(["apps_v1"]));
        assert_eq!(
            scale["get"]["x-kubernetes-group-version-kind"],
            json!({"group": "autoscaling", "version": "v1", "kind": "Scale"})
        );
        let all = item("/apis/apps/v1/deployments");
        assert_eq!(all["get"]["operationId"], "listAppsV1DeploymentForAllNamespaces");
    }
}
