//! Which address families a service has, in a cluster of IPv4 alone (`initIPFamilyFields`).

use api::Value;
use api::field::{Error, ErrorList, Path};
use api::status::{ApiError, GroupName};

use crate::registry::obj;

/// 422 for a service.
pub(super) fn invalid(service: &Value, errors: &ErrorList) -> ApiError {
    ApiError::invalid(GroupName { group: "", name: "Service" }, obj::name(service), errors)
}

fn texts(service: &Value, field: &str) -> Vec<String> {
    obj::strings(obj::at(service, &format!("spec.{field}")))
}

fn policy(service: &Value) -> &str {
    obj::text_at(service, "spec.ipFamilyPolicy")
}

fn set(service: &mut Value, field: &str, value: impl Into<Value>) {
    obj::child_mut(service, "spec").insert(field.into(), value.into());
}

/// Fills in policy and families, or says why they cannot be had.
pub(super) fn complete(service: &mut Value, old: Option<&Value>) -> Result<(), ApiError> {
    let one = obj::text_at(service, "spec.clusterIP").to_owned();
    if old.is_some_and(|old| prefers_as_before(service, old)) {
        return Ok(());
    }
    let open = one == "None"
        && obj::at(service, "spec.selector").and_then(Value::as_object).is_none_or(api::Object::is_empty);
    if policy(service).is_empty() {
        let before = old.map(policy).filter(|p| !p.is_empty());
        // A headless service without a selector may have endpoints of any family.
        let first = if open { "RequireDualStack" } else { "SingleStack" };
        let chosen = before.unwrap_or(first).to_owned();
        set(service, "ipFamilyPolicy", chosen);
    }
    let errors = validation::validate_service_addresses(service, old);
    if !errors.is_empty() {
        return Err(invalid(service, &errors));
    }
    let mut errors = ErrorList::new();
    if let Some(old) = old {
        release_second(service, old, &mut errors);
    }
    let spec = Path::new("spec");
    let policy_path = spec.child("ipFamilyPolicy");
    let (addresses, mut families) = (texts(service, "clusterIPs"), texts(service, "ipFamilies"));
    let chosen = policy(service).to_owned();
    if chosen == "SingleStack" {
        for (list, what) in [(&addresses, "cluster IPs"), (&families, "IP families")] {
            if list.len() == 2 {
                let why = format!(
                    "must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified"
                );
                errors.push(Error::invalid(&policy_path, &Value::from(chosen.as_str()), why));
            }
        }
    }
    for (i, address) in addresses.iter().enumerate().take_while(|(_, a)| *a != "None") {
        if i < families.len() {
            continue;
        }
        if address.contains(':') {
            let list = spec.child("clusterIPs");
            let shown = Value::from(addresses.clone());
            errors.push(Error::invalid(&list.index(i), &shown, "IPv6 is not configured on this cluster"));
        } else {
            families.push("IPv4".to_owned());
        }
    }
    if !errors.is_empty() {
        return Err(invalid(service, &errors));
    }
    if open {
        if families.is_empty() {
            families.push("IPv4".to_owned());
        }
        if families.len() < 2 && chosen != "SingleStack" {
            families.push(if families[0] == "IPv4" { "IPv6" } else { "IPv4" }.to_owned());
        }
        set(service, "ipFamilies", families);
        return Ok(());
    }
    if chosen == "RequireDualStack" {
        let why = "this cluster is not configured for dual-stack services";
        errors.push(Error::invalid(&policy_path, &Value::from(chosen.as_str()), why));
    }
    let list = spec.child("ipFamilies");
    for (i, family) in families.iter().enumerate().filter(|(_, f)| *f != "IPv4") {
        let why = "not configured on this cluster";
        errors.push(Error::invalid(&list.index(i), &Value::from(family.as_str()), why));
    }
    if !errors.is_empty() {
        return Err(invalid(service, &errors));
    }
    if families.is_empty() {
        families.push("IPv4".to_owned());
    }
    set(service, "ipFamilies", families);
    Ok(())
}

/// A service that prefers two families is left as it is when nothing of this changes.
fn prefers_as_before(service: &Value, old: &Value) -> bool {
    const PREFERS: &str = "PreferDualStack";
    let kind = |s: &Value| obj::text_at(s, "spec.type").to_owned();
    kind(service) == kind(old)
        && kind(service) != "ExternalName"
        && policy(service) == PREFERS
        && matches!(policy(old), "" | PREFERS)
        && texts(service, "clusterIPs") == texts(old, "clusterIPs")
        && texts(service, "ipFamilies") == texts(old, "ipFamilies")
}

/// Who says `SingleStack` gives up the second family; nobody else may.
fn release_second(service: &mut Value, old: &Value, errors: &mut ErrorList) {
    for (field, what) in [("clusterIPs", "secondary cluster IP"), ("ipFamilies", "secondary IP family")] {
        let (now, before) = (texts(service, field), texts(old, field));
        if policy(service) == "SingleStack" {
            if now == before && now.len() > 1 {
                set(service, field, now[..1].to_vec());
            }
        } else if !now.is_empty() && now.len() < before.len() {
            let spec = Path::new("spec");
            let why = format!("must be 'SingleStack' to release the {what}");
            let shown = Value::from(policy(service));
            errors.push(Error::invalid(&spec.child("ipFamilyPolicy"), &shown, why));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(spec: Value) -> Result<Value, String> {
        let mut service = json!({"metadata": {"name": "x"}, "spec": spec});
        complete(&mut service, None).map_err(|e| e.message)?;
        Ok(service["spec"]["ipFamilies"].clone())
    }

    /// A family that the cluster lacks was given to whoever asked for it.
    #[test]
    fn only_the_families_of_the_cluster_are_given() {
        assert_eq!(of(json!({"type": "ClusterIP"})), Ok(json!(["IPv4"])));
        assert_eq!(
            of(json!({"type": "ClusterIP", "ipFamilies": ["IPv6"]})),
            Err("Service \"x\" is invalid: spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster"
                .into())
        );
        assert_eq!(
            of(json!({"type": "ClusterIP", "clusterIP": "fd00::1", "clusterIPs": ["fd00::1"]})),
            Err("Service \"x\" is invalid: spec.clusterIPs[0]: Invalid value: [\"fd00::1\"]: IPv6 is not configured on \
                 this cluster"
                .into())
        );
        let two = of(json!({"type": "ClusterIP", "ipFamilies": ["IPv4", "IPv6"]})).unwrap_err();
        assert!(two.contains("when multiple IP families are specified"), "{two}");
        assert_eq!(
            of(json!({"type": "ClusterIP", "clusterIP": "None", "clusterIPs": ["None"]})),
            Ok(json!(["IPv4", "IPv6"]))
        );
        assert_eq!(
            of(
                json!({"type": "ClusterIP", "clusterIP": "None", "clusterIPs": ["None"], "selector": {"a": "b"}})
            ),
            Ok(json!(["IPv4"]))
        );
        assert_eq!(
            of(json!({"type": "ClusterIP", "ipFamilyPolicy": "PreferDualStack"})),
            Ok(json!(["IPv4"]))
        );
    }
}
