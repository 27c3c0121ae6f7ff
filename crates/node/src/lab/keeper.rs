//! `lab-keeper`: keeps the daemons of a lab in the network of their host.
//!
//! A daemon joins its host's network namespace when it starts. When the engine restarts, it starts containers in any
//! order and gives up on one whose host is not up yet; when a host restarts, its daemons stay behind in the namespace
//! that went away. The keeper hears of every start and stop from the engine, and plans anew from what it sees:
//!
//! ```text
//!   host down ───────────────────────────► nothing to do: its start is an event
//!   host up, daemon not running ─────────► start it
//!   host up, daemon older than the host ─► restart it
//! ```

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::models::{ContainerInspectResponse, RestartPolicyNameEnum};
use bollard::query_parameters::{
    EventsOptionsBuilder, ListContainersOptionsBuilder, RestartContainerOptionsBuilder,
};
use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::{Error, PROJECT_LABEL};

/// The arguments of `lab-keeper`.
#[derive(Debug, clap::Parser)]
pub(crate) struct Options {
    /// The compose project whose daemons are kept.
    #[arg(long)]
    project: String,
}

/// How long an engine that does not answer is left alone.
const BACK_OFF: Duration = Duration::from_secs(1);

/// Runs until it is told to stop; an engine that goes away is waited for.
pub(crate) async fn run(options: Options, stop: CancellationToken) -> Result<(), Error> {
    let docker = Docker::connect_with_local_defaults()?;
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            ended = watch(&docker, &options.project) => {
                if let Err(e) = ended {
                    tracing::warn!("Docker does not answer, trying again: {e}");
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(BACK_OFF) => {}
        }
    }
}

/// Follows the engine's events until they break off.
async fn watch(docker: &Docker, project: &str) -> Result<(), Error> {
    let filter = HashMap::from([
        ("type".to_owned(), vec!["container".to_owned()]),
        ("event".to_owned(), vec!["start".to_owned(), "die".to_owned()]),
        ("label".to_owned(), vec![format!("{PROJECT_LABEL}={project}")]),
    ]);
    // Events first, then the look around: nothing can fall between the two.
    let mut events = docker.events(Some(EventsOptionsBuilder::default().filters(&filter).build()));
    docker.ping().await?;
    tidy(docker, project).await?;
    while let Some(event) = events.next().await {
        event?;
        tidy(docker, project).await?;
    }
    Ok(())
}

/// One look at the lab, and what follows from it.
async fn tidy(docker: &Docker, project: &str) -> Result<(), Error> {
    let filter = HashMap::from([("label".to_owned(), vec![format!("{PROJECT_LABEL}={project}")])]);
    let list = ListContainersOptionsBuilder::default().all(true).filters(&filter).build();
    let mut seen = Vec::new();
    for summary in docker.list_containers(Some(list)).await? {
        let Some(id) = summary.id else { continue };
        match docker.inspect_container(&id, None).await {
            Ok(container) => seen.extend(Container::read(container)),
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    for (id, action) in plan(&seen) {
        tracing::info!("{action:?} {id}: its host is up");
        let done = match action {
            Action::Start => docker.start_container(&id, None).await,
            Action::Restart => {
                let at_once = RestartContainerOptionsBuilder::default().t(2).build();
                docker.restart_container(&id, Some(at_once)).await
            }
        };
        // The next event brings the next look.
        if let Err(e) = done {
            tracing::warn!("{action:?} {id}: {e}");
        }
    }
    Ok(())
}

/// What the plan needs to know of a container.
#[derive(Clone, Debug, PartialEq)]
struct Container {
    id: String,
    /// The container whose network it joins.
    host: Option<String>,
    running: bool,
    /// RFC 3339 in UTC, as the engine prints it.
    started_at: String,
    /// Whether the engine itself would keep it running: a one-shot that is done stays done, and so does what a person
    /// stopped.
    wanted: bool,
}

impl Container {
    fn read(container: ContainerInspectResponse) -> Option<Container> {
        let state = container.state?;
        let config = container.host_config?;
        let host =
            config.network_mode.as_deref().and_then(|m| m.strip_prefix("container:")).map(str::to_owned);
        let policy = config.restart_policy.and_then(|p| p.name);
        // 143 and 137 are what `docker stop` leaves behind; a start that failed leaves 128 and an error text.
        let failed_start = state.error.as_deref().is_some_and(|e| !e.is_empty());
        let always =
            matches!(policy, Some(RestartPolicyNameEnum::UNLESS_STOPPED | RestartPolicyNameEnum::ALWAYS));
        let on_failure = policy == Some(RestartPolicyNameEnum::ON_FAILURE);
        let running = state.running.unwrap_or(false);
        Some(Container {
            id: container.id?,
            host,
            running,
            started_at: state.started_at.unwrap_or_default(),
            wanted: (always && (running || failed_start)) || (on_failure && failed_start),
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    Start,
    Restart,
}

/// Which containers to start or restart.
fn plan(seen: &[Container]) -> Vec<(String, Action)> {
    let hosts: HashMap<&str, &Container> = seen.iter().map(|c| (c.id.as_str(), c)).collect();
    let mut actions = Vec::new();
    for container in seen.iter().filter(|c| c.wanted) {
        let Some(host) = container.host.as_deref().and_then(|h| hosts.get(h)) else { continue };
        if !host.running {
            continue;
        }
        if !container.running {
            actions.push((container.id.clone(), Action::Start));
        } else if container.started_at < host.started_at {
            actions.push((container.id.clone(), Action::Restart));
        }
    }
    actions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(id: &str, host: Option<&str>, running: bool, started_at: &str) -> Container {
        Container {
            id: id.into(),
            host: host.map(Into::into),
            running,
            started_at: started_at.into(),
            wanted: true,
        }
    }

    #[test]
    fn a_daemon_waits_for_its_host() {
        let seen = [container("h", None, false, ""), container("d", Some("h"), false, "")];
        assert_eq!(plan(&seen), []);
    }

    #[test]
    fn a_daemon_follows_its_host() {
        let seen = [
            container("h", None, true, "2026-01-01T00:00:05Z"),
            container("down", Some("h"), false, "2026-01-01T00:00:01Z"),
            container("older", Some("h"), true, "2026-01-01T00:00:04Z"),
            container("younger", Some("h"), true, "2026-01-01T00:00:06Z"),
        ];
        assert_eq!(plan(&seen), [("down".to_owned(), Action::Start), ("older".to_owned(), Action::Restart)]);
    }

    #[test]
    fn what_a_person_stopped_stays_stopped() {
        let mut stopped = container("d", Some("h"), false, "2026-01-01T00:00:01Z");
        stopped.wanted = false;
        assert_eq!(plan(&[container("h", None, true, "2026-01-01T00:00:05Z"), stopped]), []);
    }
}
