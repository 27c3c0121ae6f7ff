//! The priority levels and flow schemas that every cluster has (upstream's `apis/flowcontrol/bootstrap`). Requests are
//! not sorted by them here; clients and operators find what upstream's servers have.

use api::Value;
use api::status::ApiError;
use futures::future::try_join_all;
use serde_json::json;

use super::obj;
use crate::Server;
use crate::bootstrap::{self, Owners, SELF};

const GROUP: &str = "flowcontrol.apiserver.k8s.io";

/// Who writes the objects, and who the condition of schemas.
const PRODUCER: &str = "api-priority-and-fairness-config-producer-v1";
const CONSUMER: &str = "api-priority-and-fairness-config-consumer-v1";

/// A level that limits: its name, nominal shares, what it lends in percent, and its queues with the size of a hand,
/// unless it rejects at once.
type Level = (&'static str, u32, u32, Option<(u32, u32)>);

const LEVELS: [Level; 7] = [
    ("catch-all", 5, 0, None),
    ("global-default", 20, 50, Some((128, 6))),
    ("leader-election", 10, 0, Some((16, 4))),
    ("node-high", 40, 25, Some((64, 6))),
    ("system", 30, 33, Some((64, 6))),
    ("workload-high", 40, 50, Some((128, 6))),
    ("workload-low", 100, 90, Some((128, 6))),
];

/// The level that limits nothing.
const EXEMPT: &str = "exempt";

/// Whom a schema is about.
#[derive(Clone, Copy)]
enum Who {
    User(&'static str),
    Group(&'static str),
    /// The service accounts of a namespace.
    Accounts(&'static str),
}

const MANAGER: Who = Who::User("system:kube-controller-manager");
const SCHEDULER: Who = Who::User("system:kube-scheduler");
const SYSTEM_ACCOUNTS: Who = Who::Accounts("kube-system");
const EVERYBODY: [Who; 2] = [Who::Group("system:unauthenticated"), Who::Group("system:authenticated")];

/// Which requests a schema is about.
#[derive(Clone, Copy)]
enum What {
    Everything,
    Probes,
    /// Reading and renewing leases.
    Elections,
    /// Nodes and their leases.
    Heartbeats,
}

struct Schema {
    name: &'static str,
    level: &'static str,
    precedence: u32,
    flows: Option<&'static str>,
    who: &'static [Who],
    what: What,
}

const fn schema(
    (name, level): (&'static str, &'static str),
    precedence: u32,
    flows: Option<&'static str>,
    who: &'static [Who],
    what: What,
) -> Schema {
    Schema { name, level, precedence, flows, who, what }
}

const USER: Option<&str> = Some("ByUser");
const NAMESPACE: Option<&str> = Some("ByNamespace");

const SCHEMAS: [Schema; 11] = [
    schema((EXEMPT, EXEMPT), 1, None, &[Who::Group("system:masters")], What::Everything),
    schema(("probes", EXEMPT), 2, None, &EVERYBODY, What::Probes),
    schema(
        ("system-leader-election", "leader-election"),
        100,
        USER,
        &[MANAGER, SCHEDULER, SYSTEM_ACCOUNTS],
        What::Elections,
    ),
    schema(("system-node-high", "node-high"), 400, USER, &[Who::Group("system:nodes")], What::Heartbeats),
    schema(("system-nodes", "system"), 500, USER, &[Who::Group("system:nodes")], What::Everything),
    schema(("kube-controller-manager", "workload-high"), 800, NAMESPACE, &[MANAGER], What::Everything),
    schema(("kube-scheduler", "workload-high"), 800, NAMESPACE, &[SCHEDULER], What::Everything),
    schema(
        ("kube-system-service-accounts", "workload-high"),
        900,
        NAMESPACE,
        &[SYSTEM_ACCOUNTS],
        What::Everything,
    ),
    schema(
        ("service-accounts", "workload-low"),
        9000,
        USER,
        &[Who::Group("system:serviceaccounts")],
        What::Everything,
    ),
    schema(("global-default", "global-default"), 9900, USER, &EVERYBODY, What::Everything),
    schema(("catch-all", "catch-all"), 10000, USER, &EVERYBODY, What::Everything),
];

fn subject(who: Who) -> Value {
    match who {
        Who::User(name) => json!({"kind": "User", "user": {"name": name}}),
        Who::Group(name) => json!({"kind": "Group", "group": {"name": name}}),
        Who::Accounts(namespace) => {
            json!({"kind": "ServiceAccount", "serviceAccount": {"namespace": namespace, "name": "*"}})
        }
    }
}

fn rule(who: &[Who], what: What) -> Value {
    let subjects: Vec<Value> = who.iter().copied().map(subject).collect();
    let of = |verbs: Value, group: &str, resources: Value, cluster: bool| {
        let mut rule =
            json!({"verbs": verbs, "apiGroups": [group], "resources": resources, "namespaces": ["*"]});
        if cluster {
            rule["clusterScope"] = true.into();
        }
        rule
    };
    let leases = |verbs| of(verbs, "coordination.k8s.io", json!(["leases"]), false);
    match what {
        What::Everything => json!({
            "subjects": subjects, "resourceRules": [of(json!(["*"]), "*", json!(["*"]), true)],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }),
        What::Probes => {
            let paths = json!(["/healthz", "/readyz", "/livez"]);
            json!({
                "subjects": subjects, "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": paths}],
            })
        }
        What::Elections => json!({
            "subjects": subjects, "resourceRules": [leases(json!(["get", "create", "update"]))],
        }),
        What::Heartbeats => {
            let nodes = of(json!(["*"]), "", json!(["nodes", "nodes/status"]), true);
            json!({"subjects": subjects, "resourceRules": [nodes, leases(json!(["*"]))]})
        }
    }
}

fn metadata() -> Value {
    json!({"generation": 1, "annotations": {"apf.kubernetes.io/autoupdate-spec": "true"}})
}

fn flow_schema(of: &Schema) -> Value {
    let mut spec = json!({
        "priorityLevelConfiguration": {"name": of.level}, "matchingPrecedence": of.precedence,
        "rules": [rule(of.who, of.what)],
    });
    if let Some(flows) = of.flows {
        spec["distinguisherMethod"] = json!({"type": flows});
    }
    let message = format!(
        "This FlowSchema references the PriorityLevelConfiguration object named {:?} and it exists",
        of.level
    );
    json!({
        "metadata": metadata(), "spec": spec,
        "status": {"conditions": [{
            "type": "Dangling", "status": "False", "lastTransitionTime": obj::now(), "reason": "Found",
            "message": message,
        }]},
    })
}

fn levels() -> Vec<(&'static str, Value)> {
    let exempt = json!({"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}});
    let limited = LEVELS.iter().map(|(name, shares, lends, queues)| {
        let response = match queues {
            None => json!({"type": "Reject"}),
            Some((queues, hand)) => {
                let queuing = json!({"queues": queues, "handSize": hand, "queueLengthLimit": 50});
                json!({"type": "Queue", "queuing": queuing})
            }
        };
        let limited = json!({
            "nominalConcurrencyShares": shares, "limitResponse": response, "lendablePercent": lends,
        });
        (*name, json!({"type": "Limited", "limited": limited}))
    });
    std::iter::once((EXEMPT, exempt))
        .chain(limited)
        .map(|(name, spec)| (name, json!({"metadata": metadata(), "spec": spec, "status": {}})))
        .collect()
}

/// Creates those that are not there; upstream's servers look every minute, too.
pub async fn seed(server: &Server) -> Result<(), ApiError> {
    let registry = server.registry();
    let kinds =
        (registry.builtin(GROUP, "prioritylevelconfigurations"), registry.builtin(GROUP, "flowschemas"));
    // The group may be turned off.
    let (Ok(level), Ok(schema)) = kinds else { return Ok(()) };
    let level_owners = Owners { manager: PRODUCER, ..SELF };
    let schema_owners = Owners { status: Some((CONSUMER, true)), ..level_owners };
    let levels = levels().into_iter().map(|(name, object)| (&level, name, object, level_owners));
    let schemas = SCHEMAS.iter().map(|of| (&schema, of.name, flow_schema(of), schema_owners));
    let all = levels.chain(schemas).map(|(resource, name, object, owners)| async move {
        bootstrap::ensure(server, resource, ("", name), || object, owners).await
    });
    try_join_all(all).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_names_a_level_that_is_there() {
        let levels: Vec<&str> = levels().into_iter().map(|(name, _)| name).collect();
        assert!(SCHEMAS.iter().all(|s| levels.contains(&s.level)));
    }

    #[test]
    fn what_is_seeded_is_valid() {
        let check = |kind: &str, name: &str, mut object: Value| {
            let of = api::kinds::builtin().by_kind(GROUP, "v1", kind).unwrap();
            let resource = crate::registry::kinds::resource(of, false);
            obj::metadata_mut(&mut object).insert("name".into(), name.into());
            let before = object.clone();
            api::defaults::apply(&resource.api, &mut object);
            assert_eq!(object, before, "defaulted");
            let errors = crate::registry::validate::create(&resource, &object, false);
            assert!(errors.is_empty(), "{name}: {errors:?}");
        };
        for (name, object) in levels() {
            check("PriorityLevelConfiguration", name, object);
        }
        for of in &SCHEMAS {
            check("FlowSchema", of.name, flow_schema(of));
        }
    }
}
