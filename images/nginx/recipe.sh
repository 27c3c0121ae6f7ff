# Debian's nginx with its welcome page, for the demo on machines that reach no registry; SKIFF_NGINX_IMAGE names another.
# shellcheck shell=bash disable=SC2034,SC2154
about='the nginx of Debian, for the demo'
entrypoint='["/usr/sbin/nginx"]'
command='["-g","daemon off;"]'
env='["PATH=/usr/sbin"]'

fill() {
  from_debian nginx nginx-common libpcre2-8-0 libssl3 zlib1g libcrypt1
  mkdir -p "$1/usr/sbin" "$1/etc/nginx" "$1/usr/share/nginx/html" "$1/var/log/nginx" "$1/var/lib/nginx" "$1/run" "$1/tmp"
  chmod 1777 "$1/tmp"
  install -m 755 "$debian_root/usr/sbin/nginx" "$1/usr/sbin/nginx"
  with_libraries "$1" "$debian_root/usr/sbin/nginx"
  install -m 644 "$debian_root/usr/share/nginx/html/index.html" "$1/usr/share/nginx/html/index.html"
  install -m 644 "$debian_root/etc/nginx/mime.types" "$1/etc/nginx/mime.types"
  install -m 644 "$root/images/nginx/nginx.conf" "$1/etc/nginx/nginx.conf"
  ln -s /dev/stdout "$1/var/log/nginx/access.log"
  ln -s /dev/stderr "$1/var/log/nginx/error.log"
  printf 'root:x:0:0:root:/:/sbin/nologin\nwww-data:x:33:33:www-data:/:/sbin/nologin\n' >"$1/etc/passwd"
  printf 'root:x:0:\nwww-data:x:33:\n' >"$1/etc/group"
}
