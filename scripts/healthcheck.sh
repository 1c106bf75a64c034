#!/usr/bin/env bash
# Exits 0 when the gateway answers `GET PATH` with 200, and 1 otherwise. Needs nothing but bash.
#
#   scripts/healthcheck.sh [HOST [PORT [PATH]]]     default: 127.0.0.1 5000 /
host=${1:-127.0.0.1} port=${2:-5000} path=${3:-/}

fail() {
    echo "unhealthy: $1" >&2
    exit 1
}

exec 3<>"/dev/tcp/$host/$port" || fail "cannot connect to $host:$port"
printf 'GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$path" "$host" >&3
read -r -t 3 -u 3 _ status _ || fail "no answer within 3 seconds"
[ "$status" = 200 ] || fail "GET $path was answered with $status"
