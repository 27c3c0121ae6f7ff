# The control plane: API server, controller manager and scheduler in one process, and kubectl. Runs as nobody, needs no
# capability and no writable root; its certificate and keys live in /var/lib/skiff, which it owns.
# shellcheck shell=bash disable=SC2034,SC2154
about='Kubernetes control plane in one process'
entrypoint='["/bin/server"]'
user=65532:65532
# Huge pages would cost the allocator megabytes that it never uses; and what a burst took it gives back soon (its default
# is after a second), for no measurable time.
env='["PATH=/bin","MIMALLOC_ALLOW_THP=0","MIMALLOC_PURGE_DELAY=100"]'
owned=var/lib/skiff

fill() {
  mkdir -p "$1/bin" "$1/etc" "$1/var/lib/skiff" "$1/tmp"
  chmod 1777 "$1/tmp"
  install -m 755 "$dist/server/bin/server" "$1/bin/server"
  local name
  for name in kube-apiserver kube-controller-manager kube-scheduler kubectl; do ln -s server "$1/bin/$name"; done
  printf 'root:x:0:0:root:/:/sbin/nologin\nskiff:x:65532:65532:skiff:/var/lib/skiff:/sbin/nologin\n' >"$1/etc/passwd"
  printf 'root:x:0:\nskiff:x:65532:\n' >"$1/etc/group"
}
