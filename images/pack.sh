# Packs an image: a directory becomes one reproducible layer, a few settings its configuration, both a file that
# `docker load` reads. It needs no base image, no registry and no Dockerfile builder; the same input gives the same
# image id on every machine.
#
# A recipe (images/NAME/recipe.sh) sets `about`, `entrypoint`, `command`, `user`, `env`, `volumes` (JSON, all optional)
# and defines `fill DIR`, which puts the files there. Files belong to root; what stands in `owned` belongs to `user`.
# shellcheck shell=bash disable=SC2034

debian_root=$dist/debian

# from_debian PACKAGE...: unpacks Debian packages below $debian_root without installing them.
from_debian() {
  local package missing=()
  for package in "$@"; do [[ -e $debian_root/.have/$package ]] || missing+=("$package"); done
  [[ ${#missing[@]} = 0 ]] && return
  command -v apt-get >/dev/null || die "no apt-get here to fetch ${missing[*]}: name an image of your own in SKIFF_${name^^}_IMAGE"
  need dpkg-deb dpkg "unpacks packages"
  mkdir -p "$debian_root/.have" "$debian_root/.download"
  note "fetching ${missing[*]}"
  (
    cd "$debian_root/.download"
    rm -f -- *.deb
    apt-get download "${missing[@]}" >log 2>&1 || { apt-get update >log 2>&1 && apt-get download "${missing[@]}" >log 2>&1; } ||
      { tail -n 2 log >&2 && die "apt-get could not fetch ${missing[*]}"; }
    local deb
    for deb in *.deb; do dpkg-deb -x "$deb" "$debian_root" && rm -f "$deb"; done
  )
  for package in "${missing[@]}"; do : >"$debian_root/.have/$package"; done
}

# with_libraries DIR FILE...: copies the shared libraries that the files need (and the loader) into DIR.
with_libraries() {
  local dir=$1 file
  shift
  local where
  where=$(printf '%s:' "$debian_root"/usr/lib/*-linux-gnu "$debian_root"/lib/*-linux-gnu)
  for file in "$@"; do
    LD_LIBRARY_PATH=$where ldd "$file" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^\t\(\/lib[^ ]*\).*/\1/p'
  done | sort -u | while read -r file; do
    case $file in
      */ld-linux*) install -D -m 755 "$file" "$dir/lib64/$(basename "$file")" ;;
      *) install -D -m 644 "$file" "$dir/lib/$(basename "$file")" ;;
    esac
  done
}

# layer DIR FILE: DIR as a tar that depends on nothing but names, modes and contents.
layer() {
  local all=(--sort=name --mtime=@0 --numeric-owner --format=gnu -C "$1")
  local id=${user%%:*} path skip=()
  for path in $owned; do skip+=("--exclude=./$path"); done
  tar "${all[@]}" --owner=0 --group=0 "${skip[@]}" -cf "$2" .
  for path in $owned; do tar "${all[@]}" --owner="$id" --group="$id" -rf "$2" "./$path"; done
}

# pack NAME: makes skiff/NAME:$version and loads it into the engine, unless the engine has that very image.
pack() {
  local name=$1 about='' entrypoint=null command=null user='' env='[]' volumes=null owned=''
  local variable=SKIFF_${name^^}_IMAGE
  if [[ -n ${!variable:-} ]]; then
    note "$name: ${!variable} (named by $variable)"
    return
  fi
  # shellcheck disable=SC1090
  . "$root/images/$name/recipe.sh"
  local work
  work=$(mktemp -d)
  mkdir "$work/root" "$work/image"
  fill "$work/root"
  layer "$work/root" "$work/image/layer.tar"
  local diff arch config tag=skiff/$name:$version
  diff=$(sha256sum "$work/image/layer.tar" | cut -d ' ' -f 1)
  case $(uname -m) in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; *) arch=$(uname -m) ;; esac
  local labels
  labels=$(printf '{"org.opencontainers.image.title":"skiff/%s","org.opencontainers.image.description":"%s","org.opencontainers.image.version":"%s","org.opencontainers.image.licenses":"Apache-2.0"}' \
    "$name" "$about" "$version")
  printf '{"architecture":"%s","os":"linux","created":"1970-01-01T00:00:00Z","config":{"User":"%s","Env":%s,"Entrypoint":%s,"Cmd":%s,"Volumes":%s,"WorkingDir":"/","Labels":%s},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"history":[{"created":"1970-01-01T00:00:00Z","created_by":"skiff images/%s"}]}' \
    "$arch" "$user" "$env" "$entrypoint" "$command" "$volumes" "$labels" "$diff" "$name" >"$work/image/config"
  config=$(sha256sum "$work/image/config" | cut -d ' ' -f 1)
  mv "$work/image/config" "$work/image/$config.json"
  printf '[{"Config":"%s.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$config" "$tag" >"$work/image/manifest.json"
  local size
  size=$(gzip -9nc "$work/image/layer.tar" | wc -c | numfmt --to=iec --suffix=B)
  if [[ $(docker image inspect -f '{{.Id}}' "$tag" 2>/dev/null) = "sha256:$config" ]]; then
    note "$tag is up to date ($size compressed)"
  else
    tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$work/image" -cf - . | docker load -q >/dev/null
    note "$tag made ($size compressed)"
  fi
  rm -rf "$work"
}
