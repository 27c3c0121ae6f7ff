//! The options of each verb, from query parameters (and bodies of deletes), validated as upstream does
//! (`apimachinery/pkg/apis/meta/v1/validation`).

use api::field::{Error, ErrorList, Path};
use api::status::{ApiError, GroupName};
use api::{Object, Value};

use crate::registry::codec::FieldValidation;
use crate::registry::obj;
use crate::request::Query;

/// What create, update and patch share.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// Nothing is stored.
    pub dry_run: bool,
    /// Who owns the fields that are set; empty when not said.
    pub field_manager: String,
    /// What to do about unknown fields.
    pub field_validation: FieldValidation,
    /// Take over fields that others own (apply only).
    pub force: bool,
    /// Managed fields are right already.
    pub tracked: bool,
}

fn invalid(kind: &str, errors: &ErrorList) -> Result<(), ApiError> {
    if errors.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid(GroupName { group: "meta.k8s.io", name: kind }, "", errors))
}

fn dry_run(values: &[String], errors: &mut ErrorList) -> bool {
    if values.iter().any(|v| v != "All") {
        let list = Value::from(values.to_vec());
        errors.push(Error::not_supported(&Path::new("dryRun"), &list, &["All"]));
    }
    values.iter().any(|v| v == "All")
}

fn field_manager(name: &str, errors: &mut ErrorList) {
    let path = Path::new("fieldManager");
    if name.len() > 128 {
        errors.push(Error::too_long(&path, 128));
    }
    for (i, c) in name.chars().enumerate() {
        if c.is_control() {
            let why = format!("invalid character U+{:04X} (at position {i})", c as u32);
            errors.push(Error::invalid(&path, &Value::from(name), &why));
        }
    }
}

fn field_validation(text: &str, errors: &mut ErrorList) -> FieldValidation {
    match text {
        "" | "Warn" => FieldValidation::Warn,
        "Strict" => FieldValidation::Strict,
        "Ignore" => FieldValidation::Ignore,
        other => {
            let allowed = ["", "Ignore", "Strict", "Warn"];
            errors.push(Error::not_supported(&Path::new("fieldValidation"), &Value::from(other), &allowed));
            FieldValidation::Warn
        }
    }
}

impl WriteOptions {
    /// `CreateOptions`, `UpdateOptions` or `PatchOptions`.
    pub fn parse(query: &Query, kind: &str, apply: bool) -> Result<WriteOptions, ApiError> {
        let mut errors = ErrorList::new();
        let force = query.flag_option("force");
        let manager = query.text("fieldManager").to_owned();
        if kind == "PatchOptions" {
            if !apply && force.is_some() {
                errors
                    .push(Error::forbidden(&Path::new("force"), "may not be specified for non-apply patch"));
            }
            if apply && manager.is_empty() {
                errors.push(Error::required(&Path::new("fieldManager"), "is required for apply patch"));
            }
        }
        field_manager(&manager, &mut errors);
        let values: Vec<String> = query.all("dryRun").filter(|v| !v.is_empty()).map(str::to_owned).collect();
        let dry_run = dry_run(&values, &mut errors);
        let field_validation = field_validation(query.text("fieldValidation"), &mut errors);
        invalid(kind, &errors)?;
        Ok(WriteOptions {
            dry_run,
            field_manager: manager,
            field_validation,
            force: force.unwrap_or(false),
            tracked: false,
        })
    }
}

/// `DeleteOptions`.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// How long a pod may take to end.
    pub grace_period_seconds: Option<i64>,
    /// The uid that the object must have.
    pub uid: Option<String>,
    /// The resource version that the object must have.
    pub resource_version: Option<String>,
    /// The old form of the propagation policy.
    pub orphan_dependents: Option<bool>,
    /// What becomes of dependents.
    pub propagation_policy: Option<String>,
    /// Nothing is removed.
    pub dry_run: bool,
}

