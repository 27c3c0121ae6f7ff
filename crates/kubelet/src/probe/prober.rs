//! One task per probe of a running container. It counts thresholds and reports only what changes.

use std::sync::Arc;
use std::time::Duration;

use client::events::EventType;
use k8s_openapi::api::core::v1::{Container, Pod, Probe};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::{Verdict, exec, http_get, tcp};
use crate::context::Context;

/// Which probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Gave up: the container is restarted.
    Liveness,
    /// Decides whether traffic is sent.
    Readiness,
    /// Holds the others back until it succeeds.
    Startup,
}

impl Kind {
    /// The container's probe of this kind.
    pub fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            Kind::Liveness => container.liveness_probe.as_ref(),
            Kind::Readiness => container.readiness_probe.as_ref(),
            Kind::Startup => container.startup_probe.as_ref(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Liveness => "Liveness",
            Kind::Readiness => "Readiness",
            Kind::Startup => "Startup",
        }
    }
}

/// A new verdict, thresholds counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The container.
    pub id: String,
    /// Which probe.
    pub kind: Kind,
    /// Well or not.
    pub success: bool,
}

/// What a probe task needs.
pub struct Target {
    /// The pod.
    pub pod: Arc<Pod>,
    /// The container's name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// The pod's address.
    pub ip: String,
    /// How long it has been running.
    pub age: Duration,
}

/// Counts successes and failures in a row. Pure.
#[derive(Debug)]
pub struct Thresholds {
    success: i32,
    failure: i32,
    run: i32,
    last: Option<bool>,
}

impl Thresholds {
    /// Upstream's defaults are 1 and 3.
    pub fn new(probe: &Probe) -> Self {
        Self {
            success: probe.success_threshold.unwrap_or(1).max(1),
            failure: probe.failure_threshold.unwrap_or(3).max(1),
            run: 0,
            last: None,
        }
    }

    /// A verdict once enough have come in a row.
    pub fn count(&mut self, success: bool) -> Option<bool> {
        if self.last != Some(success) {
            self.run = 0;
        }
        self.last = Some(success);
        self.run = self.run.saturating_add(1);
        let needed = if success { self.success } else { self.failure };
        (self.run >= needed).then_some(success)
    }
}

/// Starts probing. The task ends when the handle is dropped, and by itself once liveness has given up or startup is
/// decided.
pub fn spawn(
    context: Arc<Context>,
    target: Target,
    kind: Kind,
    reports: mpsc::UnboundedSender<Report>,
) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(probe(context, target, kind, reports)))
}

async fn probe(context: Arc<Context>, target: Target, kind: Kind, reports: mpsc::UnboundedSender<Report>) {
    let Some(container) = crate::pod::spec::container(&target.pod, &target.name) else { return };
    let Some(probe) = kind.of(container) else { return };
    let seconds = |n: Option<i32>, default: u64| {
        Duration::from_secs(n.and_then(|n| u64::try_from(n).ok()).unwrap_or(default))
    };
    let period = seconds(probe.period_seconds, 10).max(Duration::from_secs(1));
    let delay = seconds(probe.initial_delay_seconds, 0).saturating_sub(target.age);
    tokio::time::sleep(delay).await;
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut thresholds = Thresholds::new(probe);
    let mut reported = None;
    loop {
        ticks.tick().await;
        let verdict = once(&context, &target, container, probe).await;
        let success = match &verdict {
            Verdict::Success => true,
            Verdict::Failure(what) => {
                let text = format!("{} probe failed: {what}", kind.name());
                context.say_container(&target.pod, &target.name, EventType::Warning, "Unhealthy", text);
                false
            }
            Verdict::Error(what) => {
                let text = format!("{} probe errored and resulted in unknown state: {what}", kind.name());
                context.say_container(&target.pod, &target.name, EventType::Warning, "Unhealthy", text);
                // Upstream ignores what it could not find out.
                continue;
            }
        };
        let Some(success) = thresholds.count(success) else { continue };
        if reported == Some(success) {
            continue;
        }
        reported = Some(success);
        let report = Report { id: target.id.clone(), kind, success };
        if reports.send(report).is_err() || kind == Kind::Startup || (kind == Kind::Liveness && !success) {
            return;
        }
    }
}

async fn once(context: &Context, target: &Target, container: &Container, probe: &Probe) -> Verdict {
    let timeout =
        Duration::from_secs(probe.timeout_seconds.and_then(|t| u64::try_from(t).ok()).unwrap_or(1).max(1));
    if let Some(action) = &probe.exec {
        exec(context.runtime.as_ref(), &target.id, action, timeout).await
    } else if let Some(action) = &probe.http_get {
        http_get(action, container, &target.ip, timeout).await
    } else if let Some(action) = &probe.tcp_socket {
        tcp(action, container, &target.ip, timeout).await
    } else {
        Verdict::Error(format!("missing probe handler for {}", target.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_count_in_a_row() {
        let mut thresholds = Thresholds::new(&Probe { failure_threshold: Some(2), ..Probe::default() });
        assert_eq!(thresholds.count(false), None);
        assert_eq!(thresholds.count(true), Some(true));
        assert_eq!(thresholds.count(false), None);
        assert_eq!(thresholds.count(false), Some(false));
    }
}
