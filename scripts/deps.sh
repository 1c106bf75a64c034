#!/usr/bin/env bash
# The one list of Debian packages that Weir needs, and how missing ones are installed.
#
#   scripts/deps.sh build     what compiling needs      (scripts/run.sh, and the Dockerfile's first stage)
#   scripts/deps.sh test      what the tests need       (scripts/test.sh)
#   scripts/deps.sh runtime   what a built binary needs (the Dockerfile's second stage)
#
# Installs with apt-get what is missing, with sudo unless root, and says what. Needs no network and changes
# nothing when all is there. An entry `package=command` counts as installed when the command exists, so that
# a Node.js or CMake from elsewhere is left alone.
set -euo pipefail

build_packages=(
    gcc=gcc libc6-dev cmake=cmake ninja-build=ninja make=make pkg-config=pkg-config
    libevent-dev libyaml-dev liblua5.4-dev libssl-dev zlib1g-dev libjansson-dev lua-cjson
    libcurl4-openssl-dev libcrypt-dev
)

test_packages=(
    "${build_packages[@]}"
    libcmocka-dev g++=c++ clang=clang libclang-rt-dev clang-format=clang-format
    nodejs=node npm=npm openssl=openssl curl=curl redis-server=redis-server nginx-light=nginx
)

runtime_packages=(libevent-2.1-7 libyaml-0-2 liblua5.4-0 lua-cjson libssl3 zlib1g libjansson4 libcurl4
    libcrypt1 ca-certificates)

# Ubuntu has Chromium only as a snap; there the page tests run when some Chromium is installed already.
if grep -qs '^ID=debian' /etc/os-release; then
    test_packages+=(chromium=chromium)
fi

is_installed() {
    local package=${1%%=*} command=${1#*=}
    if [[ $1 == *=* ]] && command -v "$command" >/dev/null; then
        return 0
    fi
    # A multi-architecture package is listed once per architecture; one that is installed will do.
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed
}

install_missing() {
    local entry missing=() as_root=()
    for entry in "$@"; do
        is_installed "$entry" || missing+=("${entry%%=*}")
    done
    if [ ${#missing[@]} -eq 0 ]; then
        return 0
    fi
    if ! command -v apt-get >/dev/null; then
        echo "Missing, by their Debian names: ${missing[*]}. There is no apt-get here; install them yourself." >&2
        return 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "Missing: ${missing[*]}. Run as root: apt-get install ${missing[*]}" >&2
            return 1
        fi
        as_root=(sudo)
    fi
    echo "Installing with apt-get: ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    # A shell of its own, which under sudo is root's: its trap lifts the ban on starting services in any case.
    "${as_root[@]}" bash -c "$install_without_starting" bash "${missing[@]}"
}

# The packages of servers would start them, on ports 80 and 6379 of whoever runs the tests, now and at each boot.
# What starts services asks policy-rc.d first, where there is one, and 101 is its no; one that the administrator
# has put there stays.
# shellcheck disable=SC2016 # expanded by the shell that runs it
install_without_starting='
set -eu
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ] && [ ! -L "$policy" ]; then
    trap "rm -f $policy" EXIT
    trap "exit 1" HUP INT TERM
    printf "#!/bin/sh\nexit 101\n" >"$policy"
    chmod 755 "$policy"
fi
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
for package in "$@"; do
    case $package in
    nginx-light) update-rc.d nginx disable >/dev/null ;;
    redis-server) update-rc.d redis-server disable >/dev/null ;;
    esac
done
'

case ${1:-} in
build) install_missing "${build_packages[@]}" ;;
test) install_missing "${test_packages[@]}" ;;
runtime) install_missing "${runtime_packages[@]}" ;;
*)
    echo "usage: deps.sh build|test|runtime" >&2
    exit 2
    ;;
esac
