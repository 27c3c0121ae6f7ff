//! What services get: a cluster address and the fields that follow from it; `ports` has the rest.

use std::collections::HashSet;

use api::Value;
use api::field::{Error, Path};
use api::status::ApiError;
use serde_json::json;

use super::{Allocators, Held, Thing, families, ports};
use crate::handlers::Ctx;
use crate::registry::obj;

pub(super) fn service_type(service: &Value) -> &str {
    obj::text_at(service, "spec.type")
}

fn wants_address(service: &Value) -> bool {
    service_type(service) != "ExternalName"
}

pub(super) fn wants_health_port(service: &Value) -> bool {
    service_type(service) == "LoadBalancer" && obj::text_at(service, "spec.externalTrafficPolicy") == "Local"
}

fn refused(service: &Value, error: Error) -> ApiError {
    families::invalid(service, &vec![error])
}

impl Allocators {
    /// A new service gets what its type needs.
    pub async fn for_new_service(
        &self,
        ctx: &Ctx,
        service: &mut Value,
        dry_run: bool,
    ) -> Result<Held, ApiError> {
        self.ready().await;
        let mut held = Held::default();
        normalize_addresses(service, None);
        match self.fill(ctx, service, None, dry_run, &mut held).await {
            Ok(()) => Ok(held),
            Err(error) => {
                held.release(ctx).await;
                Err(error)
            }
        }
    }

    /// A changed service keeps what it has, gets what it lacks, and gives back what it no longer uses.
    pub async fn for_changed_service(
        &self,
        ctx: &Ctx,
        service: &mut Value,
        old: &Value,
        dry_run: bool,
    ) -> Result<Held, ApiError> {
        self.ready().await;
        let mut held = Held::default();
        patch_from_old(service, old);
        normalize_addresses(service, Some(old));
        if let Err(error) = self.fill(ctx, service, Some(old), dry_run, &mut held).await {
            held.release(ctx).await;
            return Err(error);
        }
        let now: HashSet<Thing> = Allocators::things(service).into_iter().collect();
        held.given_up = Allocators::things(old).into_iter().filter(|t| !now.contains(t)).collect();
        Ok(held)
    }

    async fn fill(
        &self,
        ctx: &Ctx,
        service: &mut Value,
        old: Option<&Value>,
        dry_run: bool,
        held: &mut Held,
    ) -> Result<(), ApiError> {
        if wants_address(service) {
            self.fill_address(ctx, service, old, dry_run, held).await?;
        }
        self.fill_ports(ctx, service, old, dry_run, held).await
    }

    async fn fill_address(
        &self,
        ctx: &Ctx,
        service: &mut Value,
        old: Option<&Value>,
        dry_run: bool,
        held: &mut Held,
    ) -> Result<(), ApiError> {
        families::complete(service, old)?;
        // Only a service that had none gets an address; another one in its place is refused later.
        let address = obj::text_at(service, "spec.clusterIP").to_owned();
        if address == "None" || old.is_some_and(|old| wants_address(old) && !address.is_empty()) {
            return Ok(());
        }
        let storage = ctx.server.storage();
        let address = if !address.is_empty() {
            let clash = |why: String| {
                let given = obj::at(service, "spec.clusterIPs").cloned().unwrap_or_default();
                let detail = format!("failed to allocate IP {address}: {why}");
                refused(service, Error::invalid(&Path::new("spec.clusterIPs"), &given, detail))
            };
            let wanted: Option<std::net::Ipv4Addr> = address.parse().ok();
            let Some((wanted, n)) = wanted.and_then(|w| Some((w, self.address_offset(w)?))) else {
                return Err(clash(format!(
                    "the provided IP ({address}) is not in the valid range. The range of valid IPs is {}",
                    self.network
                )));
            };
            // A dry run does not look whether the address is free.
            if !dry_run {
                if self.addresses.take(storage, n).await?.is_err() {
                    return Err(clash("provided IP is already allocated".into()));
                }
                held.taken.push(Thing::Address(wanted));
            }
            address
        } else if dry_run {
            self.network.nth(0).to_string()
        } else {
            let n = self.addresses.take_any(storage, static_addresses(self.network.size())).await?;
            let full = |_| ApiError::internal("failed to allocate a serviceIP: range is full");
            let taken = self.network.nth(n.map_err(full)? + 1);
            held.taken.push(Thing::Address(taken));
            taken.to_string()
        };
        let spec = obj::child_mut(service, "spec");
        spec.insert("clusterIPs".into(), json!([address]));
        spec.insert("clusterIP".into(), address.into());
        Ok(())
    }
}

