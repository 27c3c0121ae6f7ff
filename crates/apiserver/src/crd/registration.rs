//! One API service for each group version of custom resources, as long as there is one (upstream's `crd-autoregister` and
//! `autoregister` controllers). Nothing here depends on them; clients look into them for what is served.

use std::collections::BTreeSet;

use api::status::ApiError;
use cache::Predicate;
use serde_json::json;

use crate::Server;
use crate::bootstrap::{SELF, ensure};
use crate::registry::strategy::api_services::local_status;

const LABEL: &str = "kube-aggregator.kubernetes.io/automanaged";
/// The label's value of services that come and go with definitions.
const MANAGED: &str = "true";
/// Behind the groups that are built in.
const GROUP_PRIORITY: i64 = 1000;
const VERSION_PRIORITY: i64 = 100;

/// Makes those of these group versions that are missing, and removes those of others that were made here.
pub(super) async fn register(server: &Server, served: &BTreeSet<(String, String)>) -> Result<(), ApiError> {
    // The group may be turned off.
    let Ok(resource) = server.registry().builtin("apiregistration.k8s.io", "apiservices") else {
        return Ok(());
    };
    let name_of = |(group, version): &(String, String)| format!("{version}.{group}");
    for of in served {
        let (group, version) = of;
        let object = || {
            json!({
                "metadata": {"labels": {LABEL: MANAGED}},
                "spec": {
                    "group": group, "version": version, "groupPriorityMinimum": GROUP_PRIORITY,
                    "versionPriority": VERSION_PRIORITY,
                },
                "status": local_status(),
            })
        };
        ensure(server, &resource, ("", &name_of(of)), object, SELF).await?;
    }
    let names: BTreeSet<String> = served.iter().map(name_of).collect();
    let kind = crate::admission::plugins::fresh(server, "apiregistration.k8s.io", "apiservices").await?;
    let there = kind.list(&Predicate::default(), 0, None).items;
    for item in there.iter().filter(|i| i.label(LABEL) == Some(MANAGED) && !names.contains(i.name())) {
        // Whoever changed it meanwhile is seen by the next look.
        let _ = server
            .storage()
            .delete(&server.storage().key(&resource, "", item.name()), item.revision())
            .await?;
    }
    Ok(())
}
