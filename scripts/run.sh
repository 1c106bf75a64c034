#!/usr/bin/env bash
# Builds Weir and serves conf/weir.yaml on http://localhost:5000, on a fresh machine too.
#
#   scripts/run.sh                  serve the echo page
#   scripts/run.sh -c FILE          serve another configuration
#   scripts/run.sh -t -c FILE       any other arguments go to the binary as they are
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash scripts/deps.sh build
# A folder that was configured by hand keeps its generator; CMake refuses to change it.
generator=()
[ -e build/release/CMakeCache.txt ] || generator=(-G Ninja)
cmake --preset release "${generator[@]}" >/dev/null
cmake --build --preset release >&2

if [ $# -eq 0 ]; then
    echo
    echo "Weir serves the echo page on http://localhost:5000 (Ctrl+C stops it)."
    set -- -c conf/weir.yaml
fi
exec build/release/weir "$@"
