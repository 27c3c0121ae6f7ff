//! What services get: a cluster address and the fields that follow from it; `ports` has the rest.

use api::Value;
use api::field::{Error, Path};
use api::status::ApiError;
use serde_json::json;

use super::{Allocators, Held, Thing};
use crate::handlers::Ctx;
use crate::registry::obj;

pub(super) fn service_type(service: &Value) -> &str {
    obj::text_at(service, "spec.type")
}

pub(super) fn wants_health_port(service: &Value) -> bool {
    service_type(service) == "LoadBalancer" && obj::text_at(service, "spec.externalTrafficPolicy") == "Local"
}

fn refused(service: &Value, error: Error) -> ApiError {
    ApiError::invalid(api::status::GroupName { group: "", name: "Service" }, obj::name(service), &vec![error])
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
        let now = Allocators::things(service);
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
        let had = old.map(Allocators::things).unwrap_or_default();
        if service_type(service) == "ExternalName" {
            let spec = obj::child_mut(service, "spec");
            for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                spec.remove(field);
            }
        } else {
            self.fill_address(ctx, service, &had, dry_run, held).await?;
        }
        self.fill_ports(ctx, service, old, dry_run, held).await
    }

    async fn fill_address(
        &self,
        ctx: &Ctx,
        service: &mut Value,
        had: &[Thing],
        dry_run: bool,
        held: &mut Held,
    ) -> Result<(), ApiError> {
        let mut address = obj::text_at(service, "spec.clusterIP").to_owned();
        if address.is_empty() {
            address =
                obj::strings(obj::at(service, "spec.clusterIPs")).into_iter().next().unwrap_or_default();
        }
        let clash = |field: &str, value: &Value, why: &str| {
            refused(service, Error::invalid(&Path::new(field), value, why))
        };
        let given =
            obj::at(service, "spec.clusterIPs").filter(|l| l.as_array().is_some_and(|l| !l.is_empty()));
        if let Some(given) = given
            && obj::text_at(service, "spec.clusterIP").is_empty()
        {
            return Err(clash("spec.clusterIPs", given, "must be empty when `clusterIP` is not specified"));
        }
        let policy = obj::text_at(service, "spec.ipFamilyPolicy");
        if policy == "RequireDualStack" && address != "None" {
            let why = "this cluster is not configured for dual-stack services";
            return Err(clash("spec.ipFamilyPolicy", &Value::from(policy), why));
        }
        let storage = ctx.server.storage();
        let full = || ApiError::internal("failed to allocate a serviceIP: range is full");
        if address.is_empty() {
            let n = self.addresses.take_any(storage, static_addresses(self.network.size())).await?;
            let n = n.map_err(|_| full())?;
            let taken = self.network.nth(n + 1);
            held_or_back(self, ctx, held, Thing::Address(taken), dry_run).await;
            address = taken.to_string();
        } else if address != "None"
            && let Ok(wanted) = address.parse()
            && !had.contains(&Thing::Address(wanted))
        {
            let clash = |why: String| {
                let value = json!([address]);
                let detail = format!("failed to allocate IP {address}: {why}");
                refused(service, Error::invalid(&Path::new("spec.clusterIPs"), &value, detail))
            };
            let Some(n) = self.address_offset(wanted) else {
                let why = format!(
                    "the provided network does not match the current range, the provided IP ({address}) is not in the \
                     valid range. The range of valid IPs is {}",
                    self.network
                );
                let why = why.replacen(
                    "the provided network does not match the current range, the provided IP",
                    "the provided IP",
                    1,
                );
                return Err(clash(why));
            };
            match self.addresses.take(storage, n).await? {
                Ok(()) => held_or_back(self, ctx, held, Thing::Address(wanted), dry_run).await,
                Err(_) => return Err(clash("provided IP is already allocated".into())),
            }
        }
        let selects =
            obj::at(service, "spec.selector").and_then(Value::as_object).is_some_and(|s| !s.is_empty());
        let spec = obj::child_mut(service, "spec");
        // A headless service without a selector may have endpoints of any family.
        let open = address == "None"
            && !selects
            && spec.get("ipFamilies").is_none()
            && spec.get("ipFamilyPolicy").is_none();
        if open {
            spec.insert("ipFamilyPolicy".into(), "RequireDualStack".into());
            spec.insert("ipFamilies".into(), json!(["IPv4", "IPv6"]));
        }
        let families = if address.contains(':') { json!(["IPv6"]) } else { json!(["IPv4"]) };
        spec.insert("clusterIP".into(), address.clone().into());
        spec.entry("clusterIPs").or_insert_with(|| json!([address]));
        spec.entry("ipFamilies").or_insert(families);
        spec.entry("ipFamilyPolicy").or_insert_with(|| "SingleStack".into());
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
    let ported = |s: &Value| matches!(service_type(s), "NodePort" | "LoadBalancer");
    if !(ported(service) && ported(old)) {
        return;
    }
    let before: Vec<Value> =
        obj::at(old, "spec.ports").and_then(Value::as_array).cloned().unwrap_or_default();
    let id = |p: &Value| (p.get("port").cloned(), p.get("protocol").cloned());
    let mut used: Vec<u64> = Vec::new();
    let ports = service.get_mut("spec").and_then(|s| s.get_mut("ports")).and_then(Value::as_array_mut);
    let Some(ports) = ports else { return };
    used.extend(ports.iter().filter_map(|p| p.get("nodePort").and_then(Value::as_u64)).filter(|p| *p > 0));
    for port in ports.iter_mut() {
        if port.get("nodePort").and_then(Value::as_u64).unwrap_or(0) != 0 {
            continue;
        }
        let same = before.iter().find(|p| id(p) == id(port));
        let number =
            same.and_then(|p| p.get("nodePort")).and_then(Value::as_u64).filter(|n| !used.contains(n));
        if let (Some(number), Some(entry)) = (number, port.as_object_mut()) {
            used.push(number);
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