impl DeleteOptions {
    /// From a decoded body.
    pub fn from_body(body: &Value) -> Result<DeleteOptions, ApiError> {
        let preconditions = body.get("preconditions");
        let text = |v: Option<&Value>| v.and_then(Value::as_str).map(str::to_owned);
        let options = DeleteOptions {
            grace_period_seconds: obj::number_at(body, "gracePeriodSeconds"),
            uid: text(preconditions.and_then(|p| p.get("uid"))),
            resource_version: text(preconditions.and_then(|p| p.get("resourceVersion"))),
            orphan_dependents: body.get("orphanDependents").and_then(Value::as_bool),
            propagation_policy: text(body.get("propagationPolicy")),
            dry_run: false,
        };
        options.validated(&obj::strings(body.get("dryRun")))
    }

    /// From query parameters.
    pub fn from_query(query: &Query) -> Result<DeleteOptions, ApiError> {
        let options = DeleteOptions {
            grace_period_seconds: query.number("gracePeriodSeconds")?,
            uid: query.get("uid").map(str::to_owned),
            // Of collections too, though it chooses nothing there.
            resource_version: query.get("resourceVersion").filter(|v| !v.is_empty()).map(str::to_owned),
            orphan_dependents: query.flag_option("orphanDependents"),
            propagation_policy: query.get("propagationPolicy").map(str::to_owned),
            dry_run: false,
        };
        let dry_run: Vec<String> = query.all("dryRun").filter(|v| !v.is_empty()).map(str::to_owned).collect();
        options.validated(&dry_run)
    }

    fn validated(mut self, dry: &[String]) -> Result<DeleteOptions, ApiError> {
        let mut errors = ErrorList::new();
        let path = Path::new("propagationPolicy");
        if let (Some(policy), Some(_)) = (&self.propagation_policy, self.orphan_dependents) {
            let why = "orphanDependents and deletionPropagation cannot be both set";
            errors.push(Error::invalid(&path, &Value::from(policy.as_str()), why));
        }
        if let Some(policy) = &self.propagation_policy
            && !matches!(policy.as_str(), "Foreground" | "Background" | "Orphan")
        {
            let allowed = ["Foreground", "Background", "Orphan", "nil"];
            errors.push(not_supported_unsorted(&path, policy, &allowed));
        }
        self.dry_run = dry_run(dry, &mut errors);
        invalid("DeleteOptions", &errors)?;
        Ok(self)
    }
}

fn not_supported_unsorted(path: &Path<'_>, value: &str, allowed: &[&str]) -> Error {
    Error::not_supported(path, &Value::from(value), allowed)
}

const EXACT: &str = "Exact";
const NOT_OLDER_THAN: &str = "NotOlderThan";

/// `ListOptions`.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Which labels.
    pub label_selector: String,
    /// Which fields.
    pub field_selector: String,
    /// A watch instead of a list.
    pub watch: bool,
    /// Bookmarks are welcome.
    pub bookmarks: bool,
    /// As of which version.
    pub resource_version: String,
    /// How the version is meant.
    pub version_match: String,
    /// When a watch ends.
    pub timeout_seconds: Option<i64>,
    /// At most that many.
    pub limit: i64,
    /// Go on behind this.
    pub continue_token: String,
    /// A watch begins with what is there.
    pub send_initial_events: Option<bool>,
}

impl ListOptions {
    /// From query parameters. What is a watch by its path alone is checked as a list is.
    pub fn parse(query: &Query, watch: bool) -> Result<ListOptions, ApiError> {
        let mut options = ListOptions {
            label_selector: query.text("labelSelector").to_owned(),
            field_selector: query.text("fieldSelector").to_owned(),
            watch,
            bookmarks: query.flag("allowWatchBookmarks"),
            resource_version: query.text("resourceVersion").to_owned(),
            version_match: query.text("resourceVersionMatch").to_owned(),
            timeout_seconds: query.number("timeoutSeconds")?,
            limit: query.number("limit")?.unwrap_or(0),
            continue_token: query.text("continue").to_owned(),
            send_initial_events: query.flag_option("sendInitialEvents"),
        };
        options.default();
        options.validate()?;
        Ok(options)
    }

