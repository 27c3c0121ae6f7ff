# What a person does with kubectl on a cluster without nodes, for any kubectl from 1.10 on.
# shellcheck shell=bash disable=SC2154 # work: from lib.sh

manifest() {
  cat <<END
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: $1
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: "nginx:$1"}]}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {replicas: "$1"}
END
}

crd() {
  cat <<END
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: things, singular: thing, kind: Thing, shortNames: [th]}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
END
}

thing() { printf 'apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: one}\nspec: {size: %s}\n' "$1"; }

# fails COMMAND...: what it says when it fails.
fails() { ! "$@" 2>&1; }
# differs COMMAND...: the command ends with exit code 1, as diff does when there is something to show.
differs() {
  local code=0
  "$@" || code=$?
  [[ $code = 1 ]]
}

# work_with KUBECTL NAMESPACE: all of it, in a namespace that is not there yet and that the kubeconfig names.
work_with() {
  local k=("$1") ns=$2 modern=no wait=()
  "$1" diff --help >/dev/null 2>&1 && modern=yes
  check "create ns" "${k[@]}" create ns "$ns"
  manifest 2 >"$work/web.yaml"
  shows "apply creates" 'deployment.apps.*web"? created' "${k[@]}" apply -f "$work/web.yaml"
  shows "apply again" 'configmap.*conf"? unchanged' "${k[@]}" apply -f "$work/web.yaml"
  manifest 3 >"$work/web.yaml"
  if [[ $modern = yes ]]; then
    check "diff" differs "${k[@]}" diff -f "$work/web.yaml"
    shows "a dry run in the server" 'web configured \(server dry run\)' "${k[@]}" apply --dry-run=server -f "$work/web.yaml"
    shows "which changes nothing" '^2$' "${k[@]}" get deploy web -o 'jsonpath={.spec.replicas}{"\n"}'
  fi
  shows "apply changes" 'deployment.apps.*web"? configured' "${k[@]}" apply -f "$work/web.yaml"
  if [[ $modern = yes ]]; then
    manifest 4 >"$work/other.yaml"
    shows "server-side apply conflicts" 'conflict with "kubectl' fails "${k[@]}" apply --server-side --field-manager=other -f "$work/other.yaml"
    shows "or is forced" 'web serverside-applied' "${k[@]}" apply --server-side --field-manager=other --force-conflicts -f "$work/other.yaml"
    shows "and owns fields" 'manager: other' "${k[@]}" get deploy web -o yaml
  fi
  shows "get" '^web ' "${k[@]}" get deploy
  shows "get -o wide" 'nginx:[34] +app=web' "${k[@]}" get deploy -o wide
  shows "get by label" '^web .*app=web' "${k[@]}" get deploy -l app=web --show-labels
  shows "get -o name" '^service/web$' "${k[@]}" get cm,svc -o name
  shows "get -o json" '"kind": "Deployment"' "${k[@]}" get deploy web -o json
  shows "get all" 'service/web ' "${k[@]}" get all
  shows "get --all-namespaces" "^$ns +web " "${k[@]}" get svc --all-namespaces
  shows "describe a deployment" 'StrategyType: +RollingUpdate' "${k[@]}" describe deploy web
  shows "describe a service" 'Selector: +app=web' "${k[@]}" describe svc web
  shows "describe a namespace" 'Status: +Active' "${k[@]}" describe ns "$ns"
  check "patch, strategic" "${k[@]}" patch deploy web -p '{"spec":{"replicas":4}}'
  check "patch, merge" "${k[@]}" patch deploy web --type=merge -p '{"spec":{"replicas":5}}'
  check "patch, JSON" "${k[@]}" patch deploy web --type=json -p '[{"op":"test","path":"/spec/replicas","value":5},{"op":"replace","path":"/spec/replicas","value":6}]'
  check "edit" env EDITOR='sed -i s/replicas:.6/replicas:\ 7/' "${k[@]}" edit deploy web
  shows "all of that happened" '^7$' "${k[@]}" get deploy web -o 'jsonpath={.spec.replicas}{"\n"}'
  check "label" "${k[@]}" label deploy web tier=front
  check "annotate" "${k[@]}" annotate deploy web note=x
  shows "by the new label" '^deployment.*/web$' "${k[@]}" get deploy -l tier=front -o name
  check "scale" "${k[@]}" scale deploy web --replicas=1
  check "set image" "${k[@]}" set image deploy/web c=nginx:9
  check "set env" "${k[@]}" set env deploy/web A=b
  check "rollout pause" "${k[@]}" rollout pause deploy/web
  check "rollout resume" "${k[@]}" rollout resume deploy/web
  shows "rollout status waits as long as it is told" 'timed out waiting for the condition' fails "${k[@]}" rollout status deploy/web --timeout=1s
  check "rollout history" "${k[@]}" rollout history deploy/web
  check "autoscale" "${k[@]}" autoscale deploy web --max=3
  shows "expose" '^web2 +NodePort +10\.96\.' both "${k[@]}" -- expose deploy web --name=web2 --port=80 --type=NodePort -- get svc web2
  kinds "${k[@]}" "$ns"
  custom "${k[@]}"
  shows "explain" 'replicas' "${k[@]}" explain deploy.spec
  check "explain --recursive" "${k[@]}" explain pods --recursive
  shows "auth can-i" '^yes' "${k[@]}" auth can-i create pods
  shows "api-versions" '^extensions/v1beta1$' "${k[@]}" api-versions
  shows "cluster-info" 'is running at' "${k[@]}" cluster-info
  echo '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{"containers":"none"}}' >"$work/bad.json"
  shows "validation in the client or the server" 'invalid|Invalid|cannot' fails "${k[@]}" create -f "$work/bad.json"
  shows "replace" 'web"? replaced' "${k[@]}" replace -f "$work/web.yaml"
  shows "delete -f" 'service.*web"? deleted' "${k[@]}" delete -f "$work/web.yaml"
  check "delete --all" "${k[@]}" delete cm,secret,deploy,svc,pod --all
  shows "nothing is left" '^No resources found' "${k[@]}" get deploy,svc
  # Those of 1.10 do not wait, and have no flag for it.
  if [[ $modern = yes ]]; then wait=(--wait=false); fi
  check "delete ns" "${k[@]}" delete ns "$ns" "${wait[@]}"
  # There is no namespace controller here.
  check "finalize it" finalize "${k[@]}" "$ns"
}

