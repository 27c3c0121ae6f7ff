//! What services get: a cluster address and the fields that follow from it; `ports` has the rest.

use std::collections::{HashMap, HashSet};

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

/// `ExternallyAccessible`.
fn is_reached_from_outside(service: &Value) -> bool {
    let external =
        || obj::at(service, "spec.externalIPs").and_then(Value::as_array).is_some_and(|l| !l.is_empty());
    ports::has_ports(service) || service_type(service) == "ClusterIP" && external()
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
        if let Err(error) = self.fill(ctx, service, Some(old), dry_run, &mut held).await {
            held.release(ctx).await;
            return Err(error);
        }
        drop_unused(service, old);
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
        let address = if address.is_empty() {
            let n = self.addresses.take_any(storage, static_addresses(self.network.size())).await?;
            let full = |_| ApiError::internal("failed to allocate a serviceIP: range is full");
            let taken = self.network.nth(n.map_err(full)? + 1);
            held_or_back(self, ctx, held, Thing::Address(taken), dry_run).await;
            taken.to_string()
        } else {
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
            match self.addresses.take(storage, n).await? {
                Ok(()) => held_or_back(self, ctx, held, Thing::Address(wanted), dry_run).await,
                Err(_) => return Err(clash("provided IP is already allocated".into())),
            }
            address
        };
        let spec = obj::child_mut(service, "spec");
        spec.insert("clusterIPs".into(), json!([address]));
        spec.insert("clusterIP".into(), address.into());
        Ok(())
    }
}

/// A dry run gives back at once what it took to see whether it could.
async fn held_or_back(of: &Allocators, ctx: &Ctx, held: &mut Held, thing: Thing, dry_run: bool) {
    if dry_run {
        of.give_back(ctx.server.storage(), &[thing]).await;
    } else {
        held.taken.push(thing);
    }
}

/// How many addresses are left for those who ask for certain ones (`calculateRangeOffset`).
fn static_addresses(size: u32) -> u32 {
    if size < 128 { 0 } else { (size / 16).clamp(16, 256) }
}

/// What a client left out of an update and meant to keep (`patchAllocatedValues`).
fn patch_from_old(service: &mut Value, old: &Value) {
    if wants_address(service) && wants_address(old) {
        let spec = obj::child_mut(service, "spec");
        let empty = spec.get("clusterIP").and_then(Value::as_str).unwrap_or_default().is_empty();
        if empty {
            for field in ["clusterIP", "clusterIPs"] {
                if let Some(value) = obj::at(old, "spec").and_then(|s| s.get(field)) {
                    spec.insert(field.into(), value.clone());
                }
            }
        }
        for field in ["ipFamilies", "ipFamilyPolicy"] {
            if let Some(value) = obj::at(old, "spec").and_then(|s| s.get(field)) {
                spec.entry(field).or_insert_with(|| value.clone());
            }
        }
    }
    if !(ports::has_ports(service) && ports::has_ports(old)) {
        return;
    }
    // Named ports keep their number whatever else changes about them, unless the client gave it to another one.
    let had: HashMap<String, u64> =
        ports::entries(old).iter().map(|port| (port_name(port), node_port(port))).collect();
    let given: HashSet<u64> = ports::entries(service).iter().map(node_port).collect();
    let list = service.get_mut("spec").and_then(|s| s.get_mut("ports")).and_then(Value::as_array_mut);
    for port in list.into_iter().flatten().filter(|port| node_port(port) == 0) {
        let number = had.get(&port_name(port)).copied().unwrap_or(0);
        if number != 0
            && !given.contains(&number)
            && let Some(entry) = port.as_object_mut()
        {
            entry.insert("nodePort".into(), number.into());
        }
    }
    let health = obj::number_at(service, "spec.healthCheckNodePort").unwrap_or(0);
    if wants_health_port(service)
        && health == 0
        && let Some(port) = obj::at(old, "spec.healthCheckNodePort").cloned()
    {
        obj::child_mut(service, "spec").insert("healthCheckNodePort".into(), port);
    }
}

