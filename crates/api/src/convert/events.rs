//! Events of `events.k8s.io`: the same objects as the core group's, under other names.

use super::{Steps, rename};
use crate::Object;

/// Both versions of `events.k8s.io`.
pub(super) const EVENT: Steps = Steps {
    to_hub: |o| {
        NAMES.iter().for_each(|(new, core)| rename(o, new, core));
        Ok(())
    },
    from_hub: |o: &mut Object| {
        NAMES.iter().for_each(|(new, core)| rename(o, core, new));
        Ok(())
    },
};

const NAMES: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];