# both KUBECTL -- ARGS -- ARGS: two commands, the second one's output. Done once: the first may be there already.
both() {
  local k=("$1") first=()
  shift 2
  while [[ $1 != -- ]]; do first+=("$1") && shift; done
  shift
  "${k[@]}" "${first[@]}" >/dev/null 2>&1 || true
  "${k[@]}" "$@"
}

# finalize KUBECTL NAMESPACE: the namespace's own finalizer is taken away, as its controller would.
finalize() {
  "$1" get ns "$2" -o json | python3 -c 'import json,sys; n = json.load(sys.stdin); n["spec"] = {}; print(json.dumps(n))' >"$work/ns.json"
  python3 - "http://127.0.0.1:$http/api/v1/namespaces/$2/finalize" "$work/ns.json" <<'END'
import sys, urllib.request
body = open(sys.argv[2], "rb").read()
urllib.request.urlopen(urllib.request.Request(sys.argv[1], body, {"Content-Type": "application/json"}, method="PUT"))
END
  not "$1" get ns "$2"
}

# kinds KUBECTL NAMESPACE: the generators, and one object of each kind that people make by hand.
kinds() {
  local k=("$1")
  check "create deployment" "${k[@]}" create deployment made --image=nginx
  check "create configmap" "${k[@]}" create configmap c --from-literal=a=b
  check "create secret" "${k[@]}" create secret generic s --from-literal=a=b
  check "create sa" "${k[@]}" create sa robot
  check "create role" "${k[@]}" create role r --verb=get,list --resource=pods
  check "create rolebinding" "${k[@]}" create rolebinding rb --role=r --serviceaccount="$2:robot"
  check "create job" "${k[@]}" create job j --image=busybox
  check "create quota" "${k[@]}" create quota q --hard=pods=10
  check "create service" "${k[@]}" create service clusterip cip --tcp=80:80
  check "create pdb" "${k[@]}" create pdb p --selector=app=web --min-available=1
  check "run a pod" "${k[@]}" run solo --image=nginx --restart=Never
  shows "it waits" '^solo +0/1 +Pending' "${k[@]}" get pods
  shows "and is selected" '^solo ' "${k[@]}" get pods --field-selector status.phase=Pending
  check "its log is empty" "${k[@]}" logs solo
  check "delete waits for its end" "${k[@]}" delete pod solo
  shows "which came" 'not found' fails "${k[@]}" get pod solo
}

# custom KUBECTL: a custom resource, from its definition to its end.
custom() {
  local k=("$@")
  crd >"$work/crd.yaml"
  thing 3 >"$work/thing.yaml"
  check "a definition" "${k[@]}" create -f "$work/crd.yaml"
  check "a custom resource" "${k[@]}" create -f "$work/thing.yaml"
  shows "its columns" '^one +3' "${k[@]}" get things
  shows "by its short name" '^one ' "${k[@]}" get th
  check "patched" "${k[@]}" patch thing one --type=merge -p '{"spec":{"size":4}}'
  shows "seen" '^4$' "${k[@]}" get thing one -o 'jsonpath={.spec.size}{"\n"}'
  check "deleted" "${k[@]}" delete thing one
  check "with its definition" "${k[@]}" delete crd things.example.com
}
