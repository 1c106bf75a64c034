#!/usr/bin/env bash
# Checks that each room of gateway/ includes only the rooms below it, and each library only where it belongs.
#
#   scripts/check-layers.sh [DIR]         checks DIR, by default gateway/
#   scripts/check-layers.sh --self-test   proves, on trees made for it, that each rule can fail
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# room: the rooms, or single headers, that it may include beside its own. `weir` is the public header,
# include/weir/. Lua's sleeps and timers are timers of the loop, and it has HTTP requests: so two headers of net are
# open to it.
rooms='
weir:
base:
crypto:   base
proto:    base crypto
config:   base
net:      base
upstream: base crypto proto config net
session:  base proto config net
pubsub:   base proto net config session
handlers: base crypto proto config net upstream pubsub session
lua:      base crypto session pubsub upstream net/loop.h net/http_client.h
native:   base session pubsub net/loop.h net/mail_room.h weir
worker:   base proto config net upstream pubsub session handlers lua native weir
admin:    base config session worker
tool:     base config net pubsub session upstream lua worker
main.c:   base config worker admin tool
'

# header (a pattern): the places, as patterns of paths under gateway/, that alone may include it.
libraries='
event2/*:   net/* pubsub/redis*
event.h:    -
curl/*:     net/http_client*
openssl/*:  net/* crypto/*
lua.h:      lua/* tool/*
lauxlib.h:  lua/* tool/*
lualib.h:   lua/* tool/*
zlib.h:     proto/*
yaml.h:     config/*
dlfcn.h:    native/*
'

declare -A may_include
while IFS=: read -r room others; do
    [ -z "$room" ] || may_include[$room]=$(tr -s ' ' <<<"$others")
done <<<"$rooms"

matches_any() {
    local path=$1 pattern
    shift
    set -f
    # shellcheck disable=SC2048 # a list of patterns is one argument; here it becomes words
    for pattern in $*; do
        # shellcheck disable=SC2053 # the right side is meant as a pattern
        if [[ $path == $pattern ]]; then
            set +f
            return 0
        fi
    done
    set +f
    return 1
}

problem() { # place, words
    echo "$1: $2"
    problems=$((problems + 1))
}

# Sets `room` to the room that a path under gateway/ belongs to.
find_room() {
    case $1 in
    include/weir/*) room=weir ;;
    */*) room=${1%%/*} ;;
    *) room=$1 ;;
    esac
}

check_own() { # place, path, room, header
    local other=${4%%/*}
    if [[ $4 != */* || $4 == ../* ]]; then
        problem "$1" "\"$4\": an include path starts with its room"
    elif [ -z "${may_include[$other]+known}" ]; then
        problem "$1" "\"$4\": there is no room $other"
    elif [ "$other" != "$3" ]; then
        matches_any "$other" "${may_include[$3]}" || matches_any "$4" "${may_include[$3]}" ||
            problem "$1" "$3 must not include $other (\"$4\"); it may include:${may_include[$3]:- nothing}"
    fi
}

check_library() { # place, path, header
    local line pattern places
    while read -r line; do
        pattern=${line%%:*} places=${line#*:}
        # shellcheck disable=SC2053
        if [[ -n $pattern && $3 == $pattern ]] && ! matches_any "$2" "$places"; then
            problem "$1" "<$3> belongs to:$places"
        fi
    done <<<"$libraries"
}

check_tree() {
    local root=$1 path room number text header
    problems=0 checked=0
    while IFS=: read -r path number text; do
        path=${path#"$root"/}
        checked=$((checked + 1))
        find_room "$path"
        [[ $text =~ [\"\<]([^\"\>]*)[\"\>] ]] && header=${BASH_REMATCH[1]}
        if [ -z "${may_include[$room]+known}" ]; then
            problem "$path:$number" "there is no room $room"
        elif [[ $text == *\"* ]]; then
            check_own "$path:$number" "$path" "$room" "$header"
            check_library "$path:$number" "$path" "$header"
        else
            check_library "$path:$number" "$path" "$header"
        fi
    done < <(grep -rnE --include='*.[ch]' --include='*.tbl' '^[[:space:]]*#[[:space:]]*include[[:space:]]*["<]' "$root" | sort)
    [ "$checked" -gt 0 ] || problem "$root" "no include found; is it the right folder?"
    [ "$problems" -eq 0 ]
}

self_test() {
    local failed=0
    dir=$(mktemp -d) # global, for the trap
    trap 'rm -rf "$dir"' EXIT

    expect() { # should it pass, path, include line
        rm -rf "$dir/gateway"
        mkdir -p "$dir/gateway/$(dirname "$2")"
        echo "#include $3" >"$dir/gateway/$2"
        local got=fail
        check_tree "$dir/gateway" >/dev/null && got=pass
        if [ "$got" != "$1" ]; then
            echo "self-test: $2 with $3 should $1"
            failed=1
        fi
    }

    expect pass proto/a.c '"base/err.h"'
    expect pass proto/a.c '"proto/b.h"'
    expect pass proto/a.c '<string.h>'
    expect pass crypto/a.c '<openssl/evp.h>'
    expect pass proto/ws_handshake.c '"crypto/crypto.h"'
    expect pass net/a.c '<event2/event.h>'
    expect pass native/a.c '"weir/plugin.h"'
    expect pass native/a.c '<dlfcn.h>'
    expect pass lua/a.c '"net/loop.h"'
    expect pass lua/a.c '"net/http_client.h"'
    expect pass net/http_client.c '<curl/curl.h>'
    expect pass main.c '"worker/server.h"'
    expect fail base/a.c '"proto/b.h"'
    expect fail proto/a.c '"net/loop.h"'
    expect fail lua/a.c '"net/stream.h"'
    expect fail session/a.c '  "worker/worker.h"'
    expect fail proto/a.c '"b.h"'
    expect fail proto/a.c '"../base/err.h"'
    expect fail attic/a.c '"base/err.h"'
    expect fail proto/a.c '"attic/b.h"'
    expect fail session/a.c '<event2/event.h>'
    expect fail proto/ws_handshake.c '<openssl/evp.h>'
    expect fail crypto/a.c '"proto/ws_frame.h"'
    expect fail net/a.c '<curl/curl.h>'
    expect fail net/a.c '<lua.h>'
    expect fail lua/a.c '<dlfcn.h>'
    expect fail native/a.c '"net/stream.h"'
    expect fail net/a.c '<zlib.h>'
    expect fail proto/a.c '<yaml.h>'
    expect fail include/weir/plugin.h '"base/err.h"'
    expect fail main.c '"net/loop.h"'
    [ "$failed" -eq 0 ] && echo "layers: the self-test passed"
}

if [ "${1:-}" = --self-test ]; then
    self_test
else
    check_tree "${1:-gateway}" && echo "layers: $checked includes, all where they belong"
fi
