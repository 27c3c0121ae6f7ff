//! What pods request and nodes offer, as numbers (upstream's `framework.Resource` and `resourcehelper.PodRequests`).

use std::collections::BTreeMap;

use crate::{
    quantity::{milli, value},
    views::{Container, PodSpec, Quantities},
};

/// What a container without a request counts as when nodes are compared: 0.1 CPU and 200 MiB.
const DEFAULT_MILLI_CPU: i64 = 100;
const DEFAULT_MEMORY: i64 = 200 * 1024 * 1024;

/// Amounts of each resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Thousandths of a CPU.
    pub milli_cpu: i64,
    /// Bytes.
    pub memory: i64,
    /// Bytes.
    pub ephemeral_storage: i64,
    /// How many pods (of a node).
    pub pods: i64,
    /// Extended resources and huge pages.
    pub scalars: BTreeMap<String, i64>,
}

impl Resources {
    /// Reads a map of quantities.
    pub fn parse(quantities: &Quantities) -> Self {
        let mut resources = Self::default();
        for (name, quantity) in quantities {
            match name.as_str() {
                "cpu" => resources.milli_cpu = milli(quantity),
                "memory" => resources.memory = value(quantity),
                "ephemeral-storage" => resources.ephemeral_storage = value(quantity),
                "pods" => resources.pods = value(quantity),
                // Other native names (without a domain) are not scheduled by.
                name if name.contains('/') || name.starts_with("hugepages-") => {
                    resources.scalars.insert(name.to_owned(), value(quantity));
                }
                _ => {}
            }
        }
        resources
    }

    /// Adds `other`, `sign` being 1 or -1.
    pub fn add(&mut self, other: &Self, sign: i64) {
        self.milli_cpu += sign * other.milli_cpu;
        self.memory += sign * other.memory;
        self.ephemeral_storage += sign * other.ephemeral_storage;
        for (name, amount) in &other.scalars {
            *self.scalars.entry(name.clone()).or_default() += sign * amount;
        }
    }

    /// At least as much of each as `other`.
    fn raise(&mut self, other: &Self) {
        self.milli_cpu = self.milli_cpu.max(other.milli_cpu);
        self.memory = self.memory.max(other.memory);
        self.ephemeral_storage = self.ephemeral_storage.max(other.ephemeral_storage);
        for (name, amount) in &other.scalars {
            let held = self.scalars.entry(name.clone()).or_default();
            *held = (*held).max(*amount);
        }
    }

    fn is_zero(&self) -> bool {
        self.milli_cpu == 0
            && self.memory == 0
            && self.ephemeral_storage == 0
            && self.scalars.values().all(|amount| *amount == 0)
    }

    /// Whether nothing is requested at all.
    pub fn is_best_effort(&self) -> bool {
        self.is_zero()
    }
}

/// What a pod needs: all containers together, or its most demanding init step if that is more, and its overhead.
pub fn requests(spec: &PodSpec) -> Resources {
    sum(spec, |container| Resources::parse(&container.resources.requests))
}

/// The same with stand-ins for missing requests, for comparing nodes.
pub fn nonzero_requests(spec: &PodSpec) -> Resources {
    sum(spec, |container| {
        let requests = &container.resources.requests;
        let mut resources = Resources::parse(requests);
        if !requests.contains_key("cpu") {
            resources.milli_cpu = DEFAULT_MILLI_CPU;
        }
        if !requests.contains_key("memory") {
            resources.memory = DEFAULT_MEMORY;
        }
        resources
    })
}

fn sum(spec: &PodSpec, of: impl Fn(&Container) -> Resources) -> Resources {
    let mut total = Resources::default();
    for container in &spec.containers {
        total.add(&of(container), 1);
    }
    let mut sidecars = Resources::default();
    let mut init = Resources::default();
    for container in &spec.init_containers {
        let mut step = of(container);
        if container.restart_policy.as_deref() == Some("Always") {
            // Sidecars run on beside everything that starts after them.
            sidecars.add(&step, 1);
            total.add(&step, 1);
            step = Resources::default();
        }
        step.add(&sidecars, 1);
        init.raise(&step);
    }
    total.raise(&init);
    // Requests of the pod as a whole replace the sum.
    let whole = Resources::parse(&spec.resources.requests);
    if spec.resources.requests.contains_key("cpu") {
        total.milli_cpu = whole.milli_cpu;
    }
    if spec.resources.requests.contains_key("memory") {
        total.memory = whole.memory;
    }
    total.add(&Resources::parse(&spec.overhead), 1);
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(cpu: &str, restart: Option<&str>) -> Container {
        let mut container = Container { restart_policy: restart.map(str::to_owned), ..Container::default() };
        container.resources.requests.insert("cpu".into(), cpu.into());
        container
    }

    #[test]
    fn init_containers_sidecars_and_overhead() {
        let mut spec =
            PodSpec { containers: vec![container("1", None), container("500m", None)], ..PodSpec::default() };
        assert_eq!(requests(&spec).milli_cpu, 1500);
        spec.init_containers = vec![container("2", None)];
        assert_eq!(requests(&spec).milli_cpu, 2000);
        spec.init_containers = vec![container("200m", Some("Always")), container("1600m", None)];
        assert_eq!(requests(&spec).milli_cpu, 1800);
        spec.overhead.insert("cpu".into(), "50m".into());
        assert_eq!(requests(&spec).milli_cpu, 1850);
        let bare = PodSpec { containers: vec![Container::default()], ..PodSpec::default() };
        assert!(requests(&bare).is_best_effort());
        assert_eq!(nonzero_requests(&bare).milli_cpu, 100);
    }
}