fn node_port(port: &Value) -> u64 {
    port.get("nodePort").and_then(Value::as_u64).unwrap_or(0)
}

fn port_name(port: &Value) -> String {
    port.get("name").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Drops what a service had of its old type and has no use for now, where the client left it as it was; what the
/// client changed is refused later (`dropTypeDependentFields`).
fn drop_unused(service: &mut Value, old: &Value) {
    let lost = |wants: fn(&Value) -> bool| wants(old) && !wants(service);
    let same = |field: &str| {
        let path = format!("spec.{field}");
        obj::same(obj::at(service, &path), obj::at(old, &path))
    };
    let mut unused: Vec<&str> = Vec::new();
    if lost(wants_address) {
        if same("clusterIP") && same("clusterIPs") {
            unused.extend(["clusterIP", "clusterIPs"]);
        }
        unused.extend(["ipFamilies", "ipFamilyPolicy"].into_iter().filter(|field| same(field)));
    }
    if lost(wants_health_port) && same("healthCheckNodePort") {
        unused.push("healthCheckNodePort");
    }
    if lost(is_load_balancer) {
        let own = ["allocateLoadBalancerNodePorts", "loadBalancerClass"];
        unused.extend(own.into_iter().filter(|field| same(field)));
    }
    if lost(is_reached_from_outside) && same("externalTrafficPolicy") {
        unused.push("externalTrafficPolicy");
    }
    let had: Vec<u64> = ports::entries(old).iter().map(node_port).collect();
    let no_ports = lost(ports::has_ports)
        && ports::entries(service).iter().map(node_port).all(|number| number == 0 || had.contains(&number));
    let spec = obj::child_mut(service, "spec");
    for field in unused {
        spec.remove(field);
    }
    if no_ports {
        for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
            obj::remove_field(port, "nodePort");
        }
    }
    if !is_load_balancer(service)
        && let Some(status) = service.get_mut("status").and_then(Value::as_object_mut)
    {
        status.insert("loadBalancer".into(), json!({}));
    }
}

fn is_load_balancer(service: &Value) -> bool {
    service_type(service) == "LoadBalancer"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node_port_service() -> Value {
        json!({"spec": {
            "type": "NodePort", "clusterIP": "10.0.0.5", "clusterIPs": ["10.0.0.5"], "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack", "externalTrafficPolicy": "Cluster",
            "ports": [{"name": "a", "port": 80, "protocol": "TCP", "nodePort": 30001}],
        }, "status": {"loadBalancer": {}}})
    }

    #[test]
    fn another_type_has_no_use_for_some_fields() {
        let old = node_port_service();
        let mut named = old.clone();
        named["spec"]["type"] = "ExternalName".into();
        drop_unused(&mut named, &old);
        let ports = json!([{"name": "a", "port": 80, "protocol": "TCP"}]);
        assert_eq!(named["spec"], json!({"type": "ExternalName", "ports": ports}));

        let mut inner = old.clone();
        inner["spec"]["type"] = "ClusterIP".into();
        inner["spec"]["externalTrafficPolicy"] = "Local".into();
        inner["spec"]["ports"][0]["nodePort"] = 30002.into();
        drop_unused(&mut inner, &old);
        assert_eq!(
            inner["spec"]["externalTrafficPolicy"], "Local",
            "what was changed is refused, not dropped"
        );
        assert_eq!(inner["spec"]["ports"][0]["nodePort"], 30002);
        assert_eq!(inner["spec"]["clusterIP"], "10.0.0.5");
    }

    #[test]
    fn a_named_port_keeps_its_number() {
        let old = node_port_service();
        let mut new = old.clone();
        new["spec"]["ports"] = json!([{"name": "a", "port": 81, "protocol": "UDP"}, {"name": "b", "port": 80, "protocol": "TCP"}]);
        patch_from_old(&mut new, &old);
        assert_eq!(new["spec"]["ports"][0]["nodePort"], 30001);
        assert_eq!(new["spec"]["ports"][1].get("nodePort"), None);
    }
}
