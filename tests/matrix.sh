#!/bin/sh
# `make test-fast` under every Python from 3.10 on that this machine has, each in an environment of its own
# (build/matrix/VERSION). Versions that are not here are named; one that fails fails the whole.
set -u
cd "$(dirname "$0")/.."
failed= absent= tried=
for version in 3.10 3.11 3.12 3.13 3.14; do
    python=
    # pyenv's shims stand on the PATH for versions that are not selected, and fail: what starts counts.
    for candidate in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python; do
        if "$candidate" -c "import sys, venv; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" 2>/dev/null; then
            python=$candidate
            break
        fi
    done
    if [ -z "$python" ]; then
        absent="$absent $version"
        continue
    fi
    echo "--- Python $version ($python)"
    tried="$tried $version"
    ${MAKE:-make} --no-print-directory test-fast PYTHON="$python" VENV="build/matrix/$version" || failed="$failed $version"
done
[ -z "$absent" ] || echo "not on this machine:$absent" >&2
[ -n "$tried" ] || exit 1
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
