# What the end-to-end tests share: checks that say what they saw, waiting for conditions, and both kubectls.
# shellcheck shell=bash disable=SC2154
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
# shellcheck source=../images/pack.sh
. "$root/images/pack.sh"

passed=0
work=$(mktemp -d)

# ok WHAT: a check that held. fail WHAT: the first one that does not ends the test, with what `evidence` prints.
ok() {
  passed=$((passed + 1))
  note "ok: $*"
}
evidence() { :; }
fail() {
  printf '\n    FAILED: %s\n\n' "$*"
  evidence || true
  exit 1
}

# check WHAT COMMAND...: the command succeeds now.
check() {
  local what=$1
  shift
  if "$@" >"$work/out" 2>&1; then ok "$what"; else
    head -c 2000 "$work/out"
    fail "$what: $*"
  fi
}

# soon WHAT COMMAND...: the command succeeds within $patience_s seconds.
patience_s=${SKIFF_TEST_PATIENCE_S:-60}
soon() {
  local what=$1 until=$((SECONDS + patience_s))
  shift
  until "$@" >"$work/out" 2>&1; do
    if [[ $SECONDS -ge $until ]]; then
      head -c 2000 "$work/out"
      fail "$what: not within $patience_s s: $*"
    fi
    sleep 0.1
  done
  ok "$what"
}

# shows WHAT PATTERN COMMAND...: what the command prints matches the extended regular expression, now or soon.
shows() {
  local what=$1 pattern=$2
  shift 2
  soon "$what" matches "$pattern" "$@"
}
matches() {
  local pattern=$1
  shift
  # A refusal is an answer too: its text counts, not the exit code.
  "$@" >"$work/seen" 2>&1 || true
  grep -Eq -- "$pattern" "$work/seen" || {
    cat "$work/seen"
    echo "(no match for $pattern)"
    return 1
  }
}
# not COMMAND...: it fails.
not() { ! "$@"; }

# debian_kubectl: the path of Debian's real kubectl, an independent judge.
debian_kubectl() {
  local name=kubectl
  from_debian kubernetes-client >&2
  echo "$debian_root/usr/bin/kubectl"
}

# free_port: a port on loopback that nobody listens on now.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 10000))
    ss -Htln "sport = :$port" | grep -q . || { echo "$port" && return; }
  done
}

finish() {
  printf '%s checks passed\n' "$passed"
}
