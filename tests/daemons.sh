#!/usr/bin/env bash
# The tutorial's steps 1–6: etcd and the control plane's daemons started by hand on loopback, each with as few flags as
# possible, looked at with our kubectl and with Debian's. Needs the binaries in dist/ (scripts/build binaries).
# shellcheck disable=SC2154 # work, dist, root: from the files below
. "$(dirname "$0")/lib.sh"
need ss iproute2 "finds free ports"
from_debian etcd-server etcd-client
ours=$dist/server/bin
theirs=$(debian_kubectl)

etcd=$(free_port) peer=$(free_port) http=$(free_port) https=$(free_port)
declare -A pid=()

evidence() {
  local log
  for log in "$work"/*.log; do
    printf -- '--- %s\n' "$(basename "$log")"
    tail -n 25 "$log"
  done
}

# Ends only what this test started, whatever happens.
cleanup() {
  local name
  for name in "${!pid[@]}"; do kill -9 "${pid[$name]}" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

# start NAME COMMAND...: a daemon in the background. stop NAME [SIGNAL]: ends it and waits for its end.
start() {
  local name=$1
  shift
  "$@" >>"$work/$name.log" 2>&1 &
  pid[$name]=$!
}
stop() {
  kill "-${2:-TERM}" "${pid[$1]}"
  wait "${pid[$1]}" 2>/dev/null || true
  unset "pid[$1]"
}

start_etcd() {
  start etcd "$debian_root/usr/bin/etcd" --data-dir="$work/etcd" --listen-client-urls="http://127.0.0.1:$etcd" \
    --advertise-client-urls="http://127.0.0.1:$etcd" --listen-peer-urls="http://127.0.0.1:$peer" \
    --initial-advertise-peer-urls="http://127.0.0.1:$peer" --initial-cluster="default=http://127.0.0.1:$peer"
}
etcdctl() { ETCDCTL_API=3 "$debian_root/usr/bin/etcdctl" --endpoints="127.0.0.1:$etcd" "$@"; }
start_apiserver() {
  start kube-apiserver "$ours/kube-apiserver" --cert-dir="$work/certs" --insecure-bind-address=0.0.0.0 --insecure-port="$http" \
    --secure-port="$https" --service-cluster-ip-range=10.0.0.0/16 --etcd-servers="http://127.0.0.1:$etcd" --logtostderr=true
}
k() { "$ours/kubectl" -s "127.0.0.1:$http" "$@"; }
d() { KUBECONFIG=/dev/null HOME=$work "$theirs" -s "127.0.0.1:$http" "$@"; }

step "1–2: etcd and kube-apiserver"
start_apiserver
soon "without etcd it says so and waits" grep -Eq "etcd|store" "$work/kube-apiserver.log"
start_etcd
soon "it serves HTTP as soon as etcd is there" k get --raw /healthz
check "it made apiserver.crt" test -s "$work/certs/apiserver.crt"
check "it made apiserver.key" test -s "$work/certs/apiserver.key"
check "it serves HTTPS, to whom it knows" matches "You must be logged in to the server" "$ours/kubectl" -s "https://127.0.0.1:$https" --insecure-skip-tls-verify get ns
# The keys of a fresh v1.10, under exactly these names.
seeds() { etcdctl get /registry --prefix --keys-only | grep . | sort >"$work/keys" && comm -23 "$root/tests/data/seed-etcd-keys.txt" "$work/keys" | not grep .; }
soon "etcd holds every key of a fresh v1.10" seeds

step "3: kubectl"
for kubectl in k d; do
  shows "$kubectl get ns: default" '^default +Active' $kubectl get ns
  shows "$kubectl get ns: kube-public" '^kube-public +Active' $kubectl get ns
  shows "$kubectl get ns: kube-system" '^kube-system +Active' $kubectl get ns
  shows "$kubectl get svc" '^kubernetes +ClusterIP +10\.0\.0\.1 +<none> +443/TCP' $kubectl get svc
  shows "$kubectl get ep" "^kubernetes +[0-9.]+:$https" $kubectl get ep
done

step "4: kube-controller-manager"
scheduler_port=10251
soon "no controller manager yet" matches 'controller-manager +Unhealthy' k get cs
start kube-controller-manager "$ours/kube-controller-manager" --master="127.0.0.1:$http" --logtostderr=true
shows "its leader record" kube-controller-manager k -n kube-system get ep
shows "its leader event" 'became leader' k -n kube-system get events
for namespace in default kube-public kube-system; do
  shows "a service account in $namespace" '^default +0 ' k -n "$namespace" get sa
done
check "a pod manifest" tee "$work/pod.yaml" <<'END'
apiVersion: v1
kind: Pod
metadata: {name: early}
spec: {containers: [{name: c, image: none}]}
END
token() { k get secret "$(k get sa default -o jsonpath='{.secrets[0].name}')" -o jsonpath='{.data.token}' | base64 -d; }
shows "a pod is refused without a token" 'No API token found for service account "default"' d create --validate=false -f "$work/pod.yaml"
stop kube-controller-manager
start kube-controller-manager "$ours/kube-controller-manager" --master="127.0.0.1:$http" --logtostderr=true \
  --service-account-private-key-file="$work/certs/apiserver.key" --root-ca-file="$work/certs/apiserver.crt"
shows "a secret in the account" '^default +1 ' k get sa
shows "the token is a signed JWT" '^ey[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$' token
soon "the pod is admitted now" d create -f "$work/pod.yaml"
shows "and waits for a scheduler" '^early +0/1 +Pending' d get pods

step "5: kube-scheduler"
soon "no scheduler on port $scheduler_port yet" matches 'scheduler +Unhealthy' k get cs
start kube-scheduler "$ours/kube-scheduler" --master="127.0.0.1:$http" --logtostderr=true
shows "its leader record" kube-scheduler k -n kube-system get ep
shows "its event" 'kube-scheduler.* became leader' k -n kube-system get events
shows "there is no node to schedule on" 'no nodes available to schedule pods|0/0 nodes are available' k get events
for kubectl in k d; do
  shows "$kubectl get cs: controller-manager" '^controller-manager +Healthy +ok' $kubectl get cs
  shows "$kubectl get cs: scheduler" '^scheduler +Healthy +ok' $kubectl get cs
  shows "$kubectl get cs: etcd" '^etcd-0 +Healthy +\{"health":' $kubectl get cs
done

step "6: kubectl config"
export KUBECONFIG=$work/kubeconfig
"$ours/kubectl" config set-cluster skiff --server="http://127.0.0.1:$http" --kubeconfig="$work/kubeconfig"
"$ours/kubectl" config set-context skiff --cluster=skiff --kubeconfig="$work/kubeconfig"
"$ours/kubectl" config use-context skiff --kubeconfig="$work/kubeconfig"
shows "the file" "server: http://127.0.0.1:$http" "$ours/kubectl" config view --kubeconfig="$work/kubeconfig"
shows "ours works with it" '^default ' "$ours/kubectl" get ns
shows "Debian's works with it" '^default ' "$theirs" get ns
unset KUBECONFIG

step "a Deployment without a node"
check "ours runs it" k run nginx --image=nginx --port=80
shows "a Deployment, as in v1.10" '^nginx +1 +1 +1 +0 ' k get deploy
shows "its replica set" '^nginx-[0-9a-z]+ +1 +1 +0 ' k get rs
shows "its pod" '^nginx-[0-9a-z]+-[0-9a-z]{5} +0/1 +Pending' k get pods
shows "describe deploy" 'Scaled up replica set nginx-[0-9a-z]+ to 1' k describe deploy nginx
shows "describe rs" 'Created pod: nginx-' k describe rs
check "Debian's makes another" d create deployment web --image=nginx
shows "Debian's sees both" '^web +0/1 ' d get deploy
deleted() {
  d delete deploy --all >/dev/null && k delete pod early >/dev/null 2>&1
  [[ -z $(d get deploy,rs,pods -o name) ]]
}
soon "deleted: nothing is left" deleted

step "faults"
stop kube-apiserver KILL
start_apiserver
soon "kill -9 of the API server: it is back" k get ns
stop etcd KILL
soon "etcd is gone: writes are refused" not k create ns lost
start_etcd
soon "etcd is back: so are writes" k create ns found
soon "and the controllers: a service account" k -n found get sa default
stop kube-controller-manager KILL
start kube-controller-manager "$ours/kube-controller-manager" --master="127.0.0.1:$http" --logtostderr=true \
  --service-account-private-key-file="$work/certs/apiserver.key" --root-ca-file="$work/certs/apiserver.crt"
k create ns later >/dev/null
soon "kill -9 of the controller manager: it resumes" k -n later get sa default

step "wrong flags"
not_zero() {
  "$@" && return 1
  return 0
}
for daemon in kube-apiserver kube-controller-manager kube-scheduler; do
  shows "$daemon names the flag" 'no-such-flag' not_zero "$ours/$daemon" --no-such-flag=1
done
shows "a range that is none" 'service-cluster-ip-range' not_zero "$ours/kube-apiserver" --etcd-servers=http://127.0.0.1:1 --service-cluster-ip-range=nonsense
finish
