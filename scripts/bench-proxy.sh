# shellcheck shell=bash disable=SC2154 # bench.sh sets what is not set here
# The proxy part of scripts/bench.sh, which reads this file: what forwarding costs, as a tunnel and as a
# WebSocket proxy, beside nginx and HAProxy as tunnels. All of them run one thread on the same core, in front of
# the same echo server, and are driven by the same client. The floor copies the same bytes (weir-copy).

backend_port=$((WEIR_BENCH_PORT + 2))
peer_port=$((WEIR_BENCH_PORT + 3))
export WEIR_BENCH_BACKEND_PORT=$backend_port

# connections, payload, messages in flight on each, and the most that a tunnel and a WebSocket proxy may cost
proxy_rows=(
    "100 64     1  1.1 1.25"
    "100 64     16 1.1 1.6"
    "16  64KiB  2  1.1 1.5"
    "4   1MiB   1  1.2 2.0"
)
tunnel_idle_bar_bytes=1536
proxy_idle_bar_bytes=2048
proxy_idle_sessions=9000 # each has two descriptors in the gateway

declare -A side_port side_path side_pid

# start_side NAME PORT PATH COMMAND...: a forwarding server, on the server's core.
start_side() {
    local name=$1 port=$2 path_of=$3
    shift 3
    taskset -c "$server_core" "$@" >"$work/$name.log" 2>&1 &
    side_pid[$name]=$!
    side_port[$name]=$port side_path[$name]=$path_of
    helper_pids+=" $!"
    await "$port" "$!" "$work/$name.log"
}

fill_in() { # FILE BUFFER: prints a peer's configuration
    sed "s|PORT|$peer_port|; s|BACKEND|$backend_port|; s|BUFFER|$2|; s|WORK|$work|" "tests/load/peers/$1"
}

start_sides() {
    local with_peers=$1
    WEIR_BENCH_PORT=$backend_port taskset -c "$load_core" "$build/weir" -c conf/bench.yaml >"$work/backend.log" 2>&1 &
    helper_pids+=" $!"
    await "$backend_port" "$!" "$work/backend.log"
    start_side floor "$floor_port" /ws "$build/tests/load/weir-copy" --address "127.0.0.1:$floor_port" \
        --to "127.0.0.1:$backend_port"
    start_side tunnel "$WEIR_BENCH_PORT" /tunnel/ws "$build/weir" -c conf/bench-proxy.yaml
    side_port[proxy]=$WEIR_BENCH_PORT side_path[proxy]=/proxy/ws side_pid[proxy]=${side_pid[tunnel]}
    sides="floor tunnel proxy"
    if [ "$with_peers" = yes ]; then
        start_peers
    fi
}

start_peers() {
    if command -v nginx >/dev/null; then
        fill_in nginx.conf 64k >"$work/nginx.conf"
        start_side nginx "$peer_port" /ws nginx -c "$work/nginx.conf"
        sides+=" nginx"
        peer_port=$((peer_port + 1))
    fi
    if command -v haproxy >/dev/null; then
        fill_in haproxy.cfg - >"$work/haproxy.cfg"
        start_side haproxy "$peer_port" /ws haproxy -db -f "$work/haproxy.cfg"
        sides+=" haproxy"
    fi
}

side_load() { # MODE SIDE OPTION...
    local mode=$1 side=$2
    shift 2
    path=${side_path[$side]} load "$mode" "${side_port[$side]}" "${side_pid[$side]}" "$@"
}

# ratio_of SIDE: prints the side's median over the floor's.
ratio_of() {
    local floor_median side_median
    # shellcheck disable=SC2086 # the samples are words
    {
        read -r _ floor_median _ < <(spread ${samples[floor]})
        read -r _ side_median _ < <(spread ${samples[$1]})
    }
    awk "BEGIN { printf \"%.2f\", $side_median / $floor_median }"
}

measure_proxy_row() {
    local connections=$1 size=$2 depth=$3 side cells="" ratio
    local -A bar=([tunnel]=$4 [proxy]=$5)
    local -A samples=()
    local shape=(--connections "$connections" --size "$size" --depth "$depth" --seconds "$seconds" --warmup "$warmup")
    for _ in $(seq "$runs"); do
        for side in $sides; do
            side_load echo "$side" "${shape[@]}"
            samples[$side]+=" $(figure ns_per_message)"
        done
    done
    for side in $sides; do
        [ "$side" != floor ] || continue
        ratio=$(ratio_of "$side")
        if [ -n "${bar[$side]:-}" ]; then
            verdict "$ratio" "${bar[$side]}"
            cells+=$(printf '  %s %s (bar %s) %s' "$side" "$ratio" "${bar[$side]}" "$word")
        else
            cells+=$(printf '  %s %s' "$side" "$ratio")
        fi
    done
    # shellcheck disable=SC2086
    read -r _ ratio _ < <(spread ${samples[floor]})
    printf '%5s x %-6s %2s in flight  floor %7s ns%s\n' "$connections" "$size" "$depth" "$ratio" "$cells"
}

measure_proxy() {
    local row
    start_sides yes
    echo
    echo "Forwarding: CPU per message that goes to an echo server and returns, over that of a plain copy;"
    echo "medians of $runs alternating runs, ${kind#--} messages"
    for row in "${proxy_rows[@]}"; do
        # shellcheck disable=SC2086 # a row is words
        measure_proxy_row $row
    done
    stop_helpers
    echo
    echo "Idle: process memory of one connection that has echoed once and is open"
    for side in tunnel proxy nginx haproxy; do
        measure_proxy_idle "$side"
    done
}

# A fresh process for each, so that what others have left behind is not counted.
measure_proxy_idle() {
    local side=$1 bytes count=$proxy_idle_sessions
    local -A bars=([tunnel]=$tunnel_idle_bar_bytes [proxy]=$proxy_idle_bar_bytes)
    peer_port=$((WEIR_BENCH_PORT + 3))
    start_sides "$([[ $side = nginx || $side = haproxy ]] && echo yes || echo no)"
    if [ -z "${side_pid[$side]:-}" ] || ! kill -0 "${side_pid[$side]}" 2>/dev/null; then
        echo "  $side: not installed"
        stop_helpers
        return
    fi
    [ "$sessions" -ge "$count" ] || count=$sessions
    side_load idle "$side" --connections "$count" --echo-once --rounds 1
    bytes=$(figure bytes_per_session)
    if [ -n "${bars[$side]:-}" ]; then
        verdict "$bytes" "${bars[$side]}"
        echo "  $side: $bytes bytes  bar ${bars[$side]}  $word"
    else
        echo "  $side: $bytes bytes"
    fi
    stop_helpers
}

stop_helpers() {
    local pid
    for pid in $helper_pids; do
        kill "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    helper_pids=
    side_pid=()
}
