//! Filters and scores, one file per idea. Names, reasons and weights are upstream's default profile.

pub mod affinity;
pub mod spread;
pub mod volumes;

mod filter;
mod score;

use std::borrow::Cow;

pub use filter::{PreFilter, filter, pre_filter};
pub use score::score;

/// Which plugin rejected a pod; decides which events may help it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Plugin {
    NodeUnschedulable,
    NodeName,
    TaintToleration,
    NodeAffinity,
    NodePorts,
    NodeResourcesFit,
    VolumeBinding,
    PodTopologySpread,
    InterPodAffinity,
}

/// Why a node does not take a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Who says so.
    pub plugin: Plugin,
    /// Whether it could change by removing pods from the node.
    pub preemptible: bool,
    /// What it says, to the word.
    pub reasons: Vec<Cow<'static, str>>,
}

impl Rejection {
    pub(crate) fn new(plugin: Plugin, preemptible: bool, reason: &'static str) -> Self {
        Self { plugin, preemptible, reasons: vec![Cow::Borrowed(reason)] }
    }
}
