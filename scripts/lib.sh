# Shared by the scripts: where things are, how they speak, how they get what they need.
# shellcheck shell=bash disable=SC2034 # used by the scripts that source this file
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dist=$root/dist
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml" | head -n 1)

if [[ -t 1 ]]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi

# step TEXT: a headline. note TEXT: a detail below it. die TEXT: the one line that says what is wrong.
step() { printf '%s==>%s %s\n' "$bold" "$plain" "$*"; }
note() { printf '    %s\n' "$*"; }
die() {
  printf 'skiff: %s\n' "$*" >&2
  exit 1
}

# debian: can this script install Debian packages by itself?
debian() { [[ ${SKIFF_INSTALL:-yes} = yes ]] && command -v apt-get >/dev/null && [[ $(id -u) = 0 ]]; }

# install PACKAGE...: installs Debian packages, quietly, with the package lists fetched once where they are missing.
install_packages() {
  note "installing $*"
  local log
  log=$(mktemp)
  if ! DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >"$log" 2>&1; then
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; } >"$log" 2>&1 ||
      { tail -n 5 "$log" >&2 && rm -f "$log" && die "apt-get could not install $*"; }
  fi
  rm -f "$log"
}

# need COMMAND PACKAGE WHAT-FOR: the command is there, or is installed on Debian, or one line says how to get it.
need() {
  command -v "$1" >/dev/null && return
  if debian; then install_packages "$2"; fi
  command -v "$1" >/dev/null || die "$1 is missing ($3): install it, on Debian with: apt-get install $2"
}

# need_file FILE PACKAGE WHAT-FOR: the same for a file.
need_file() {
  [[ -e $1 ]] && return
  if debian; then install_packages "$2"; fi
  [[ -e $1 ]] || die "$1 is missing ($3): install it, on Debian with: apt-get install $2"
}

need_docker() {
  need docker docker.io "the container engine"
  docker version >/dev/null 2>&1 || die "Docker does not answer: $(docker version 2>&1 | tail -n 1)"
}

# compose ARGS: docker-compose 1.29 or the compose v2 plugin, whichever is there.
compose() {
  if docker compose version >/dev/null 2>&1; then
    docker compose "$@"
  else
    need docker-compose docker-compose "starts the hosts"
    docker-compose "$@"
  fi
}
