#!/usr/bin/env bash
# Measures the gateway against the raw TCP floors, on this machine. docs/benchmarks.md explains the figures.
#
#   scripts/bench.sh [echo|idle|churn|lua|proxy|all] [options]
#     --quick          short windows and few sessions: a look, not a measure
#     --runs N         runs of each echo row, alternating with the floor (3)
#     --text           text messages instead of binary ones
#     --handler NAME   the Lua plugin that echoes (echo)
#     --path PATH      the route to measure (/ws)
#     --conf FILE      the gateway's configuration (conf/bench.yaml)
#     --command CMD    measure this server instead; it must listen on 127.0.0.1:$WEIR_BENCH_PORT
#     --build DIR      take the programs of this build folder as they are
#
# Exits 0 when every bar is met, 1 when one is missed, 2 when a measure failed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2

build=build/release
what=all
runs=3
seconds=3
warmup=0.5
sessions=20000
kind=--binary
path=/ws
conf=conf/bench.yaml
command=
build_given=no
server_core=0
load_core=1
floor_port=$((${WEIR_BENCH_PORT:-5070} + 1))
export WEIR_BENCH_PORT=${WEIR_BENCH_PORT:-5070}
export WEIR_BENCH_HANDLER=${WEIR_BENCH_HANDLER:-echo}

# connections, payload, messages in flight on each, and the most that the gateway's CPU time per message
# may be of the floor's
rows=(
    "100 64     1  1.2"
    "100 64     16 2.0"
    "16  64KiB  2  1.5"
    "4   1MiB   1  2.0"
)
idle_bar_bytes=1024       # of process memory for a session that has echoed once
growth_bar_percent=2      # of what the sessions take, from the second round to the fifth: noise of the allocator

missed=0
server_pid=
floor_pid=
helper_pids=
work=$(mktemp -d)
results=$work/results.jsonl

give_up() {
    echo "bench: $*" >&2
    exit 2
}

# shellcheck disable=SC2317 # called by the trap
cleanup() {
    local pid
    for pid in $server_pid $floor_pid $helper_pids; do
        kill "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 2' INT TERM

read_arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
        echo | idle | churn | lua | proxy | all) what=$1 ;;
        --quick) seconds=1 warmup=0.2 sessions=2000 ;;
        --text) kind=--text ;;
        --runs | --handler | --path | --conf | --command | --build)
            [ $# -ge 2 ] || give_up "$1 needs a value"
            case $1 in
            --runs) runs=$2 ;;
            --handler) WEIR_BENCH_HANDLER=$2 ;;
            --path) path=$2 ;;
            --conf) conf=$2 ;;
            --command) command=$2 ;;
            --build) build=$2 build_given=yes ;;
            esac
            shift
            ;;
        *)
            sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
            [ "$1" = --help ] && exit 0
            give_up "unknown argument '$1'"
            ;;
        esac
        shift
    done
    [[ $runs =~ ^[1-9][0-9]*$ ]] || give_up "--runs is a number from 1"
}

build_all() {
    [ "$build_given" = no ] || return 0
    cmake --preset release -DWEIR_LOAD=ON >"$work/build.log" 2>&1 &&
        cmake --build --preset release >>"$work/build.log" 2>&1 && return 0
    tail -n 30 "$work/build.log" >&2
    give_up "the build failed"
}

# await PORT PID LOG: until the server takes connections.
await() {
    for _ in $(seq 500); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return 0
        kill -0 "$2" 2>/dev/null || break
        sleep 0.02
    done
    tail -n 20 "$3" >&2
    give_up "the server on port $1 did not start"
}

start_server() {
    stop_server
    if [ -n "$command" ]; then
        # shellcheck disable=SC2086 # the command is words
        taskset -c "$server_core" $command >"$work/server.log" 2>&1 &
    else
        taskset -c "$server_core" "$build/weir" -c "$conf" >"$work/server.log" 2>&1 &
    fi
    server_pid=$!
    await "$WEIR_BENCH_PORT" "$server_pid" "$work/server.log"
}

stop_server() {
    [ -n "$server_pid" ] || return 0
    kill "$server_pid" 2>/dev/null
    wait "$server_pid" 2>/dev/null
    server_pid=
}

start_floor() {
    taskset -c "$server_core" "$build/tests/load/weir-floor" --address "127.0.0.1:$floor_port" \
        >"$work/floor.log" 2>&1 &
    floor_pid=$!
    await "$floor_port" "$floor_pid" "$work/floor.log"
}

stop_floor() {
    kill "$floor_pid" 2>/dev/null
    wait "$floor_pid" 2>/dev/null
    floor_pid=
}

# load MODE PORT PID OPTION...: runs the generator; its line of JSON stays in $line.
load() {
    local mode=$1 port=$2 pid=$3
    shift 3
    if ! line=$(taskset -c "$load_core" "$build/tests/load/weir-load" "$mode" --address "127.0.0.1:$port" \
        --path "$path" --pid "$pid" $kind "$@"); then
        tail -n 20 "$work/server.log" >&2
        give_up "weir-load $mode $* failed"
    fi
    echo "$line" >>"$results"
}

