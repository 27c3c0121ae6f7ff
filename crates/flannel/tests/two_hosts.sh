#!/usr/bin/env bash
# Two hosts (network namespaces on one bridge) with a flanneld each and an etcd on the bridge.
# usage: two_hosts.sh <flanneld> <vxlan|host-gw>     Exit code 77 means skipped.
set -euo pipefail

flanneld=$1 backend=$2
skip() { echo "SKIPPED: $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "needs root for network namespaces"
for program in ip bridge etcd etcdctl curl python3 iptables-save; do
    command -v "$program" >/dev/null || skip "needs $program"
done

id=skfl$$
a=${id}a b=${id}b e=${id}e
dir=$(mktemp -d)
pids=()
cleanup() {
    status=$?
    [ $status = 0 ] || tail -n 30 "$dir"/*.log || true
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    for ns in $a $b $e; do ip netns del "$ns" 2>/dev/null || true; done
    rm -rf "$dir"
    exit $status
}
trap cleanup EXIT
fail() { echo "FAILED ($backend): $*"; exit 1; }
# Waits up to 10 s until a command succeeds.
until_true() { for _ in $(seq 100); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done; fail "never true: $*"; }
# Not for the background: there `$!` would be this function's shell.
in_ns() { local ns=$1; shift; ip netns exec "$ns" "$@"; }
etcdctl3() { ETCDCTL_API=3 in_ns $e etcdctl --endpoints=http://10.213.0.1:2379 "$@"; }

ip netns add $e
in_ns $e ip link set lo up
in_ns $e ip link add br0 type bridge
in_ns $e ip addr add 10.213.0.1/24 dev br0
in_ns $e ip link set br0 up
i=11
for ns in $a $b; do
    ip netns add $ns
    in_ns $ns ip link set lo up
    in_ns $e ip link add "v$i" type veth peer name eth0 netns $ns
    in_ns $e ip link set "v$i" master br0 up
    in_ns $ns ip addr add 10.213.0.$i/24 dev eth0
    in_ns $ns ip link set eth0 up
    in_ns $ns ip route add default via 10.213.0.1
    in_ns $ns sysctl -qw net.ipv4.ip_forward=1
    i=$((i + 1))
done

# The daemons start before etcd and before there is a configuration: they wait for both.
start() { # <namespace>
    ip netns exec "$1" "$flanneld" -etcd-endpoints=http://10.213.0.1:2379 --ip-masq --subnet-file="$dir/$1.env" \
        --healthz-ip=127.0.0.1 --healthz-port=10401 >>"$dir/$1.log" 2>&1 &
    pids+=($!)
    eval "pid_${1#"$id"}=$!"
}
start $a
start $b
until_true grep -q 'etcd' "$dir/$a.log"
start_etcd() {
    ip netns exec $e etcd --data-dir "$dir/etcd" --listen-client-urls http://10.213.0.1:2379 \
        --advertise-client-urls http://10.213.0.1:2379 --listen-peer-urls http://127.0.0.1:2380 >>"$dir/etcd.log" 2>&1 &
    etcd_pid=$!
    pids+=($etcd_pid)
}
start_etcd
until_true grep -q 'Waiting for it' "$dir/$a.log"
etcdctl3 put /coreos.com/network/config "{\"Network\":\"172.10.0.0/16\",\"Backend\":{\"Type\":\"$backend\"}}" >/dev/null
until_true test -s "$dir/$a.env"
until_true test -s "$dir/$b.env"

subnet() { sed -n 's/^FLANNEL_SUBNET=//p' "$dir/$1.env"; }
for ns in $a $b; do # a bridge with a pod's address on each host
    in_ns $ns ip link add cni0 type bridge
    in_ns $ns ip addr add "$(subnet $ns)" dev cni0
    in_ns $ns ip link set cni0 up
done
gateway() { subnet "$1" | cut -d/ -f1; }
network() { subnet "$1" | sed 's/\.1\/24/.0\/24/'; }
head -c 300000 /dev/urandom >"$dir/body" # many full-size packets
for ns in $a $b; do
    ip netns exec $ns python3 -m http.server --bind "$(gateway $ns)" --directory "$dir" 8000 >/dev/null 2>&1 &
    pids+=($!)
done
# From a pod's address on one host to a pod's address on the other, and the whole body back.
reach() {
    in_ns "$1" curl -sf -m 2 --interface "$(gateway "$1")" "http://$(gateway "$2"):8000/body" | cmp -s - "$dir/body"
}
until_true reach $a $b
until_true reach $b $a
case $backend in
vxlan)
    mtu=1450
    in_ns $a ip route show "$(network $b)" | grep -q "via $(network $b | cut -d/ -f1) dev flannel.1 onlink" || fail "route"
    in_ns $a ip -d link show flannel.1 | grep -q 'vxlan id 1 local 10.213.0.11 dev eth0 srcport 0 0 dstport 8472 nolearning' || fail "device"
    in_ns $a bridge fdb show dev flannel.1 | grep -q 'dst 10.213.0.12 self permanent' || fail "fdb"
    ;;
host-gw)
    mtu=1500
    in_ns $a ip route show "$(network $b)" | grep -q "via 10.213.0.12 dev eth0" || fail "route"
    ;;
esac
grep -q "FLANNEL_MTU=$mtu" "$dir/$a.env" || fail "mtu"
in_ns $a curl -s http://127.0.0.1:10401/healthz | grep -qx 'flanneld is running' || fail "healthz"
rules=$(in_ns $a iptables-save)
for rule in '-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD' \
    '-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG' \
    '-A FLANNEL-POSTRTG -s 172.10.0.0/16 ! -d 224.0.0.0/4 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully'; do
    grep -qFx -- "$rule" <<<"$rules" || fail "rule missing: $rule"
done

# Rules that somebody flushes come back; nothing is rewritten when they are there.
in_ns $a iptables -F FLANNEL-FWD
has_rules() { in_ns $a iptables -S FLANNEL-FWD | grep -q 172.10.0.0/16; }
until_true has_rules
[ "$(grep -c 'Some iptables rules are missing' "$dir/$a.log")" = 1 ] || fail "rules were rewritten needlessly"

# SIGTERM leaves everything; a restart takes the same subnet.
before=$(subnet $b)
eval "kill \$pid_b"; eval "wait \$pid_b" || fail "exit code after SIGTERM"
in_ns $b ip route show "$(network $a)" | grep -q . || fail "route gone after SIGTERM"
reach $a $b || fail "no traffic while flanneld is down"
rm "$dir/$b.env"
start $b
until_true test -s "$dir/$b.env"
[ "$(subnet $b)" = "$before" ] || fail "another subnet after restart"

# A lease that another implementation writes, after a compaction, and its end.
revision=$(etcdctl3 get /coreos.com/network/config -w json | sed 's/.*"revision":\([0-9]*\).*/\1/')
etcdctl3 compact "$revision" >/dev/null
etcdctl3 put /coreos.com/network/subnets/172.10.200.0-24 \
    "{\"PublicIP\":\"10.213.0.13\",\"PublicIPv6\":null,\"BackendType\":\"$backend\",\"BackendData\":{\"VNI\":1,\"VtepMAC\":\"0a:0b:0c:0d:0e:0f\"}}" >/dev/null
has_route() { in_ns $a ip route show 172.10.200.0/24 | grep -q .; }
until_true has_route
etcdctl3 del /coreos.com/network/subnets/172.10.200.0-24 >/dev/null
no_route() { ! has_route; }
until_true no_route

# etcd is killed: traffic goes on. Back again, its next lease is seen within five seconds.
kill -9 $etcd_pid
wait $etcd_pid 2>/dev/null || true
until_true grep -q 'Watch subnets' "$dir/$a.log"
reach $a $b || fail "no traffic without etcd"
start_etcd
until_true etcdctl3 put /coreos.com/network/subnets/172.10.200.0-24 \
    "{\"PublicIP\":\"10.213.0.13\",\"PublicIPv6\":null,\"BackendType\":\"$backend\",\"BackendData\":{\"VNI\":1,\"VtepMAC\":\"0a:0b:0c:0d:0e:0f\"}}"
since=$SECONDS
until_true has_route
[ $((SECONDS - since)) -le 5 ] || fail "$((SECONDS - since)) s to follow a restarted etcd"
etcdctl3 del /coreos.com/network/subnets/172.10.200.0-24 >/dev/null
until_true no_route

# Our lease is deleted: the same subnet is taken again, traffic goes on.
etcdctl3 del "/coreos.com/network/subnets/$(network $b | tr / -)" >/dev/null
lease_back() { etcdctl3 get "/coreos.com/network/subnets/$(network $b | tr / -)" | grep -q PublicIP; }
until_true lease_back
until_true reach $a $b

eval "rss=\$(awk '/VmRSS/{print \$2}' /proc/\$pid_a/status)"
echo "OK ($backend): two hosts reach each other; resident memory of flanneld: $rss kB"
