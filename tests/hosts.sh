#!/usr/bin/env bash
# Real hosts: compose/server.yaml and compose/node.yaml with host networking, on two hosts that each have a Docker engine,
# a network namespace and the directories of their own.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/engine-lib.sh"
need ip iproute2 "makes the hosts"
need iptables iptables "looks at the rules"
one=skiff-$$-1 two=skiff-$$-2 switch=skiff-$$-switch
address_1=10.211.7.1 address_2=10.211.7.2

evidence() {
  k get nodes,pods --all-namespaces -o wide
  local host
  for host in one two; do
    on_engine $host docker ps -a
    on_engine $host docker ps -aq | while read -r c; do on_engine $host docker logs --tail 25 "$c" 2>&1 | sed "s/^/$host: /"; done
    tail -n 5 "$work/$host/dockerd.log"
  done
}
cleanup() {
  engine_remove one
  engine_remove two
  ip netns del "$one" 2>/dev/null || true
  ip netns del "$two" 2>/dev/null || true
  ip netns del "$switch" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

on_engine() { DOCKER_HOST=unix://$work/$1/docker.sock SKIFF_DOCKER_SOCKET=$work/$1/docker.sock "${@:2}"; }
in_host() { ip netns exec "$@"; }

step "two hosts"
# The network between them is a namespace too: this machine's own packet filter has no say in it.
ip netns add "$switch"
in_host "$switch" sh -c "ip link add switch type bridge && ip link set switch up"
for host in "$one $address_1" "$two $address_2"; do
  read -r name address <<<"$host"
  ip netns add "$name"
  ip link add eth0 netns "$name" type veth peer name "port${address##*.}" netns "$switch"
  in_host "$switch" ip link set "port${address##*.}" master switch up
  in_host "$name" sh -ec "ip link set lo up; ip addr add $address/24 dev eth0; ip link set eth0 up; ip route add default via ${address%.*}.254
    sysctl -qw net.ipv4.ip_forward=1"
done
engine_start one "$one"
engine_start two "$two"
engine_images one
engine_images two
# What others have on a host has to stay as it is.
in_host "$two" iptables -t nat -N OTHERS
in_host "$two" iptables -t nat -A OTHERS -d 192.0.2.1 -j RETURN

export SKIFF_ADDRESS=$address_1 SKIFF_SERVER=$address_1
server_up() { on_engine one compose -p skiff-server -f "$root/compose/server.yaml" "$@"; }
node_up() { SKIFF_NODE_NAME=$2 SKIFF_NODE_IP=$3 on_engine "$1" compose -p skiff-node -f "$root/compose/node.yaml" "${@:4}"; }
k() { in_host "$one" "$dist/server/bin/kubectl" -s "$address_1:18080" "$@"; }
page() { in_host "$1" "$dist/node/bin/node" fetch --timeout=2s "$2" | grep -q 'Welcome to nginx!'; }

step "compose/server.yaml on one, compose/node.yaml on the other"
check "the server host" server_up up -d
check "the node host" node_up two host-2 "$address_2" up -d
check "a node beside the server" node_up one host-1 "$address_1" up -d node
ready() { [[ $(k get nodes | grep -c ' Ready ') = 2 ]]; }
soon "both nodes are Ready" ready
check "run" k run nginx --image="skiff/nginx:$version" --port=80 --replicas=2
check "expose" k expose deployment nginx --type=NodePort
runs() { [[ $(k get pods -l run=nginx -o jsonpath='{range .items[*]}{.status.containerStatuses[0].ready}{"\n"}{end}' | grep -c true) = 2 ]]; }
soon "two pods run" runs
port=$(k get svc nginx -o jsonpath='{.spec.ports[0].nodePort}')
cluster=$(k get svc nginx -o jsonpath='{.spec.clusterIP}')
for host in "$one" "$two"; do
  soon "$host → host-1's NodePort" page "$host" "http://$address_1:$port"
  soon "$host → host-2's NodePort" page "$host" "http://$address_2:$port"
  soon "$host → the cluster address" page "$host" "http://$cluster"
done
for ip in $(k get pods -l run=nginx -o jsonpath='{.items[*].status.podIP}'); do
  soon "host-1 → $ip" page "$one" "http://$ip"
  soon "host-2 → $ip" page "$two" "http://$ip"
done
check "a client pod" k run client --restart=Never --image="skiff/node:$version" --command -- /bin/node fetch --timeout=20s "http://$cluster"
shows "a pod → the cluster address" 'Welcome to nginx!' k logs client
shows "the rules are in the host's own tables" 'KUBE-SERVICES' in_host "$two" iptables -t nat -S
shows "what others have is untouched" '192.0.2.1' in_host "$two" iptables -t nat -S OTHERS

step "up again, and restarts"
check "up again changes nothing" server_up up -d
for service in etcd server; do
  check "restart $service" server_up restart -t 2 "$service"
  soon "both nodes are Ready" ready
  soon "the page" page "$one" "http://$address_2:$port"
done
check "restart the node" node_up two host-2 "$address_2" restart -t 2
soon "the page" page "$one" "http://$address_2:$port"
soon "both nodes are Ready" ready
check "the pods were not touched" test "$(k get pods -l run=nginx -o jsonpath='{.items[*].status.containerStatuses[*].restartCount}')" = "0 0"
finish
