#!/usr/bin/env bash
# Checks the load generator itself: it must succeed against honest servers, and notice every fault that
# weir-mirror knows. Argument: the folder that holds weir-load, weir-floor and weir-mirror.
set -u

programs=${1:?usage: test_load.sh FOLDER_OF_PROGRAMS}
port=${WEIR_TEST_PORT:-5079}
address=127.0.0.1:$port
server=
failures=0
output=$(mktemp)

stop() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null
        wait "$server" 2>/dev/null
        server=
    fi
}
trap 'stop; rm -f "$output"' EXIT

# Starts a server and waits until it takes connections.
start() {
    stop
    "$@" &
    server=$!
    for _ in $(seq 200); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            return
        fi
        kill -0 "$server" 2>/dev/null || break
        sleep 0.02
    done
    echo "not started: $*" >&2
    exit 1
}

# expect NAME STATUS WORDS COMMAND...: the command must exit with STATUS and print WORDS somewhere.
expect() {
    local name=$1 status=$2 words=$3 got
    shift 3
    "$@" >"$output" 2>&1
    got=$?
    if [ "$got" -eq "$status" ] && grep -q -- "$words" "$output"; then
        echo "ok: $name"
        return
    fi
    failures=$((failures + 1))
    echo "FAILED: $name: wanted status $status and '$words', got $got and:"
    sed 's/^/    /' "$output"
}

load() {
    local mode=$1
    shift
    "$programs/weir-load" "$mode" --address "$address" --seconds 0.2 --warmup 0.1 --stall 1 "$@"
}

start "$programs/weir-floor" --address "$address"
for size in 0 1 15 16 17 125 126 65535 65536 1MiB; do
    expect "raw echo of $size bytes" 0 '"messages":[1-9]' \
        load echo --raw --connections 4 --depth 3 --size $size --pid "$server"
done

start "$programs/weir-mirror" "$address" flip-last raw
expect 'a flipped byte on plain TCP is noticed' 1 'other bytes' load echo --raw --connections 4

# Every seventh message of the mirror comes in fragments with a ping between them.
start "$programs/weir-mirror" "$address" honest
for size in 0 1 15 16 17 125 126 65535 65536 1MiB; do
    expect "echo of $size bytes" 0 '"messages":[1-9]' \
        load echo --connections 4 --depth 3 --size $size --pid "$server"
done
expect 'echo of text' 0 '"ns_per_message":[1-9]' load echo --text --pid "$server"
expect 'idle sessions' 0 '"growth_2"' load idle --echo-once --connections 80 --rounds 2 --pid "$server"
expect 'idle sessions without an echo' 0 '"bytes_per_session"' load idle --connections 5 --pid "$server"
expect 'churn' 0 '"connections":[1-9]' load churn --parallel 5 --pid "$server"
expect 'fan-out that reaches nobody else is noticed' 1 'no delivery' load fanout --connections 3

start "$programs/weir-mirror" "$address" honest broadcast
expect 'fan-out to all' 0 '"messages":[1-9]' load fanout --connections 20 --depth 4 --pid "$server"
expect 'a publisher that hears itself is noticed' 1 'publisher heard' \
    load fanout --connections 20 --publish-path /publish

fault() {
    start "$programs/weir-mirror" "$address" "$1" ${3:+"$3"}
    expect "fault $1${3:+, $3}" 1 "$2" load "${4:-echo}" --connections 10 --parallel 10 --depth 2
}
fault flip-first 'other bytes'
fault flip-last 'other bytes'
fault short 'shorter'
fault long 'longer'
fault twice 'other bytes\|more messages'
fault drop 'other bytes\|missing'
fault kind 'another kind'
fault masked 'mask'
fault close 'closed by the server'
fault hangup 'closed by the server\|reset\|Broken pipe'
fault accept 'Sec-WebSocket-Accept'
fault refuse 'HTTP/1.1 403'
fault close-code 'no clean closing handshake (code 1001)'
fault close-code 'no clean closing handshake (code 1001)' '' churn
fault refuse 'HTTP/1.1 403' '' churn
fault accept 'Sec-WebSocket-Accept' '' churn
fault flip-last 'other bytes' broadcast fanout
fault drop 'other bytes\|not reached all' broadcast fanout
stop

expect 'no server is noticed' 1 'connect' load echo
expect 'an unknown option is refused' 1 "unknown option '--sise'" load echo --sise 3
expect 'a number with a tail is refused' 1 'not a number' load echo --size 3x

[ "$failures" -eq 0 ]
