#!/usr/bin/env bash
# A lab on an engine of its own, which is restarted and then killed: everything comes back, by itself.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/engine-lib.sh"
need ip iproute2 "makes a network of its own"

# All of it happens in a network namespace of its own: see engine-lib.sh.
if [[ ${1:-} != --inside ]]; then
  netns=skiff-engine-$$
  ip netns add "$netns"
  trap 'ip netns del "$netns"; rm -rf "$work"' EXIT
  nsenter "--net=/run/netns/$netns" "$0" --inside
  exit
fi
ip link set lo up
lab=skiff-engine-$$
export SKIFF_STATE_DIR=$work/state

evidence() {
  k get nodes,pods --all-namespaces -o wide
  docker ps -a
  "$root/scripts/lab" logs --name "$lab" | tail -n 100
  tail -n 20 "$work/one/dockerd.log"
}
cleanup() {
  "$root/scripts/lab" down --name "$lab" >/dev/null 2>&1 || true
  engine_remove one
  rm -rf "$work" "$dist/lab/$lab"
}
trap cleanup EXIT

step "an engine of its own"
engine_start one
engine_images one
export DOCKER_HOST=unix://$work/one/docker.sock SKIFF_DOCKER_SOCKET=$work/one/docker.sock

k() { "$dist/server/bin/kubectl" -s "$SKIFF_NET.11:18080" "$@"; }
"$root/scripts/lab" up --nodes 2 --name "$lab" || fail "scripts/lab up"
# shellcheck disable=SC1090
. "$dist/lab/$lab/env"
page() { "$dist/node/bin/node" fetch --timeout=2s "$1" | grep -q 'Welcome to nginx!'; }
runs() { [[ $(k get pods -l run=nginx -o jsonpath='{range .items[*]}{.status.containerStatuses[0].ready}{"\n"}{end}' | grep -c true) = "$1" ]]; }
ready() { [[ $(k get nodes | grep -c ' Ready ') = 2 ]]; }

check "run" k run nginx --image="skiff/nginx:$version" --port=80 --replicas=2
check "expose" k expose deployment nginx --type=NodePort
soon "two pods run" runs 2
port=$(k get svc nginx -o jsonpath='{.spec.ports[0].nodePort}')
soon "the page on the NodePort" page "http://$SKIFF_NET.12:$port"
uid=$(k get ns kube-system -o jsonpath='{.metadata.uid}')

# Every daemon shares the network of its host as it is now, not one that went away.
in_place() {
  local service host daemon
  while read -r service host; do
    host=$(docker inspect -f '{{.State.Pid}}' "$(container "$host")")
    daemon=$(docker inspect -f '{{.State.Pid}}' "$(container "$service")")
    [[ $daemon != 0 && $(readlink "/proc/$daemon/ns/net") = "$(readlink "/proc/$host/ns/net")" ]] || return 1
  done <<<$'etcd host-1\nserver host-1\nflannel-1 host-1\nflannel-2 host-2\nnode-2 host-2\nflannel-3 host-3\nnode-3 host-3'
}
container() { docker ps -q --filter "label=com.docker.compose.project=$lab" --filter "label=com.docker.compose.service=$1"; }

for signal in TERM KILL; do
  step "the engine gets SIG$signal and is started again"
  engine_stop one "$signal"
  engine_start one
  began=$EPOCHREALTIME
  soon "every daemon is in its host's network" in_place
  soon "all nodes are Ready" ready
  soon "two pods run" runs 2
  for host in 12 13; do soon "the page on the NodePort of .$host" page "http://$SKIFF_NET.$host:$port"; done
  note "$(awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }') s after the engine answered"
  check "it is the same cluster" test "$(k get ns kube-system -o jsonpath='{.metadata.uid}')" = "$uid"
  check "one pod more" k scale deployment nginx --replicas=3
  soon "it runs" runs 3
  check "one less" k scale deployment nginx --replicas=2
  soon "it is gone" runs 2
done

step "a host restarts"
docker restart -t 2 "$(container host-2)" >/dev/null
soon "its daemons follow" in_place
soon "all nodes are Ready" ready
soon "two pods run" runs 2
soon "the page on its NodePort" page "http://$SKIFF_NET.12:$port"

"$root/scripts/lab" down --name "$lab" || fail "scripts/lab down"
check "no container is left" test -z "$(docker ps -aq)"
finish
