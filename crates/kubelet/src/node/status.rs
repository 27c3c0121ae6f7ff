//! The Node's status from facts. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeStatus,
    NodeSystemInfo,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::facts::Facts;

/// Upstream's hard eviction threshold of memory, which pods cannot be given.
const RESERVED_MEMORY: i64 = 100 << 20;

/// Condition, event when it becomes true, event when it becomes false.
pub const EVENTS: [(&str, &str, &str); 4] = [
    ("MemoryPressure", "NodeHasInsufficientMemory", "NodeHasSufficientMemory"),
    ("DiskPressure", "NodeHasDiskPressure", "NodeHasNoDiskPressure"),
    ("PIDPressure", "NodeHasInsufficientPID", "NodeHasSufficientPID"),
    ("Ready", "NodeReady", "NodeNotReady"),
];

fn resources(facts: &Facts, reserved: bool) -> BTreeMap<String, Quantity> {
    let memory =
        if reserved { (facts.capacity.memory - RESERVED_MEMORY).max(0) } else { facts.capacity.memory };
    // A tenth of the disk is kept free.
    let storage = if reserved {
        (facts.capacity.storage / 10 * 9).to_string()
    } else {
        format!("{}Ki", facts.capacity.storage / 1024)
    };
    [
        ("cpu", (facts.capacity.cpu_milli / 1000).to_string()),
        ("memory", format!("{}Ki", memory / 1024)),
        ("pods", facts.max_pods.to_string()),
        ("ephemeral-storage", storage),
        ("hugepages-1Gi", "0".into()),
        ("hugepages-2Mi", "0".into()),
    ]
    .into_iter()
    .map(|(name, amount)| (name.to_owned(), Quantity(amount)))
    .collect()
}

/// The status. Transition times of conditions that did not change come from `before`.
pub fn status(
    facts: &Facts,
    network: &Result<(), String>,
    runtime_well: bool,
    before: Option<&NodeStatus>,
    now: Timestamp,
) -> NodeStatus {
    let time = || Some(Time(Timestamp::from_second(now.as_second()).unwrap_or(now)));
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        let old = before.and_then(|b| b.conditions.as_ref()?.iter().find(|c| c.type_ == kind));
        NodeCondition {
            type_: kind.into(),
            status: status.into(),
            reason: Some(reason.into()),
            message: Some(message.into()),
            last_heartbeat_time: time(),
            last_transition_time: match old {
                Some(old) if old.status == status => old.last_transition_time.clone(),
                _ => time(),
            },
        }
    };
    let ready = match (runtime_well, network) {
        (false, _) => condition("Ready", "False", "KubeletNotReady", "container runtime is down"),
        (true, Err(why)) => condition("Ready", "False", "KubeletNotReady", why),
        (true, Ok(())) => condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    };
    let address = |kind: &str, address: &str| NodeAddress { type_: kind.into(), address: address.into() };
    NodeStatus {
        addresses: Some(vec![address("InternalIP", &facts.ip), address("Hostname", &facts.hostname)]),
        capacity: Some(resources(facts, false)),
        allocatable: Some(resources(facts, true)),
        conditions: Some(vec![
            condition(
                "MemoryPressure",
                "False",
                "KubeletHasSufficientMemory",
                "kubelet has sufficient memory available",
            ),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            condition(
                "PIDPressure",
                "False",
                "KubeletHasSufficientPID",
                "kubelet has sufficient PID available",
            ),
            ready,
        ]),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint { port: i32::from(facts.port) }),
        }),
        images: Some(
            facts
                .images
                .iter()
                .map(|i| ContainerImage { names: Some(i.names.clone()), size_bytes: Some(i.size) })
                .collect(),
        ),
        node_info: Some(NodeSystemInfo {
            architecture: component_base::version::go_arch().into(),
            boot_id: facts.boot_id.clone(),
            container_runtime_version: facts.runtime.clone(),
            kernel_version: facts.kernel.clone(),
            kube_proxy_version: component_base::version::GIT_VERSION.into(),
            kubelet_version: component_base::version::GIT_VERSION.into(),
            machine_id: facts.machine_id.clone(),
            operating_system: "linux".into(),
            os_image: facts.os_image.clone(),
            system_uuid: facts.system_uuid.clone(),
            swap: None,
        }),
        ..NodeStatus::default()
    }
}

/// Equal but for heartbeats and what others set?
pub fn same(a: &NodeStatus, b: &NodeStatus) -> bool {
    let view = |status: &NodeStatus| {
        let conditions: BTreeMap<_, _> = status
            .conditions
            .iter()
            .flatten()
            .filter(|c| EVENTS.iter().any(|(kind, ..)| *kind == c.type_))
            .map(|c| (c.type_.clone(), (c.status.clone(), c.reason.clone(), c.message.clone())))
            .collect();
        (
            conditions,
            status.addresses.clone(),
            status.capacity.clone(),
            status.allocatable.clone(),
            status.node_info.clone(),
        )
    };
    view(a) == view(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_follows_network_and_runtime() {
        let facts = Facts::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = status(&facts, &Err("no network".into()), true, None, at(1));
        let ready = |s: &NodeStatus| s.conditions.as_ref().unwrap()[3].clone();
        assert_eq!(
            (ready(&first).status.as_str(), ready(&first).message.as_deref()),
            ("False", Some("no network"))
        );
        let second = status(&facts, &Ok(()), true, Some(&first), at(2));
        assert_eq!(ready(&second).last_transition_time.unwrap().0, at(2));
        let third = status(&facts, &Ok(()), true, Some(&second), at(3));
        assert_eq!(ready(&third).last_transition_time.unwrap().0, at(2));
        assert!(same(&second, &third) && !same(&first, &second));
        assert_eq!(
            ready(&status(&facts, &Ok(()), false, None, at(1))).message.as_deref(),
            Some("container runtime is down")
        );
    }
}
