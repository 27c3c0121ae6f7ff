//! Node ports of services: those that are asked for, and any others (`portallocator/operation.go`, `alloc.go`).

use std::collections::{BTreeSet, HashMap, HashSet};

use api::field::{Error, Path};
use api::status::ApiError;
use api::{Object, Value};

use super::service::{service_type, wants_health_port};
use super::{Allocators, Held, RangeError, Thing, families};
use crate::handlers::Ctx;
use crate::registry::obj;

/// The last port before those that a dry run shows.
const DRY_BASE: i64 = 32768;

/// The ports that one write takes. A dry run takes nothing: it shows what could have been.
struct Operation<'a> {
    of: &'a Allocators,
    ctx: &'a Ctx,
    held: &'a mut Held,
    dry: Option<BTreeSet<i64>>,
}

impl Operation<'_> {
    /// Takes one port; the inner error says why it cannot be had.
    async fn take(&mut self, port: i64) -> Result<Result<(), String>, ApiError> {
        const TAKEN: &str = "provided port is already allocated";
        let storage = self.ctx.server.storage();
        let found = u16::try_from(port).ok().and_then(|p| Some((p, self.of.port_offset(p)?)));
        if let Some(dry) = &mut self.dry {
            let free = match found {
                Some((_, n)) => self.of.ports.is_free(storage, n).await?,
                None => true,
            };
            if !free || dry.contains(&port) {
                return Ok(Err(TAKEN.into()));
            }
            dry.insert(port);
            return Ok(Ok(()));
        }
        let Some((port, n)) = found else {
            let (first, last) = self.of.port_range;
            return Ok(Err(format!(
                "provided port is not in the valid range. The range of valid ports is {first}-{last}"
            )));
        };
        Ok(match self.of.ports.take(storage, n).await? {
            Ok(()) => {
                self.held.taken.push(Thing::Port(port));
                Ok(())
            }
            Err(_) => Err(TAKEN.into()),
        })
    }

    /// Takes any port.
    async fn any(&mut self) -> Result<i64, ApiError> {
        if let Some(dry) = &mut self.dry {
            let port = dry.last().map_or(DRY_BASE, |last| (*last).max(0)) + 1;
            dry.insert(port);
            return Ok(port);
        }
        let (first, last) = self.of.port_range;
        let skip = static_ports(u32::from(last - first) + 1);
        let n = self.of.ports.take_any(self.ctx.server.storage(), skip).await?.map_err(|e| match e {
            RangeError::Full | RangeError::Taken => {
                ApiError::internal("failed to allocate a nodePort: range is full")
            }
        })?;
        let port = first + u16::try_from(n).unwrap_or(0);
        self.held.taken.push(Thing::Port(port));
        Ok(port.into())
    }

    /// Takes the port that an entry of the service asks for.
    async fn take_for(&mut self, service: &Value, index: usize, port: i64) -> Result<(), ApiError> {
        self.take(port).await?.map_err(|why| {
            let list = Path::new("spec.ports");
            let entry = list.index(index);
            let error = Error::invalid(&entry.child("nodePort"), &Value::from(port), why);
            families::invalid(service, &vec![error])
        })
    }

    async fn health(&mut self, service: &mut Value) -> Result<(), ApiError> {
        let given = obj::number_at(service, "spec.healthCheckNodePort").unwrap_or(0);
        if given != 0 {
            return self.take(given).await?.map_err(|why| {
                ApiError::internal(format!(
                    "failed to allocate requested HealthCheck NodePort {given}: {why}"
                ))
            });
        }
        let port = self.any().await?;
        obj::child_mut(service, "spec").insert("healthCheckNodePort".into(), port.into());
        Ok(())
    }
}

/// How many ports are left for those who ask for certain ones.
fn static_ports(size: u32) -> u32 {
    if size < 64 { 0 } else { (size / 32).clamp(16, 128) }
}

pub(super) fn has_ports(service: &Value) -> bool {
    matches!(service_type(service), "NodePort" | "LoadBalancer")
}

/// `shouldAllocateNodePorts`.
fn wants_ports(service: &Value) -> bool {
    match service_type(service) {
        "NodePort" => true,
        "LoadBalancer" => {
            obj::at(service, "spec.allocateLoadBalancerNodePorts").and_then(Value::as_bool).unwrap_or(true)
        }
        _ => false,
    }
}

fn number(entry: &Value, field: &str) -> i64 {
    entry.get(field).and_then(Value::as_i64).unwrap_or(0)
}

