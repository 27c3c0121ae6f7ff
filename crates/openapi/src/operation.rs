//! One operation of a path, and how each dialect writes it (`kube-openapi/pkg/builder`, `builder3`).

use api::{Object, Value};
use serde_json::json;

use crate::definitions::Dialect;

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Path,
    Query,
}

/// A parameter: its name, where it stands, its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Parameter {
    name: &'static str,
    place: Place,
    ty: &'static str,
}

/// A part of the path.
pub(crate) const fn path(name: &'static str) -> Parameter {
    Parameter { name, place: Place::Path, ty: "string" }
}

/// A text in the query.
pub(crate) const fn text(name: &'static str) -> Parameter {
    Parameter { name, place: Place::Query, ty: "string" }
}

/// A number in the query.
pub(crate) const fn number(name: &'static str) -> Parameter {
    Parameter { name, place: Place::Query, ty: "integer" }
}

/// Yes or no in the query.
pub(crate) const fn truth(name: &'static str) -> Parameter {
    Parameter { name, place: Place::Query, ty: "boolean" }
}

/// One operation before it is written in a dialect.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    /// `get`, `post`, …
    pub(crate) method: &'static str,
    /// `x-kubernetes-action`, for resources.
    pub(crate) action: Option<&'static str>,
    pub(crate) id: String,
    pub(crate) tag: String,
    /// The definition of the body.
    pub(crate) body: Option<String>,
    /// The definition of the answer, `None` for a string.
    pub(crate) answer: Option<String>,
    pub(crate) codes: &'static [u16],
    /// All parameters, those that the operations of a path share among them.
    pub(crate) parameters: Vec<Parameter>,
    /// Group, version and kind.
    pub(crate) kind: Option<(String, String, String)>,
    pub(crate) consumes: &'static [&'static str],
    pub(crate) produces: &'static [&'static str],
}

/// A path with its operations. What all of them take stands at the path.
pub(crate) fn path_item(operations: &[Operation], dialect: Dialect) -> Value {
    let mut shared: Vec<Parameter> = operations.first().map(|op| op.parameters.clone()).unwrap_or_default();
    shared.retain(|p| operations.iter().all(|op| op.parameters.contains(p)));
    shared.sort_unstable();
    let mut item: Object =
        operations.iter().map(|op| (op.method.to_owned(), op.write(&shared, dialect))).collect();
    if !shared.is_empty() {
        item.insert("parameters".into(), shared.iter().map(|p| p.write(dialect)).collect());
    }
    item.into()
}

impl Parameter {
    fn write(&self, dialect: Dialect) -> Value {
        let place = if self.place == Place::Path { "path" } else { "query" };
        let ty = json!({"type": self.ty, "uniqueItems": true});
        let mut parameter = json!({"name": self.name, "in": place});
        match (dialect, ty) {
            (Dialect::V2, Value::Object(ty)) => {
                if let Some(fields) = parameter.as_object_mut() {
                    fields.extend(ty);
                }
            }
            (_, ty) => parameter["schema"] = ty,
        }
        if self.place == Place::Path {
            parameter["required"] = true.into();
        }
        parameter
    }
}

impl Operation {
    fn write(&self, shared: &[Parameter], dialect: Dialect) -> Value {
        let mut json = json!({"tags": [self.tag], "operationId": self.id});
        if let Some(action) = self.action {
            json["x-kubernetes-action"] = action.into();
        }
        if let Some((group, version, kind)) = &self.kind {
            json["x-kubernetes-group-version-kind"] =
                json!({"group": group, "version": version, "kind": kind});
        }
        let mut own: Vec<Parameter> =
            self.parameters.iter().filter(|p| !shared.contains(p)).copied().collect();
        own.sort_unstable();
        let mut parameters: Vec<Value> = own.iter().map(|p| p.write(dialect)).collect();
        if let Some(body) = &self.body {
            let required = self.method != "delete";
            match dialect {
                Dialect::V2 => {
                    let mut parameter =
                        json!({"name": "body", "in": "body", "schema": dialect.reference(body)});
                    if required {
                        parameter["required"] = true.into();
                    }
                    parameters.insert(0, parameter);
                }
                Dialect::V3 => {
                    json["requestBody"] =
                        json!({"content": content(self.consumes, &dialect.reference(body))});
                    if required {
                        json["requestBody"]["required"] = true.into();
                    }
                }
            }
        }
        if !parameters.is_empty() {
            json["parameters"] = parameters.into();
        }
        json["responses"] = self.responses(dialect);
        if dialect == Dialect::V2 {
            if !self.consumes.is_empty() {
                json["consumes"] = self.consumes.to_vec().into();
            }
            json["produces"] = self.produces.to_vec().into();
            json["schemes"] = json!(["https"]);
        }
        json
    }

    fn responses(&self, dialect: Dialect) -> Value {
        let schema = self.answer.as_ref().map_or_else(|| json!({"type": "string"}), |d| dialect.reference(d));
        let mut responses = Object::new();
        for code in self.codes {
            let words = match code {
                201 => "Created",
                202 => "Accepted",
                _ => "OK",
            };
            let response = match dialect {
                Dialect::V2 => json!({"description": words, "schema": schema}),
                Dialect::V3 => json!({"description": words, "content": content(self.produces, &schema)}),
            };
            responses.insert(code.to_string(), response);
        }
        responses.insert("401".into(), json!({"description": "Unauthorized"}));
        responses.into()
    }
}

fn content(media_types: &[&str], schema: &Value) -> Object {
    media_types.iter().map(|media| ((*media).to_owned(), json!({"schema": schema}))).collect()
}
