# Debian's etcd, for machines that reach no registry; SKIFF_ETCD_IMAGE names another one.
# shellcheck shell=bash disable=SC2034,SC2154
about='the etcd of Debian'
command='["/usr/local/bin/etcd"]'
user=65532:65532
env='["PATH=/usr/local/bin","ETCDCTL_API=3","ETCD_UNSUPPORTED_ARCH=arm64"]'
owned=var/lib/etcd

fill() {
  from_debian etcd-server etcd-client
  mkdir -p "$1/usr/local/bin" "$1/var/lib/etcd" "$1/etc" "$1/tmp"
  chmod 700 "$1/var/lib/etcd"
  chmod 1777 "$1/tmp"
  # Where upstream's image has them, so that one compose file serves both.
  install -m 755 "$debian_root/usr/bin/etcd" "$debian_root/usr/bin/etcdctl" "$1/usr/local/bin/"
  with_libraries "$1" "$debian_root/usr/bin/etcd" "$debian_root/usr/bin/etcdctl"
  printf 'etcd:x:65532:65532:etcd:/var/lib/etcd:/sbin/nologin\n' >"$1/etc/passwd"
}