# figure NAME: from $line.
figure() {
    sed -n "s/.*\"$1\":\(-\{0,1\}[0-9.]*\).*/\1/p" <<<"$line"
}

# spread NUMBER...: prints minimum, median and maximum.
spread() {
    printf '%s\n' "$@" | sort -n | awk '{ v[NR] = $1 }
        END { m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
              printf "%d %d %d\n", v[1], m, v[NR] }'
}

# verdict FIGURE BAR: sets $word.
verdict() {
    word=OK
    if awk "BEGIN { exit !($1 > $2) }"; then
        word=OVER
        missed=1
    fi
}

measure_row() {
    local connections=$1 size=$2 depth=$3 bar=$4 ratio
    local floor_ns=() server_ns=() floor_spread server_spread rate=()
    local shape=(--connections "$connections" --size "$size" --depth "$depth"
        --seconds "$seconds" --warmup "$warmup")
    for _ in $(seq "$runs"); do
        load echo "$floor_port" "$floor_pid" --raw "${shape[@]}"
        floor_ns+=("$(figure ns_per_message)")
        load echo "$WEIR_BENCH_PORT" "$server_pid" "${shape[@]}"
        server_ns+=("$(figure ns_per_message)")
        rate+=("$(figure messages_per_second)")
    done
    read -ra floor_spread < <(spread "${floor_ns[@]}")
    read -ra server_spread < <(spread "${server_ns[@]}")
    read -ra rate < <(spread "${rate[@]}")
    ratio=$(awk "BEGIN { printf \"%.2f\", ${server_spread[1]} / ${floor_spread[1]} }")
    verdict "$ratio" "$bar"
    printf '%5s x %-6s %2s in flight  %8s [%s..%s]  %8s [%s..%s]  %9s  %5s  %4s  %s\n' \
        "$connections" "$size" "$depth" "${floor_spread[1]}" "${floor_spread[0]}" "${floor_spread[2]}" \
        "${server_spread[1]}" "${server_spread[0]}" "${server_spread[2]}" "${rate[1]}" \
        "$ratio" "$bar" "$word"
}

measure_echo() {
    local row
    start_server
    start_floor
    echo
    echo "Echo: server CPU per message in ns, median [least..most] of $runs runs, ${kind#--} messages"
    echo "  connections, payload        floor                 server                 messages/s  ratio  bar"
    for row in "${rows[@]}"; do
        # shellcheck disable=SC2086 # a row is words
        measure_row $row
    done
}

measure_idle() {
    local room bytes growth growth_bar
    # A fresh process, so that what the echo runs have left behind is not counted.
    start_server
    room=$(($(ulimit -n) - 100))
    if [ "$sessions" -gt "$room" ]; then
        echo "(the descriptor limit here leaves room for $room sessions of the $sessions wanted)"
        sessions=$room
    fi
    load idle "$WEIR_BENCH_PORT" "$server_pid" --connections "$sessions" --echo-once --rounds 5
    bytes=$(figure bytes_per_session)
    # What stayed behind after the rounds 3, 4 and 5: the allocator needs two to settle.
    growth=$(($(figure pss_closed_5) - $(figure pss_closed_2)))
    growth_bar=$((($(figure pss_open_1) - $(figure pss_before)) * growth_bar_percent / 100))
    echo
    echo "Idle: proportional set size with $sessions sessions that have echoed once"
    verdict "$bytes" "$idle_bar_bytes"
    echo "  bytes for each session: $bytes  bar $idle_bar_bytes  $word"
    echo "  before $(figure pss_before), open $(figure pss_open_1), closed after each round" \
        "$(figure pss_closed_1) $(figure pss_closed_2) $(figure pss_closed_3) $(figure pss_closed_4) $(figure pss_closed_5)"
    verdict "$growth" "$growth_bar"
    echo "  growth from the second round to the fifth: $growth  bar $growth_bar  $word"
}

measure_churn() {
    start_server
    load churn "$WEIR_BENCH_PORT" "$server_pid" --parallel 50 --seconds "$seconds" --warmup "$warmup"
    echo
    echo "Churn: connect, upgrade, one echo, closing handshake; 50 at a time"
    echo "  connections/s: $(figure connections_per_second)  server CPU for each: $(figure ns_per_connection) ns" \
        " p50 $(figure p50_us) us  p99 $(figure p99_us) us"
}

# shellcheck source=scripts/bench-lua.sh
. scripts/bench-lua.sh
# shellcheck source=scripts/bench-proxy.sh
. scripts/bench-proxy.sh

read_arguments "$@"
[ "$(nproc)" -ge 2 ] || give_up "two cores are needed: one for the server, one for the load"
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"
build_all
echo "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, Linux $(uname -r)"
echo "server: ${command:-weir, $conf, handler $WEIR_BENCH_HANDLER} on core $server_core; load on core $load_core"
case $what in
echo) measure_echo ;;
idle) measure_idle ;;
churn) measure_churn ;;
lua) measure_lua ;;
proxy) measure_proxy ;;
all)
    measure_echo
    measure_idle
    measure_churn
    measure_lua
    stop_server
    stop_floor
    measure_proxy
    ;;
esac
cp "$results" "$build/bench.jsonl" && echo && echo "Every run's figures: $build/bench.jsonl"
exit "$missed"
