//! The account `default` in every namespace (upstream's `serviceaccounts_controller.go`).

use client::controller::Outcome;
use client::informer::Event;
use client::queue::WorkQueue;
use client::{ErrorExt, ObjectKey};
use serde_json::json;

use crate::api;
use crate::context::{Context, synced};
use crate::views::{Namespace, ServiceAccount};

/// The account that pods get when they name none.
const NAME: &str = "default";

/// Whether a namespace still takes new objects.
pub(super) fn is_active(namespace: &Namespace) -> bool {
    namespace.metadata.deletion_timestamp.is_none()
        && namespace.status.phase.as_deref() != Some("Terminating")
}

/// Runs the controller until stopped.
pub async fn run(context: Context) {
    let namespaces = context.informers.of::<Namespace>();
    let accounts = context.informers.of::<ServiceAccount>();
    let queue = WorkQueue::<ObjectKey>::new();
    let q = queue.clone();
    namespaces.add_handler(move |event| {
        q.add(ObjectKey::cluster(event.object().metadata.name.clone().unwrap_or_default()))
    });
    let q = queue.clone();
    accounts.add_handler(move |event| {
        if let Event::Deleted(account) = event
            && account.metadata.name.as_deref() == Some(NAME)
        {
            q.add(ObjectKey::cluster(account.metadata.namespace.clone().unwrap_or_default()));
        }
    });
    if !synced(&context.stop, &[&namespaces, &accounts]).await {
        return;
    }
    let client = context.client.clone();
    client::controller::run("serviceaccount-controller", queue, 1, context.stop, move |key| {
        let (client, namespaces, accounts) =
            (client.clone(), namespaces.store().clone(), accounts.store().clone());
        async move {
            let active = namespaces.get(&key).is_some_and(|namespace| is_active(&namespace));
            if !active || accounts.get(&ObjectKey::new(&*key.name, NAME)).is_some() {
                return Ok(Outcome::Done);
            }
            let account = json!({ "metadata": { "name": NAME, "namespace": key.name } });
            match api::create::<ServiceAccount>(&client, Some(&key.name), account).await {
                Ok(_) => Ok(Outcome::Done),
                Err(err)
                    if err.is_already_exists() || err.is_namespace_terminating() || err.is_not_found() =>
                {
                    Ok(Outcome::Done)
                }
                Err(err) => Err(err),
            }
        }
    })
    .await;
}
