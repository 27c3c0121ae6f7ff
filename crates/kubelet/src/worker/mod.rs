//! One worker per pod: looks at what is there, plans, acts, reports; then waits for news (the object changed, Docker
//! said something, a probe's verdict, a time has come).

mod execute;
mod files;
mod hooks;
mod observe;
mod probes;
pub mod publish;
mod start;
mod stop;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use client::events::EventType;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use crate::context::Context;
use crate::labels::PodRef;
use crate::pod::observed::Observed;
use crate::pod::plan::{self, Action, End, Memory, Plan, View};
use crate::pod::status::{self, Facts};
use crate::pod::{dns, spec};
use crate::probe::prober::{Kind, Report};
use crate::volumes::{self, Places};
use publish::Publisher;
use stop::Stopper;

/// What is wanted of a pod.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The object as last seen.
    pub pod: Arc<Pod>,
    /// The object is not in the API any more.
    pub gone: bool,
}

/// A worker's counterpart.
///
/// Dropping it ends the worker where it stands, as the end of the process would; containers are not touched.
pub struct Handle {
    wanted: watch::Sender<Wanted>,
    wake: Arc<Notify>,
    _task: AbortOnDropHandle<()>,
}

impl Handle {
    /// A newer object.
    pub fn update(&self, wanted: Wanted) {
        self.wanted.send_if_modified(|now| {
            let newer = wanted.gone != now.gone || !Arc::ptr_eq(&wanted.pod, &now.pod);
            *now = wanted;
            newer
        });
    }

    /// The object goes away.
    pub fn gone(&self) {
        self.wanted.send_if_modified(|now| !std::mem::replace(&mut now.gone, true));
    }

    /// Something happened to its containers.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// The object as last seen.
    pub fn pod(&self) -> Arc<Pod> {
        self.wanted.borrow().pod.clone()
    }
}

/// See the module.
pub struct Worker {
    context: Arc<Context>,
    id: PodRef,
    wanted: watch::Receiver<Wanted>,
    wake: Arc<Notify>,
    reports: (mpsc::UnboundedSender<Report>, mpsc::UnboundedReceiver<Report>),
    memory: Memory,
    publisher: Publisher,
    sent: Option<PodStatus>,
    stoppers: HashMap<String, Stopper>,
    probers: HashMap<(String, Kind), AbortOnDropHandle<()>>,
    /// Sandboxes whose wiring was checked by this process.
    wired: HashSet<String>,
    places: Option<Places>,
    refresh_at: Option<Timestamp>,
    environments: HashMap<String, Vec<(String, String)>>,
    image_refs: BTreeMap<String, String>,
    last_words: BTreeMap<String, String>,
    sandbox_failures: u32,
    failing: Option<Timestamp>,
    said_dns: bool,
}

/// Starts a worker. It ends when nothing is left of the pod; `ended` then gets the uid.
pub fn spawn(context: Arc<Context>, wanted: Wanted, ended: mpsc::UnboundedSender<String>) -> Handle {
    let id = PodRef::of(&wanted.pod);
    let (sender, receiver) = watch::channel(wanted);
    let wake = Arc::new(Notify::new());
    let worker = Worker {
        publisher: Publisher::start(context.client.clone(), id.clone()),
        context,
        id: id.clone(),
        wanted: receiver,
        wake: wake.clone(),
        reports: mpsc::unbounded_channel(),
        memory: Memory::default(),
        sent: None,
        stoppers: HashMap::new(),
        probers: HashMap::new(),
        wired: HashSet::new(),
        places: None,
        refresh_at: None,
        environments: HashMap::new(),
        image_refs: BTreeMap::new(),
        last_words: BTreeMap::new(),
        sandbox_failures: 0,
        failing: None,
        said_dns: false,
    };
    let task = tokio::spawn(async move {
        worker.run().await;
        let _ = ended.send(id.uid);
    });
    Handle { wanted: sender, wake, _task: AbortOnDropHandle::new(task) }
}

/// What a round led to.
enum Next {
    /// Something was done: look again at once.
    Again,
    /// Wait for news, at most until then.
    Wait(Option<Timestamp>),
    /// Nothing is left of the pod.
    Done,
}

impl Worker {
    async fn run(mut self) {
        loop {
            let until = match self.round().await {
                Next::Done => return,
                Next::Again => continue,
                Next::Wait(until) => until,
            };
            let longest = self.context.config.sync_frequency;
            let pause = until.map_or(longest, |until| {
                let left = until.duration_since(client::clock::now());
                Duration::try_from(left).unwrap_or_default().clamp(Duration::from_millis(10), longest)
            });
            tokio::select! {
                changed = self.wanted.changed() => if changed.is_err() { return },
                () = self.wake.notified() => {}
                report = self.reports.1.recv() => {
                    if let Some(report) = report {
                        self.note(&report);
                    }
                }
                () = tokio::time::sleep(pause) => {}
            }
            while let Ok(report) = self.reports.1.try_recv() {
                self.note(&report);
            }
        }
    }

    fn end(&mut self, wanted: &Wanted, now: Timestamp) -> Option<End> {
        if wanted.gone || wanted.pod.metadata.deletion_timestamp.is_some() {
            return Some(End::Deleted);
        }
        if self.memory.failed.is_none() && plan::deadline(&wanted.pod).is_some_and(|end| now >= end) {
            let message = "Pod was active on the node longer than the specified deadline".to_owned();
            self.context.say(&wanted.pod, EventType::Normal, "DeadlineExceeded", message.clone());
            self.memory.failed = Some(("DeadlineExceeded".into(), message));
        }
        (self.memory.failed.is_some() || spec::is_terminal(&wanted.pod)).then_some(End::Terminal)
    }

