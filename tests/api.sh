#!/usr/bin/env bash
# Real clients against an API server alone, without controllers and nodes: the Python client of today and that of 2018,
# Debian's kubectl and ours; over HTTP, and over HTTPS with a token. Needs the binaries in dist/ (scripts/build binaries).
# shellcheck disable=SC2154 # work, dist, root: from the files below
. "$(dirname "$0")/lib.sh"
# shellcheck source=api/kubectl.sh
. "$(dirname "$0")/api/kubectl.sh"
need ss iproute2 "finds free ports"
need python3 python3 "runs the Python clients"
from_debian etcd-server etcd-client
ours=$dist/server/bin/kubectl
theirs=$(debian_kubectl)

# The newest client, and the last of those that know the versions of 2018 only.
newest=37.0.2 oldest=8.0.1

# python_client VERSION: the Python client in an environment of its own; prints its interpreter.
python_client() {
  local dir=$dist/python/kubernetes-$1
  if [[ ! -e $dir/.have ]]; then
    python3 -c 'import ensurepip' 2>/dev/null || { debian && install_packages python3-venv >&2; }
    rm -rf "$dir"
    note "fetching kubernetes $1 from PyPI" >&2
    { python3 -m venv "$dir" && "$dir/bin/pip" install --quiet --disable-pip-version-check "kubernetes==$1" && : >"$dir/.have"; } >&2 ||
      die "cannot make a Python environment with kubernetes==$1"
  fi
  echo "$dir/bin/python"
}

etcd=$(free_port) peer=$(free_port) http=$(free_port) https=$(free_port)
pids=()
evidence() { tail -n 40 "$work"/*.log; }
cleanup() {
  kill -9 "${pids[@]}" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

start_apiserver() {
  "$dist/server/bin/kube-apiserver" --etcd-servers="http://127.0.0.1:$etcd" --insecure-port="$http" --secure-port="$https" \
    --cert-dir="$work/certs" --token-auth-file="$work/tokens" --anonymous-auth=false --service-cluster-ip-range=10.96.0.0/16 \
    --disable-admission-plugins=ServiceAccount >>"$work/kube-apiserver.log" 2>&1 &
  pids[1]=$!
  soon "the API server is ready" "$ours" -s "127.0.0.1:$http" get --raw /readyz
}

step "an API server on etcd"
echo 'secret,admin,admin-uid,system:masters' >"$work/tokens"
"$debian_root/usr/bin/etcd" --data-dir="$work/etcd" --listen-client-urls="http://127.0.0.1:$etcd" \
  --advertise-client-urls="http://127.0.0.1:$etcd" --listen-peer-urls="http://127.0.0.1:$peer" \
  --initial-advertise-peer-urls="http://127.0.0.1:$peer" --initial-cluster="default=http://127.0.0.1:$peer" >"$work/etcd.log" 2>&1 &
pids[0]=$!
start_apiserver
# Another process knows nothing of what was before it: versions from then on are too old to watch from.
check "something happens" "$ours" -s "127.0.0.1:$http" create ns before
kill "${pids[1]}"
wait "${pids[1]}" || true
start_apiserver

for version in $newest $oldest; do
  step "the Python client $version"
  python=$(python_client "$version")
  check "over HTTP" "$python" "$root/tests/api/python_client.py" "http://127.0.0.1:$http"
  check "over HTTPS with a token" "$python" "$root/tests/api/python_client.py" "https://127.0.0.1:$https" secret "$work/certs/apiserver.crt"
done

# Not by `kubectl config`: Debian's build crashes when it writes a token.
kubeconfig() {
  cat <<END
apiVersion: v1
kind: Config
current-context: c
clusters: [{name: c, cluster: {server: "https://127.0.0.1:$https", certificate-authority: "$work/certs/apiserver.crt"}}]
users: [{name: u, user: {token: secret}}]
contexts: [{name: c, context: {cluster: c, user: u, namespace: $1}}]
END
}
export HOME=$work KUBECONFIG=$work/kubeconfig
step "Debian's kubectl"
kubeconfig debian >"$KUBECONFIG"
work_with "$theirs" debian
step "our kubectl"
kubeconfig ours >"$KUBECONFIG"
work_with "$ours" ours
finish