pub(super) fn entries(service: &Value) -> &[Value] {
    obj::at(service, "spec.ports").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn entry_mut(service: &mut Value, index: usize) -> Option<&mut Object> {
    service.get_mut("spec")?.get_mut("ports")?.get_mut(index)?.as_object_mut()
}

/// Entries without a node port get back the one that the entry of their name had, unless another entry has it now.
pub(super) fn patch_from_old(service: &mut Value, old: &Value) {
    let node_port = |e: &Value| number(e, "nodePort");
    let name = |e: &Value| e.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let now: HashSet<i64> = entries(service).iter().map(node_port).collect();
    let before: HashMap<String, i64> = entries(old).iter().map(|e| (name(e), node_port(e))).collect();
    for i in 0..entries(service).len() {
        let entry = &entries(service)[i];
        let kept = before.get(&name(entry)).copied().filter(|port| *port != 0 && !now.contains(port));
        if node_port(entry) == 0
            && let (Some(port), Some(entry)) = (kept, entry_mut(service, i))
        {
            entry.insert("nodePort".into(), port.into());
        }
    }
}

impl Allocators {
    /// Gives a service the node ports that it needs. A changed one keeps those of `old`.
    pub(super) async fn fill_ports(
        &self,
        ctx: &Ctx,
        service: &mut Value,
        old: Option<&Value>,
        dry_run: bool,
        held: &mut Held,
    ) -> Result<(), ApiError> {
        let mut operation = Operation { of: self, ctx, held, dry: dry_run.then(BTreeSet::new) };
        if has_ports(service) {
            match old {
                None => new_ports(&mut operation, service).await?,
                Some(old) => changed_ports(&mut operation, service, old).await?,
            }
        }
        if wants_health_port(service) && !old.is_some_and(wants_health_port) {
            operation.health(service).await?;
        }
        Ok(())
    }
}

/// `initNodePorts`: entries with the same port and another protocol share their node port.
async fn new_ports(operation: &mut Operation<'_>, service: &mut Value) -> Result<(), ApiError> {
    let wants = wants_ports(service);
    // What the first entry of a port that names a node port asks for.
    let mut asked: HashMap<i64, i64> = HashMap::new();
    for entry in entries(service) {
        let node_port = number(entry, "nodePort");
        if node_port != 0 {
            asked.entry(number(entry, "port")).or_insert(node_port);
        }
    }
    let mut by_port: HashMap<i64, i64> = HashMap::new();
    for i in 0..entries(service).len() {
        let (port, given) = (number(&entries(service)[i], "port"), number(&entries(service)[i], "nodePort"));
        if given == 0 && !wants {
            continue;
        }
        let node_port = match by_port.get(&port).copied() {
            Some(shared) if given == 0 || given == shared => shared,
            Some(_) => {
                operation.take_for(service, i, given).await?;
                continue;
            }
            None => {
                let node_port = match asked.get(&port).copied() {
                    Some(asked) => {
                        operation.take_for(service, i, asked).await?;
                        asked
                    }
                    None => operation.any().await?,
                };
                by_port.insert(port, node_port);
                node_port
            }
        };
        if let Some(entry) = entry_mut(service, i) {
            entry.insert("nodePort".into(), node_port.into());
        }
    }
    Ok(())
}

/// `updateNodePorts`: what the service had is not taken again.
async fn changed_ports(
    operation: &mut Operation<'_>,
    service: &mut Value,
    old: &Value,
) -> Result<(), ApiError> {
    let wants = wants_ports(service);
    let had: HashSet<i64> = entries(old).iter().map(|e| number(e, "nodePort")).filter(|n| *n != 0).collect();
    let (mut taken, mut seen): (HashSet<i64>, HashSet<(String, i64)>) = (HashSet::new(), HashSet::new());
    for i in 0..entries(service).len() {
        let entry = &entries(service)[i];
        let protocol = entry.get("protocol").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut port = number(entry, "nodePort");
        if port == 0 && !wants {
            continue;
        }
        if port == 0 {
            port = operation.any().await?;
            if let Some(entry) = entry_mut(service, i) {
                entry.insert("nodePort".into(), port.into());
            }
        } else if !had.contains(&port) && !taken.contains(&port) {
            operation.take_for(service, i, port).await?;
            taken.insert(port);
        }
        let key = (protocol, port);
        if seen.contains(&key) {
            return Err(ApiError::new(500, "", format!("duplicate nodePort: {{{} {port}}}", key.0)));
        }
        seen.insert(key);
    }
    Ok(())
}
