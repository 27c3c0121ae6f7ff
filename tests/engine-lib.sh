# Docker engines of a test's own, so that restarting one touches nobody else. Each runs in a network namespace that the test
# made: an engine takes the whole iptables of its namespace for its own.
# shellcheck shell=bash disable=SC2154 # work, version: from lib.sh

# engine_start NAME [NETNS]: an engine with its socket at $work/NAME/docker.sock, in this network namespace or another one.
# Inside it, /run/flannel and /var/lib/skiff are its own, as on a host of its own.
engine_start() {
  local name=$1 netns=${2:-} dir=$work/$1
  mkdir -p "$dir/data" "$dir/exec" "$dir/flannel" "$dir/skiff" /run/flannel /var/lib/skiff
  local wrap=()
  if [[ -n $netns ]]; then
    # Not `ip netns exec`: that hides the control groups behind a new /sys.
    wrap=(nsenter "--net=/run/netns/$netns")
  fi
  # The machine's own settings are not for this engine, but for the storage driver: it is the one that works here.
  echo '{}' >"$dir/daemon.json"
  "${wrap[@]}" unshare -m sh -ec "
    mount --make-rprivate /
    mount --bind '$dir/flannel' /run/flannel
    mount --bind '$dir/skiff' /var/lib/skiff
    exec dockerd --config-file='$dir/daemon.json' --storage-driver=$(DOCKER_HOST='' docker info -f '{{.Driver}}') \\
      --data-root='$dir/data' --exec-root='$dir/exec' --pidfile='$dir/dockerd.pid' --host='unix://$dir/docker.sock' \
      --bridge=none --userland-proxy=false --log-level=warn" >>"$dir/dockerd.log" 2>&1 &
  # shellcheck disable=SC2317 # called by soon
  engine_answers() { DOCKER_HOST=unix://$work/$1/docker.sock docker version; }
  soon "the engine $name answers" engine_answers "$name"
}

# engine_stop NAME [SIGNAL]: ends the engine (not its containers, when killed) and waits for its end.
engine_stop() {
  local pid
  pid=$(cat "$work/$1/dockerd.pid" 2>/dev/null) || return 0
  kill "-${2:-TERM}" "$pid" 2>/dev/null || return 0
  while [[ -d /proc/$pid ]]; do sleep 0.05; done
  rm -f "$work/$1/dockerd.pid"
  # Its containerd dies with it, a moment later; an engine that starts meanwhile would wait for the dead one.
  pid=$(cat "$work/$1/exec/containerd/containerd.pid" 2>/dev/null) || return 0
  while [[ -d /proc/$pid && $(awk '{ print $3 }' "/proc/$pid/stat" 2>/dev/null) != Z ]]; do sleep 0.05; done
  rm -f "$work/$1/exec/containerd/containerd.pid"
}

# engine_remove NAME: the engine with all its containers and their processes.
engine_remove() {
  local dir=$work/$1
  [[ -d $dir ]] || return 0
  if DOCKER_HOST=unix://$dir/docker.sock docker ps -aq >"$dir/all" 2>/dev/null; then
    DOCKER_HOST=unix://$dir/docker.sock xargs -r docker rm -fv <"$dir/all" >/dev/null 2>&1 || true
  fi
  engine_stop "$1"
  # A killed engine leaves its containerd behind; it is recognised by its directory.
  pkill -f -- "$dir/exec/containerd" 2>/dev/null || true
  while pgrep -f -- "$dir/exec/containerd" >/dev/null; do sleep 0.05; done
}

# engine_images NAME: copies our images into it.
engine_images() {
  docker save skiff/{pause,server,node,etcd,nginx}:"$version" | DOCKER_HOST=unix://$work/$1/docker.sock docker load -q >/dev/null
}
