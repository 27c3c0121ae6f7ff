#!/usr/bin/env bash
# The tutorial's steps 7–13 on a lab of two nodes: real etcd, real Docker, real iptables, our kubectl and Debian's.
# Needs the images (scripts/build).
# shellcheck disable=SC2154 # work, dist, root: from the files below
. "$(dirname "$0")/lib.sh"
need ip iproute2 "looks at the hosts' networks"
theirs=$(debian_kubectl)
lab=skiff-test-$$
node_image=skiff/node:$version nginx_image=skiff/nginx:$version

in_lab() { "$root/scripts/lab" "$@" --name "$lab"; }
evidence() {
  k get nodes,pods --all-namespaces -o wide
  k get events --all-namespaces | tail -n 30
  in_lab logs | tail -n 120
  docker ps -a --filter "label=skiff.io/cluster=$lab" | head -n 30
}
cleanup() {
  in_lab down >"$work/down.log" 2>&1 || cat "$work/down.log"
  docker image rm skiff/nginx:next >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT

step "7–9: kubelet, kube-proxy and flanneld on two hosts"
k() { "$dist/server/bin/kubectl" -s "$server" "$@"; }
in_lab up --nodes 2 || fail "scripts/lab up"
# shellcheck disable=SC1090
. "$dist/lab/$lab/env"
server=$SKIFF_NET.11:18080
d() { KUBECONFIG=/dev/null HOME=$work "$theirs" -s "http://$server" "$@"; }
host() { docker ps -q --filter "label=com.docker.compose.project=$lab" --filter "label=com.docker.compose.service=$1"; }
# on HOST COMMAND...: runs a command of this machine in a host's network. fetch HOST URL: with the node image's client.
on() { nsenter -t "$(docker inspect -f '{{.State.Pid}}' "$(host "$1")")" -n "${@:2}"; }
fetch() { docker run --rm --network "container:$(host "$1")" --entrypoint /bin/node "$node_image" fetch --timeout=3s "$2"; }
welcome() { fetch "$1" "$2" | grep -q 'Welcome to nginx!'; }

shows "two nodes Ready, role <none>, our version" '^host-2 +Ready +<none> +[^ ]+ +v1\.36\.0\+skiff\.' k get nodes
shows "Debian's kubectl sees them too" '^host-3 +Ready +<none> ' d get nodes
shows "a lease for each host" '/coreos.com/network/subnets/10\.5\.' docker exec "$(host etcd)" /usr/local/bin/etcdctl get /coreos.com/network/subnets/ --prefix --keys-only
for host in host-1 host-2 host-3; do
  shows "flannel.1 on $host" 'vxlan' on "$host" ip -d link show flannel.1
done
shows "describe node" 'KubeletReady +kubelet is posting ready status' k describe node host-2

step "10: run"
check "our kubectl run makes a Deployment" k run nginx --image="$nginx_image" --port=80
running() { [[ $(k get pods -l run=nginx -o jsonpath='{range .items[*]}{.status.phase}{"\n"}{end}' | grep -c Running) = "$1" ]]; }
soon "its pod runs" running 1
pod=$(k get pods -l run=nginx -o jsonpath='{.items[0].metadata.name}')
pod_ip=$(k get pod "$pod" -o jsonpath='{.status.podIP}')
node=$(k get pod "$pod" -o jsonpath='{.spec.nodeName}')
shows "two containers on the node: the sandbox" "k8s_POD_${pod}_default_" docker ps --format '{{.Names}}'
shows "two containers on the node: nginx" "k8s_nginx_${pod}_default_" docker ps --format '{{.Names}}'
shows "the pod's address is in its node's subnet" " $(cut -d. -f1-3 <<<"$pod_ip")\.1/" on "$node" ip -4 -o addr show cni0
shows "get deploy" '^nginx +1 +1 +1 +1 ' k get deploy
shows "describe deploy" 'Scaled up replica set nginx-[0-9a-z]+ to 1' k describe deploy nginx
shows "describe rs" "Created pod: $pod" k describe rs
shows "get pod -o wide" "^$pod +1/1 +Running +0 +[^ ]+ +$pod_ip +$node" k get pod -o wide
for event in Scheduled Pulled Created Started; do shows "event $event" "$event" k describe pod "$pod"; done

step "11: expose"
check "our kubectl expose" k expose deployment nginx --type=NodePort --name=example-service
port=$(k get svc example-service -o jsonpath='{.spec.ports[0].nodePort}')
cluster=$(k get svc example-service -o jsonpath='{.spec.clusterIP}')
shows "a cluster address of the range" '^10\.0\.' echo "$cluster"
check "a node port of the range" test "$port" -ge 30000 -a "$port" -le 32767
shows "describe service: the endpoint" "Endpoints: +$pod_ip:80" k describe service example-service

step "12: nginx answers"
for host in 12 13; do soon "the server host → $SKIFF_NET.$host:$port" welcome host-1 "http://$SKIFF_NET.$host:$port"; done
for host in host-2 host-3; do soon "$host → the cluster address" welcome "$host" "http://$cluster"; done
soon "the server host → the pod" welcome host-1 "http://$pod_ip"
shows "logs: its access log" 'GET / HTTP/1.1" 200' k logs "$pod"
# A container on the server host, wired to a bridge in its flannel subnet as the tutorial's Docker does it.
guest_on_server_host() {
  local subnet address guest
  subnet=$(sed -n 's/^FLANNEL_SUBNET=//p' "$(docker volume inspect -f '{{.Mountpoint}}' "${lab}_flannel-1")/subnet.env")
  address=${subnet%.*}.9/24
  guest=$(docker run -d --rm --network none --label "com.docker.compose.project=$lab" "skiff/pause:$version")
  local guest_pid host_pid
  guest_pid=$(docker inspect -f '{{.State.Pid}}' "$guest") host_pid=$(docker inspect -f '{{.State.Pid}}' "$(host host-1)")
  nsenter -t "$host_pid" -n sh -ec "ip link add guests type bridge; ip addr add $subnet dev guests; ip link set guests up
    ip link add guest type veth peer name eth0 netns $guest_pid; ip link set guest master guests up"
  nsenter -t "$guest_pid" -n sh -ec "ip addr add $address dev eth0; ip link set eth0 up; ip route add default via ${subnet%/*}"
  docker run --rm --network "container:$guest" --entrypoint /bin/node "$node_image" fetch --timeout=5s "http://$pod_ip" >"$work/guest"
  docker kill "$guest" >/dev/null
  on host-1 ip link del guests
  grep -q 'Welcome to nginx!' "$work/guest"
}
check "a container on the server host → the pod" guest_on_server_host
check "a client pod" k run client --restart=Never --image="$node_image" --command -- /bin/node fetch --timeout=20s "http://$cluster"
shows "another pod → the cluster address" 'Welcome to nginx!' k logs client
check "a pod with kubectl" k run asks --restart=Never --image="$node_image" --command -- /bin/kubectl get ns
shows "a pod → https://10.0.0.1 with its token and ca.crt" '^kube-system +Active' k logs asks
check "both are deleted" k delete pod client asks
for chain in KUBE-SERVICES KUBE-NODEPORTS KUBE-SVC- KUBE-SEP- KUBE-POSTROUTING; do
  shows "$chain in the node's rules" "^-A $chain.*" docker exec "$(host node-2)" /usr/sbin/iptables -t nat -S
done
shows "with upstream's comments" 'default/example-service.*cluster IP' docker exec "$(host node-2)" /usr/sbin/iptables -t nat -S

step "13: scale, heal, roll, delete"
check "scale to 3" k scale deployment nginx --replicas=3
soon "three run" running 3
check "one is deleted" k delete pod "$pod"
soon "it comes back" running 3
shows "Debian's get deploy" '^nginx +3/3 +3 +3 ' d get deploy
docker tag "$nginx_image" skiff/nginx:next
check "the image is rolled" k set image deployment/nginx nginx=skiff/nginx:next
shows "rollout status" 'successfully rolled out' k rollout status deployment/nginx
images() { k get pods -l run=nginx -o jsonpath='{.items[*].spec.containers[0].image}' | tr ' ' '\n' | sort -u; }
shows "all pods are new" '^skiff/nginx:next$' images
soon "no old one is left" running 3
soon "and the page is still there" welcome host-1 "http://$SKIFF_NET.12:$port"

step "Debian's kubectl, the same"
check "create deployment" d create deployment web --image="$nginx_image"
check "expose" d expose deployment web --port=80 --type=NodePort
soon "rollout status" d rollout status deployment/web --timeout=60s
web_port=$(d get svc web -o jsonpath='{.spec.ports[0].nodePort}')
soon "the page on its node port" welcome host-1 "http://$SKIFF_NET.13:$web_port"
check "scale" d scale deployment web --replicas=2
check "set image" d set image deployment/web nginx=skiff/nginx:next
soon "rollout status again" d rollout status deployment/web --timeout=60s
shows "describe" 'NewReplicaSet: +web-' d describe deployment web
check "a manifest is validated and applied" tee "$work/cm.yaml" <<'END'
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {greeting: hello}
END
check "apply" d apply -f "$work/cm.yaml"
check "apply again" d apply -f "$work/cm.yaml"
shows "a wrong field is refused" 'unknown field|ValidationError' not d create -f - <<'END'
apiVersion: v1
kind: ConfigMap
metadata: {name: wrong}
dta: {}
END
check "patch" d patch configmap settings -p '{"data":{"greeting":"bye"}}'
shows "it was patched" bye d get configmap settings -o yaml
check "delete" d delete deployment,service web

step "faults"
missing() { k run missing --restart=Never --image=skiff/no-such-image:1; }
check "an image that is not there" missing
shows "ErrImagePull, then back-off" 'ErrImagePull|ImagePullBackOff' k get pods
shows "with Docker's message as an event" 'Failed to pull image|Failed' k describe pod missing
k delete pod missing --grace-period=0 >/dev/null 2>&1 || true
# nginx has to answer all the while that the daemons are killed and come back.
(
  missed=0
  while [[ ! -e $work/stop ]]; do
    welcome host-1 "http://$SKIFF_NET.12:$port" || missed=$((missed + 1))
    echo "$missed" >"$work/missed"
  done
) &
watcher=$!
for service in server node-2 flannel-2 etcd; do
  docker kill -s KILL "$(host "$service")" >/dev/null
  docker start "$(docker ps -aq --filter "label=com.docker.compose.project=$lab" --filter "label=com.docker.compose.service=$service")" >/dev/null
  soon "$service was killed and is back" k get nodes
done
touch "$work/stop"
wait "$watcher"
shows "nginx never stopped answering" '^0$' cat "$work/missed"
check "the cluster still works: scale" k scale deployment nginx --replicas=1
soon "one is left" running 1

step "nothing is left over"
check "delete the deployment and the service" k delete deployment/nginx service/example-service
no_pods() { [[ -z $(d get pods -o name) ]]; }
soon "no pods" no_pods
no_containers() { [[ -z $(docker ps -aq --filter "label=skiff.io/cluster=$lab") ]]; }
soon "no containers of pods" no_containers
no_rules() { ! docker exec "$(host node-2)" /usr/sbin/iptables -t nat -S | grep -q example-service; }
soon "no rules of the service" no_rules
in_lab down >"$work/down.log" 2>&1 || { cat "$work/down.log" && fail "scripts/lab down"; }
check "no containers, of pods or of daemons" test -z "$(docker ps -aq --filter "label=skiff.io/cluster=$lab")$(docker ps -aq --filter "label=com.docker.compose.project=$lab")"
check "no volumes" test -z "$(docker volume ls -q --filter "name=$lab")"
check "no networks" test -z "$(docker network ls -q --filter "name=$lab")"
check "no state directory" test ! -e "${SKIFF_STATE_DIR:-/var/lib/skiff}/$lab"
finish
