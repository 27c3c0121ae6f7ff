//! The expressions of `x-kubernetes-validations`.

use api::Value;
use api::field::{ErrorList, Path};

use crate::cel::{self, Type, Variables};
use crate::errs::Errs;
use crate::golang;
use crate::value::Get;

/// Checks the rules of a schema, not of those inside it.
///
/// `lost`: from where on a value cannot be told to be that of before.
pub(super) fn rules(s: &Value, is_resource: bool, lost: Option<&str>, path: &Path<'_>, errs: &mut ErrorList) {
    let all = s.list("x-kubernetes-validations");
    if all.is_empty() {
        return;
    }
    let own = type_of(s, is_resource);
    let list = path.child("x-kubernetes-validations");
    for (i, rule) in all.iter().enumerate() {
        let path = list.index(i);
        let before =
            if rule.flag("optionalOldSelf") { Type::Optional(Box::new(own.clone())) } else { own.clone() };
        let variables: Variables = vec![("self".to_owned(), own.clone()), ("oldSelf".to_owned(), before)];
        let mut check = |field: &str, wanted: &Type, otherwise: &str| {
            let problem = match cel::compile(rule.str(field), &variables) {
                // What may be anything is not enough.
                Ok(found) if found == *wanted => return true,
                Ok(_) => otherwise.to_owned(),
                Err(problem) if field == "messageExpression" => format!("messageExpression {problem}"),
                Err(problem) => problem,
            };
            let shown = golang::shown("apiextensions.ValidationRule", rule);
            errs.invalid(&path.child(field), shown, problem);
            false
        };
        let compiles = check("rule", &Type::Bool, "cel expression must evaluate to a bool");
        if !rule.str("messageExpression").is_empty() {
            check("messageExpression", &Type::String, "messageExpression must evaluate to a string");
        }
        if compiles && cel::uses(rule.str("rule"), "oldSelf") {
            if let Some(lost) = lost {
                let why = format!(
                    "oldSelf cannot be used on the uncorrelatable portion of the schema within {lost}"
                );
                errs.invalid(&path.child("rule"), rule.str("rule"), why);
            }
        } else if let Some(set) = rule.opt_flag("optionalOldSelf") {
            errs.invalid(
                &path.child("optionalOldSelf"),
                set,
                "may not be set if oldSelf is not used in rule",
            );
        }
    }
}

/// The type of the values that a schema allows (`SchemaDeclType`).
fn type_of(s: &Value, is_resource: bool) -> Type {
    if s.flag("x-kubernetes-int-or-string") {
        return Type::Dyn;
    }
    match s.str("type") {
        "boolean" => Type::Bool,
        "integer" => Type::Int,
        "number" => Type::Double,
        "string" => match s.str("format") {
            "byte" => Type::Bytes,
            "duration" => Type::Duration,
            "date" | "date-time" => Type::Timestamp,
            _ => Type::String,
        },
        "array" => Type::list(type_of(s.sub("items"), false)),
        "object" => object(s, is_resource),
        _ => Type::Dyn,
    }
}

fn object(s: &Value, is_resource: bool) -> Type {
    match s.sub("additionalProperties") {
        Value::Null => {}
        more => return Type::map(Type::String, type_of(more, false)),
    }
    let is_resource = is_resource || s.flag("x-kubernetes-embedded-resource");
    let mut fields: Vec<(String, Type)> = Vec::new();
    if is_resource {
        let names = ["name", "generateName"].map(|name| (name.to_owned(), Type::String));
        fields.extend(["apiVersion", "kind"].map(|name| (name.to_owned(), Type::String)));
        fields.push(("metadata".to_owned(), Type::object("metadata", names.to_vec())));
    }
    for (name, property) in s.entries("properties") {
        let name = escaped(name);
        if is_resource && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
            continue;
        }
        fields.push((name, type_of(property, false)));
    }
    Type::object("object", fields)
}

/// The name of a property in expressions (`cel.Escape`).
fn escaped(name: &str) -> String {
    if crate::cel::is_word_of_cel(name) {
        return format!("__{name}__");
    }
    name.replace("__", "__underscores__")
        .replace('.', "__dot__")
        .replace('-', "__dash__")
        .replace('/', "__slash__")
}