    /// `SetListOptionsDefaults`: a watch that begins with what is there says so.
    fn default(&mut self) {
        let legacy = matches!(self.resource_version.as_str(), "" | "0");
        if self.watch && legacy && self.send_initial_events.is_none() && self.version_match.is_empty() {
            self.send_initial_events = Some(true);
            self.version_match = NOT_OLDER_THAN.into();
        }
    }

    /// `ValidateListOptions`.
    fn validate(&self) -> Result<(), ApiError> {
        let mut errors = ErrorList::new();
        let path = Path::new("resourceVersionMatch");
        if self.watch {
            self.validate_watch(&mut errors);
        } else {
            if !self.version_match.is_empty() {
                if self.resource_version.is_empty() {
                    let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
                    errors.push(Error::forbidden(&path, why));
                }
                if !self.continue_token.is_empty() {
                    let why = "resourceVersionMatch is forbidden when continue is provided";
                    errors.push(Error::forbidden(&path, why));
                }
                self.validate_match(&[EXACT, NOT_OLDER_THAN, ""], &mut errors);
                if self.version_match == EXACT && self.resource_version == "0" {
                    let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
                    errors.push(Error::forbidden(&path, why));
                }
            }
            if self.send_initial_events.is_some() {
                let why = "sendInitialEvents is forbidden for list";
                errors.push(Error::forbidden(&Path::new("sendInitialEvents"), why));
            }
        }
        invalid("ListOptions", &errors)
    }

    fn validate_match(&self, allowed: &[&str], errors: &mut ErrorList) {
        if !allowed.contains(&self.version_match.as_str()) {
            let value = Value::from(self.version_match.as_str());
            errors.push(Error::not_supported(&Path::new("resourceVersionMatch"), &value, allowed));
        }
    }

    fn validate_watch(&self, errors: &mut ErrorList) {
        let path = Path::new("resourceVersionMatch");
        if self.send_initial_events.is_some() {
            if self.version_match != NOT_OLDER_THAN {
                let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
                errors.push(Error::forbidden(&path, why));
            }
        } else if !self.version_match.is_empty() {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            errors.push(Error::forbidden(&path, why));
        }
        if !self.version_match.is_empty() {
            self.validate_match(&[NOT_OLDER_THAN], errors);
            if !self.continue_token.is_empty() {
                let why = "resourceVersionMatch is forbidden when continue is provided";
                errors.push(Error::forbidden(&path, why));
            }
        }
    }
}

/// The kinds of options that a body may hold, for decoding.
pub fn is_options(body: &Object) -> bool {
    body.get("kind").and_then(Value::as_str).is_none_or(|k| k == "DeleteOptions")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deletes_without_a_body_take_preconditions_from_the_query() {
        let of = |text: &str| DeleteOptions::from_query(&Query::parse(Some(text))).unwrap();
        let options = of("uid=u&resourceVersion=5");
        assert_eq!((options.uid.as_deref(), options.resource_version.as_deref()), (Some("u"), Some("5")));
        assert_eq!(of("resourceVersion=").resource_version, None);
    }

    #[test]
    fn watches_from_the_beginning_say_so() {
        let options = |text: &str, watch| ListOptions::parse(&Query::parse(Some(text)), watch);
        let said = |text: &str, watch| options(text, watch).err().map(|e| e.message).unwrap_or_default();
        assert_eq!(options("watch=1", true).unwrap().send_initial_events, Some(true));
        assert_eq!(options("watch=1&resourceVersion=5", true).unwrap().send_initial_events, None);
        assert_eq!(options("", false).unwrap().send_initial_events, None);
        assert!(said("watch=1&continue=x", true).contains("forbidden when continue is provided"));
        assert_eq!(said("watch=1&continue=x&resourceVersion=5", true), "");
        let unsupported = said("watch=1&resourceVersionMatch=Exact", true);
        assert!(unsupported.ends_with("\"Exact\": supported values: \"NotOlderThan\"]"), "{unsupported}");
    }
}
