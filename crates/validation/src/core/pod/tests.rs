use super::*;
use serde_json::json;

fn pod() -> Value {
    json!({
        "metadata": {"name": "p", "namespace": "n", "resourceVersion": "1"},
        "spec": {
            "containers": [{
                "name": "c", "image": "i", "imagePullPolicy": "Always",
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"
            }],
            "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
            "securityContext": {}, "schedulerName": "default-scheduler"
        }
    })
}

fn created(pod: &Value) -> Vec<String> {
    let mut errs = ErrorList::new();
    pod_create(pod, &Context::default(), &mut errs);
    errs.iter().map(ToString::to_string).collect()
}

fn updated(new: &Value, old: &Value) -> Vec<String> {
    let mut errs = ErrorList::new();
    pod_update(new, old, &Context::default(), &mut errs);
    errs.iter().map(ToString::to_string).collect()
}

#[test]
fn an_ordinary_pod_is_fine() {
    assert!(created(&pod()).is_empty());
}

#[test]
fn a_pod_needs_containers_with_distinct_names() {
    let mut p = pod();
    p["spec"]["containers"] = json!([]);
    assert_eq!(created(&p), ["spec.containers: Required value"]);
    let mut p = pod();
    let c = p["spec"]["containers"][0].clone();
    p["spec"]["containers"] = json!([c, c]);
    assert_eq!(created(&p), ["spec.containers[1].name: Duplicate value: \"c\""]);
}

#[test]
fn requests_stay_below_limits() {
    let mut p = pod();
    p["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "1"}, "requests": {"cpu": "2"}});
    assert_eq!(
        created(&p),
        [
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1"
        ]
    );
}

#[test]
fn mounts_name_volumes() {
    let mut p = pod();
    p["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "v", "mountPath": "/v"}]);
    assert_eq!(created(&p), ["spec.containers[0].volumeMounts[0].name: Not found: \"v\""]);
    p["spec"]["volumes"] = json!([{"name": "v", "emptyDir": {}}]);
    assert!(created(&p).is_empty());
}

#[test]
fn an_image_may_change_and_a_host_name_may_not() {
    let old = pod();
    let mut new = pod();
    new["spec"]["containers"][0]["image"] = json!("other");
    assert!(updated(&new, &old).is_empty());
    new["spec"]["hostname"] = json!("h");
    let errs = updated(&new, &old);
    assert_eq!(errs.len(), 1);
    assert!(errs[0].starts_with("spec: Forbidden: pod updates may not change fields other than"));
    assert!(errs[0].contains("\n- \"Hostname\": \"\",\n+ \"Hostname\": \"h\",\n"));
}

#[test]
fn tolerations_are_only_added() {
    let mut old = pod();
    old["spec"]["tolerations"] = json!([{"key": "a", "operator": "Exists"}]);
    let mut new = old.clone();
    new["spec"]["tolerations"] = json!([]);
    assert_eq!(
        updated(&new, &old),
        ["spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"]
    );
    new["spec"]["tolerations"] =
        json!([{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "Exists"}]);
    assert!(updated(&new, &old).is_empty());
}
