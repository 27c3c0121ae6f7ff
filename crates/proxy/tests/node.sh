#!/usr/bin/env bash
# A node with two pods, a client outside, and kube-proxy with a small API server; each a network namespace.
# usage: node.sh <kube-proxy> <nft|legacy>     Exit code 77 means skipped.
set -euo pipefail

proxy=$1 flavour=$2
here=$(cd "$(dirname "$0")" && pwd)
port=25001
skip() { echo "SKIPPED: $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "needs root for network namespaces"
for program in ip curl python3 "iptables-$flavour-save"; do
    command -v "$program" >/dev/null || skip "needs $program"
done

id=skpx$$
n=${id}n p1=${id}p1 p2=${id}p2 x=${id}x
dir=$(mktemp -d)
pids=()
cleanup() {
    status=$?
    if [ $status != 0 ]; then
        tail -n 30 "$dir"/*.log || true
        ip netns exec $n iptables-$flavour-save | grep KUBE || true
    fi
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    for ns in $n $p1 $p2 $x; do ip netns del "$ns" 2>/dev/null || true; done
    rm -rf "$dir"
    exit $status
}
trap cleanup EXIT
fail() { echo "FAILED ($flavour): $*"; exit 1; }
until_true() { for _ in $(seq 100); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done; fail "never true: $*"; }
# Not for the background: there `$!` would be this function's shell.
in_ns() { local ns=$1; shift; ip netns exec "$ns" "$@"; }

for ns in $n $p1 $p2 $x; do
    ip netns add $ns
    in_ns $ns ip link set lo up
done
in_ns $n ip link add cni0 type bridge
in_ns $n ip addr add 10.5.1.1/24 dev cni0
in_ns $n ip link set cni0 up
i=2
for ns in $p1 $p2; do
    in_ns $n ip link add "v$i" type veth peer name eth0 netns $ns
    in_ns $n ip link set "v$i" master cni0 up
    in_ns $n ip link set dev "v$i" type bridge_slave hairpin on
    in_ns $ns ip addr add 10.5.1.$i/24 dev eth0
    in_ns $ns ip link set eth0 up
    in_ns $ns ip route add default via 10.5.1.1
    mkdir "$dir/$ns" && echo "pod-$i" >"$dir/$ns/name"
    ip netns exec $ns python3 -m http.server --directory "$dir/$ns" 8080 >/dev/null 2>&1 &
    pids+=($!)
    i=$((i + 1))
done
in_ns $n ip link add ext type veth peer name eth0 netns $x
in_ns $n ip addr add 10.213.0.1/24 dev ext
in_ns $n ip link set ext up
in_ns $n ip route add default via 10.213.0.2
in_ns $x ip addr add 10.213.0.2/24 dev eth0
in_ns $x ip link set eth0 up
# An answer from a pod's address must not find its way by itself: node ports have to masquerade.
in_ns $n sysctl -qw net.ipv4.ip_forward=0 # kube-proxy sets it: the namespace is not the machine's
cat >"$dir/udp.py" <<'PY'
import socket
p = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); p.connect(("10.5.1.1", 9)); me = p.getsockname()[0].encode()
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("0.0.0.0", 5353))
while True:
    data, peer = s.recvfrom(100); s.sendto(b"udp " + data + b" " + me, peer)
PY
cat >"$dir/ask.py" <<'PY'
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1); s.bind(("", 4000)); s.sendto(b"hello", (sys.argv[1], int(sys.argv[2])))
print(s.recvfrom(100)[0].decode())
PY
for ns in $p1 $p2; do
    ip netns exec $ns python3 "$dir/udp.py" &
    pids+=($!)
done
ip netns exec $n python3 "$here/fake_api.py" $port &
pids+=($!)

control() { in_ns $n curl -sf -X PUT --data-binary @- "http://127.0.0.1:$port/control/$1"; }
services() { # <session affinity of web> <further objects>
    control services <<JSON
[{"metadata":{"name":"web"},"spec":{"type":"NodePort","clusterIP":"10.0.0.80","sessionAffinity":"$1",
  "externalIPs":["198.51.100.7"],"ports":[{"name":"http","protocol":"TCP","port":80,"targetPort":8080,"nodePort":30080}]}},
 {"metadata":{"name":"dns"},"spec":{"type":"ClusterIP","clusterIP":"10.0.0.10","ports":[{"protocol":"UDP","port":53}]}},
 {"metadata":{"name":"headless"},"spec":{"type":"ClusterIP","clusterIP":"None","ports":[{"protocol":"TCP","port":1}]}},
 {"metadata":{"name":"empty"},"spec":{"type":"NodePort","clusterIP":"10.0.0.99","ports":[{"protocol":"TCP","port":80,"nodePort":30099}]}}$2]
JSON
}
slices() { # <addresses of web> <address of dns>
    local endpoints=""
    for ip in $1; do endpoints="$endpoints,{\"addresses\":[\"$ip\"],\"conditions\":{\"ready\":true}}"; done
    control endpointslices <<JSON
[{"metadata":{"name":"web-1","labels":{"kubernetes.io/service-name":"web"}},"addressType":"IPv4",
  "endpoints":[${endpoints#,}],"ports":[{"name":"http","protocol":"TCP","port":8080}]},
 {"metadata":{"name":"dns-1","labels":{"kubernetes.io/service-name":"dns"}},"addressType":"IPv4",
  "endpoints":[{"addresses":["${2:-10.5.1.2}"]}],"ports":[{"name":"","protocol":"UDP","port":5353}]}]
JSON
}

# The flavour is found by the rules that are there, and these stay there.
in_ns $n iptables-$flavour -A INPUT -s 192.0.2.1 -m comment --comment "of somebody else" -j DROP
in_ns $n iptables-$flavour -P FORWARD DROP # as Docker does
start() {
    ip netns exec $n "$proxy" --master=127.0.0.1:$port --proxy-mode=iptables --cluster-cidr=10.5.0.0/16 \
        --hostname-override=node-1 --iptables-sync-period=1s --iptables-min-sync-period=0s -v 4 \
        --healthz-bind-address=127.0.0.1:10256 >>"$dir/proxy.log" 2>&1 &
    proxy_pid=$!
    pids+=($proxy_pid)
}
start # before the API server has anything
until_true in_ns $n curl -sf http://127.0.0.1:$port/apis/discovery.k8s.io/v1
services None ""
slices "10.5.1.2 10.5.1.3"

get() { in_ns "$1" curl -s -m 2 "http://$2/name"; }
until_true get $n 10.0.0.80:80
in_ns $n curl -sf http://127.0.0.1:10256/healthz >/dev/null || fail "healthz"
# Pods reach each other without the FORWARD chain's policy only where a bridge switches; let them through as flanneld does.
in_ns $n iptables-$flavour -I FORWARD -s 10.5.0.0/16 -j ACCEPT
in_ns $n iptables-$flavour -I FORWARD -d 10.5.0.0/16 -j ACCEPT
both() { # both pods answer, by and by
    local seen=""
    for _ in $(seq 40); do seen="$seen $(get "$1" "$2")"; done
    [[ $seen == *pod-2* && $seen == *pod-3* ]] || fail "not both pods answer at $2 from $1: $seen"
}
both $n 10.0.0.80:80      # cluster address from the node
both $x 10.213.0.1:30080  # node port from outside
both $n 127.0.0.1:30080   # node port on localhost
both $p1 10.0.0.80:80     # cluster address from a pod, itself included
in_ns $x ip route add 198.51.100.7 via 10.213.0.1
both $x 198.51.100.7:80   # external address
ask() { in_ns $n python3 "$dir/ask.py" 10.0.0.10 53; }
[ "$(ask)" = "udp hello 10.5.1.2" ] || fail "udp"
# No endpoints: refused at once (curl's exit code 7), from inside and outside.
refused() { local code=0; in_ns "$1" curl -s -m 2 "http://$2/" || code=$?; [ $code = 7 ] || fail "$2 from $1: $code"; }
refused $n 10.0.0.99:80
refused $x 10.213.0.1:30099

rules=$(in_ns $n iptables-$flavour-save)
for rule in '-A KUBE-SERVICES -d 10.0.0.80/32 -p tcp -m comment --comment "default/web:http cluster IP" -m tcp --dport 80 -j KUBE-SVC-' \
    '-A KUBE-NODEPORTS -p tcp -m comment --comment "default/web:http" -m tcp --dport 30080 -j KUBE-EXT-' \
    '-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS' \
    '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES' \
    '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING'; do
    grep -qF -- "$rule" <<<"$rules" || fail "rule missing: $rule"
done

# An endpoint goes: only its service is written again.
slices "10.5.1.3"
one_left() { ! in_ns $n iptables-$flavour-save -t nat | grep -q 'DNAT.*10.5.1.2:8080'; }
until_true one_left
for _ in 1 2 3 4 5; do [ "$(get $n 10.0.0.80:80)" = pod-3 ] || fail "a pod that is gone was asked"; done

# A UDP endpoint moves: a flow from the same port follows it.
slices "10.5.1.3" 10.5.1.3
moved() { [ "$(ask)" = "udp hello 10.5.1.3" ]; }
until_true moved
grep -q 'forgot 1 UDP flows' "$dir/proxy.log" || fail "the old flow was not forgotten"

# Session affinity: the same pod every time.
slices "10.5.1.2 10.5.1.3"
services ClientIP ""
sticky() { in_ns $n iptables-$flavour-save -t nat | grep -q -- '--rcheck --seconds 10800 --reap'; }
until_true sticky
first=$(get $x 10.213.0.1:30080)
for _ in $(seq 10); do [ "$(get $x 10.213.0.1:30080)" = "$first" ] || fail "no affinity"; done

# Somebody flushes the tables: they come back. Nobody else's rule is touched, and nothing is written needlessly.
in_ns $n iptables-$flavour -t nat -F
until_true get $n 10.0.0.80:80
written=$(grep -c 'rules written' "$dir/proxy.log")
sleep 2
[ "$(grep -c 'rules written' "$dir/proxy.log")" = "$written" ] || fail "rules were written without a change"

# Killed and started again: traffic never stops; what was deleted meanwhile is cleaned up.
kill -9 $proxy_pid
wait $proxy_pid 2>/dev/null || true
[ -n "$(get $n 10.0.0.80:80)" ] || fail "no traffic while kube-proxy is down"
services None ',{"metadata":{"name":"new"},"spec":{"clusterIP":"10.0.0.55","ports":[{"protocol":"TCP","port":80}]}}'
slices ""
start
no_endpoint_chain() { ! in_ns $n iptables-$flavour-save -t nat | grep -q 'DNAT.*8080'; }
until_true no_endpoint_chain
refused $n 10.0.0.55:80

kill $proxy_pid
wait $proxy_pid || fail "exit code after SIGTERM"
in_ns $n "$proxy" --cleanup >>"$dir/proxy.log" 2>&1
rules=$(in_ns $n iptables-$flavour-save)
if grep -q KUBE <<<"$rules"; then fail "left over after --cleanup"; fi
grep -q "of somebody else" <<<"$rules" || fail "somebody else's rule is gone"
echo "OK ($flavour)"