    async fn round(&mut self) -> Next {
        let wanted = self.wanted.borrow_and_update().clone();
        let pod = wanted.pod.clone();
        let observed = match self.observe(&pod).await {
            Ok(observed) => observed,
            Err(e) => {
                tracing::warn!(pod = %self.id, "cannot look at the pod's containers: {e}");
                return Next::Wait(Some(client::clock::now() + jiff::SignedDuration::from_secs(2)));
            }
        };
        let now = client::clock::now();
        let end = self.end(&wanted, now);
        self.note_exits(&observed).await;
        self.steer_probes(&pod, &observed, end);
        let plan = plan::plan(&View { pod: &pod, observed: &observed, memory: &self.memory, end, now });
        for name in plan.crash_loops.keys().filter(|_| self.failing != plan.wake_at) {
            let text = format!("Back-off restarting failed container {name} in pod {}", self.id);
            self.context.say_container(&pod, name, EventType::Warning, "BackOff", text);
        }
        self.failing = if plan.crash_loops.is_empty() { None } else { plan.wake_at };
        self.report(&wanted, &observed, &plan, end, now);
        let mut done_something = false;
        for action in &plan.actions {
            if *action == Action::Finish {
                return self.finish(&wanted).await;
            }
            match self.execute(&wanted, &observed, action).await {
                Ok(did) => done_something |= did,
                Err(retry_at) => {
                    let until = plan.wake_at.map_or(retry_at, |at| at.min(retry_at));
                    self.report_again(&wanted, end).await;
                    return Next::Wait(Some(until));
                }
            }
        }
        if done_something {
            return Next::Again;
        }
        // A start that was put off changed nothing in Docker, but people want to see why.
        if plan.actions.iter().any(|a| matches!(a, Action::Start { .. })) {
            self.report_again(&wanted, end).await;
        }
        let refresh = self.refresh(&pod, &observed, end, now).await;
        let until = [plan.wake_at, refresh].into_iter().flatten().min();
        Next::Wait(until)
    }

    /// Config maps, secrets and tokens change while the pod runs.
    async fn refresh(
        &mut self,
        pod: &Arc<Pod>,
        observed: &Observed,
        end: Option<End>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        if end.is_some() || !observed.any_running() || !volumes::refreshes(pod) {
            return None;
        }
        let period = jiff::SignedDuration::try_from(self.context.config.sync_frequency).unwrap_or_default();
        let due = self.refresh_at.get_or_insert(now + period);
        if now >= *due {
            *due = now + period;
            if let Err(e) = self.set_up_volumes(pod, observed).await {
                tracing::warn!(pod = %self.id, "{e}");
            }
        }
        self.refresh_at
    }

    /// Sends the status when it differs from the one last sent.
    fn report(
        &mut self,
        wanted: &Wanted,
        observed: &Observed,
        plan: &Plan,
        end: Option<End>,
        now: Timestamp,
    ) {
        if wanted.gone {
            return;
        }
        let host_ip = self.context.node_ip.to_string();
        let status = status::generate(&Facts {
            pod: &wanted.pod,
            before: self.sent.as_ref(),
            observed,
            memory: &self.memory,
            plan,
            last_words: &self.last_words,
            image_refs: &self.image_refs,
            host_ip: &host_ip,
            terminal: end.is_some(),
            now,
        });
        let known = self.sent.as_ref().or(wanted.pod.status.as_ref());
        if known.is_some_and(|known| publish::same(known, &status)) {
            self.sent.get_or_insert(status);
            return;
        }
        self.sent = Some(status.clone());
        self.publisher.send(status);
    }

    /// After a failed step: why it waits should be seen at once.
    async fn report_again(&mut self, wanted: &Wanted, end: Option<End>) {
        if let Ok(observed) = self.observe(&wanted.pod).await {
            let now = client::clock::now();
            let plan =
                plan::plan(&View { pod: &wanted.pod, observed: &observed, memory: &self.memory, end, now });
            self.report(wanted, &observed, &plan, end, now);
        }
    }

    async fn finish(&mut self, wanted: &Wanted) -> Next {
        if let Err(e) = self.context.volumes.tear_down(&self.id.uid, Some(&wanted.pod)).await {
            tracing::warn!(pod = %self.id, "cannot remove the pod's volumes: {e}");
            return Next::Wait(Some(client::clock::now() + jiff::SignedDuration::from_secs(2)));
        }
        self.context.images.forget(&self.id.uid);
        if !wanted.gone {
            self.publisher.delete().await;
        }
        tracing::info!(pod = %self.id, "pod is gone");
        Next::Done
    }

    fn say_missing_dns(&mut self, pod: &Pod) {
        let cluster = dns::Cluster {
            servers: &self.context.config.cluster_dns,
            domain: &self.context.config.cluster_domain,
        };
        if !self.said_dns && dns::misses_cluster_dns(pod, &cluster) {
            self.said_dns = true;
            let text = format!(
                "pod: {:?}. kubelet does not have ClusterDNS IP configured and cannot create Pod using {:?} policy. Falling back to \"Default\" policy.",
                self.id.to_string(),
                spec::of(pod).dns_policy.as_deref().unwrap_or("ClusterFirst")
            );
            self.context.say(pod, EventType::Warning, "MissingClusterDNS", text);
        }
    }
}
