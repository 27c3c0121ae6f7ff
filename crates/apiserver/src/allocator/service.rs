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
        if service_type(service) == "ExternalName" {
            let spec = obj::child_mut(service, "spec");
            for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                spec.remove(field);
            }
        } else {
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
        let named = |s: &Value| service_type(s) == "ExternalName";
        let address = obj::text_at(service, "spec.clusterIP").to_owned();
        if address == "None" || old.is_some_and(|old| !named(old) && !address.is_empty()) {
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
    let headed = |s: &Value| matches!(service_type(s), "ClusterIP" | "NodePort" | "LoadBalancer");
    if headed(service) && headed(old) {
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
    let id = |p: &Value| (p.get("port").cloned(), p.get("protocol").cloned());
    let mut before = HashMap::new();
    for port in obj::at(old, "spec.ports").and_then(Value::as_array).into_iter().flatten() {
        before.entry(id(port)).or_insert(port);
    }
    let mut used: HashSet<u64> = HashSet::new();
    let entries = service.get_mut("spec").and_then(|s| s.get_mut("ports")).and_then(Value::as_array_mut);
    let Some(entries) = entries else { return };
    used.extend(entries.iter().filter_map(|p| p.get("nodePort").and_then(Value::as_u64)).filter(|p| *p > 0));
    for port in entries.iter_mut() {
        if port.get("nodePort").and_then(Value::as_u64).unwrap_or(0) != 0 {
            continue;
        }
        let same = before.get(&id(port));
        let number =
            same.and_then(|p| p.get("nodePort")).and_then(Value::as_u64).filter(|n| !used.contains(n));
        if let (Some(number), Some(entry)) = (number, port.as_object_mut()) {
            used.insert(number);
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
