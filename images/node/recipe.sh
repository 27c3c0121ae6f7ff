# A node: kubelet and kube-proxy in one process, flanneld, kubectl, and iptables in both of its kinds (a host's rules
# live in one of them, and only its own kind of iptables sees them). There is no shell.
# shellcheck shell=bash disable=SC2034,SC2154
about='Kubernetes node in one process, and flanneld'
entrypoint='["/bin/node"]'
env='["PATH=/bin:/usr/sbin"]'

# The extensions of iptables that the proxy, the kubelet and flanneld use, out of the hundred that there are.
extensions='libxt_addrtype libxt_comment libxt_conntrack libxt_mark libxt_MARK libxt_NAT libxt_DNAT libxt_SNAT libxt_MASQUERADE
  libxt_REDIRECT libxt_multiport libipt_REJECT libxt_recent libxt_standard libxt_statistic libxt_tcp libxt_udp libxt_sctp
  libxt_state libxt_limit libxt_LOG libxt_physdev libipt_icmp libxt_CT libxt_nfacct'

fill() {
  from_debian iptables libxtables12 libmnl0 libnftnl11 libip4tc2 libip6tc2 libnetfilter-conntrack3 libnfnetlink0
  mkdir -p "$1/bin" "$1/etc" "$1/usr/sbin" "$1/var/lib/skiff" "$1/run/flannel" "$1/tmp"
  chmod 1777 "$1/tmp"
  install -m 755 "$dist/node/bin/node" "$1/bin/node"
  local name kind
  for name in kubelet kube-proxy flanneld kubectl; do ln -s node "$1/bin/$name"; done
  for kind in nft legacy; do
    install -m 755 "$debian_root/usr/sbin/xtables-$kind-multi" "$1/usr/sbin/"
    for name in iptables ip6tables; do
      ln -s "xtables-$kind-multi" "$1/usr/sbin/$name-$kind"
      ln -s "xtables-$kind-multi" "$1/usr/sbin/$name-$kind-save"
      ln -s "xtables-$kind-multi" "$1/usr/sbin/$name-$kind-restore"
    done
  done
  # Which kind `iptables` means is decided by whoever runs it; legacy is there for kernels without nf_tables.
  for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
    ln -s xtables-nft-multi "$1/usr/sbin/$name"
  done
  with_libraries "$1" "$debian_root/usr/sbin/xtables-nft-multi" "$debian_root/usr/sbin/xtables-legacy-multi"
  # xtables looks for its extensions where Debian built it to look.
  local plugins
  plugins=$(cd "$debian_root" && echo usr/lib/*-linux-gnu/xtables)
  mkdir -p "$1/$plugins"
  for name in $extensions; do
    if [[ -e $debian_root/$plugins/$name.so ]]; then install -m 644 "$(readlink -f "$debian_root/$plugins/$name.so")" "$1/$plugins/$name.so"; fi
  done
  # An extension that cannot be loaded looks to iptables like one that does not exist (libxt_statistic wants libm).
  with_libraries "$1" "$1/$plugins"/*.so
  printf 'root:x:0:0:root:/:/sbin/nologin\n' >"$1/etc/passwd"
  printf 'root:x:0:\n' >"$1/etc/group"
  printf 'tcp 6 TCP\nudp 17 UDP\nicmp 1 ICMP\nsctp 132 SCTP\n' >"$1/etc/protocols"
}