/// How many addresses are left for those who ask for certain ones (`calculateRangeOffset`).
fn static_addresses(size: u32) -> u32 {
    if size < 128 { 0 } else { (size / 16).clamp(16, 256) }
}

/// Fills the two fields of addresses from each other as the client meant them (`normalizeClusterIPs`).
fn normalize_addresses(service: &mut Value, old: Option<&Value>) {
    let one = |s: &Value| obj::text_at(s, "spec.clusterIP").to_owned();
    let all = |s: &Value| obj::strings(obj::at(s, "spec.clusterIPs"));
    let (address, addresses) = (one(service), all(service));
    let spec = obj::child_mut(service, "spec");
    let Some(old) = old else {
        if !address.is_empty() && addresses.is_empty() {
            spec.insert("clusterIPs".into(), json!([address]));
        }
        return;
    };
    let (before, all_before) = (one(old), all(old));
    if addresses.is_empty() && before == address {
        if !all_before.is_empty() {
            spec.insert("clusterIPs".into(), all_before.into());
        }
    } else if before != address && addresses == all_before {
        if address.is_empty() {
            spec.remove("clusterIPs");
        } else {
            spec.insert("clusterIPs".into(), json!([address]));
        }
    }
}

/// What a client left out of an update and meant to keep (`patchAllocatedValues`).
fn patch_from_old(service: &mut Value, old: &Value) {
    if wants_address(service) && wants_address(old) {
        for field in ["clusterIP", "clusterIPs"] {
            let before = obj::at(old, "spec").and_then(|s| s.get(field)).filter(|v| !is_unset(v));
            let spec = obj::child_mut(service, "spec");
            if let Some(before) = before
                && spec.get(field).is_none_or(is_unset)
            {
                spec.insert(field.into(), before.clone());
            }
        }
    }
    if ports::has_ports(service) && ports::has_ports(old) {
        ports::patch_from_old(service, old);
    }
    let health = obj::number_at(service, "spec.healthCheckNodePort").unwrap_or(0);
    if wants_health_port(service)
        && wants_health_port(old)
        && health == 0
        && let Some(port) = obj::at(old, "spec.healthCheckNodePort").cloned()
    {
        obj::child_mut(service, "spec").insert("healthCheckNodePort".into(), port);
    }
}

/// Whether a text or list field says nothing.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The new address was refused as not being the first of the old ones.
    #[test]
    fn a_client_of_one_address_changes_both_fields() {
        let old = json!({"spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]}});
        let mut new = old.clone();
        new["spec"]["clusterIP"] = "10.0.0.2".into();
        patch_from_old(&mut new, &old);
        normalize_addresses(&mut new, Some(&old));
        assert_eq!(new["spec"]["clusterIPs"], json!(["10.0.0.2"]));
        let mut left_out = json!({"spec": {"type": "NodePort"}});
        patch_from_old(&mut left_out, &old);
        assert_eq!(left_out["spec"]["clusterIPs"], json!(["10.0.0.1"]));
    }

    /// Ports were told apart by number and protocol, and a negative node port was taken for none.
    #[test]
    fn node_ports_stay_with_the_names_of_ports() {
        let old = json!({"spec": {"type": "NodePort", "ports": [
            {"name": "a", "port": 80, "nodePort": 30001}, {"name": "b", "port": 81, "nodePort": 30002}]}});
        let mut new = json!({"spec": {"type": "NodePort", "ports": [
            {"name": "a", "port": 90}, {"name": "b", "port": 81, "nodePort": -5}, {"name": "c", "port": 80}]}});
        patch_from_old(&mut new, &old);
        assert_eq!(
            new["spec"]["ports"],
            json!([{"name": "a", "port": 90, "nodePort": 30001},
            {"name": "b", "port": 81, "nodePort": -5}, {"name": "c", "port": 80}])
        );
    }
}
