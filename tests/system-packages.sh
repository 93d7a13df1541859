#!/bin/sh
# Install what system-packages.txt lists and this machine lacks. Where that cannot be done (no apt, not root), the
# tests that need a missing program say so and are skipped; under CI they fail.
set -eu
cd "$(dirname "$0")"
missing=
for package in $(sed 's/#.*//' system-packages.txt); do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    apt-get -q update >/dev/null || true
    # shellcheck disable=SC2086
    apt-get -q install -y --no-install-recommends $missing >/dev/null && exit 0
fi
echo "not installed:$missing (tests that need them are skipped)" >&2
[ -z "${CI:-}" ]
