# The process that holds a pod's namespaces. Nothing else is in the image.
# shellcheck shell=bash disable=SC2034,SC2154
about='holds the namespaces of a pod'
entrypoint='["/pause"]'

fill() { install -m 755 "$dist/pause/bin/pause" "$1/pause"; }
