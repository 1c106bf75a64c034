# shellcheck shell=bash disable=SC2154 # bench.sh sets what is not set here
# The Lua part of scripts/bench.sh, which reads this file: what a call of Lua costs above the same echo in C. Both
# are routes of one process (conf/bench-lua.yaml), driven in turns, so that they differ in the plugin alone.

# connections, payload, messages in flight on each, and the most CPU in ns that a message may take above the native
# plugin's; without a bar where the system calls around each message vary by as much as the call costs
lua_rows=(
    "100 64 16 400"
    "100 64 1  -"
)
lua_pairs=4 # of short runs, for each of --runs

# One figure for each side and one for what lies between them, which is the median over the pairs: two runs that
# follow each other meet the same machine, and what else it does changes slower than they take turns.
measure_lua_row() {
    local connections=$1 size=$2 depth=$3 bar=$4 side
    local native=() lua=() above=() native_spread lua_spread above_spread
    local shape=(--connections "$connections" --size "$size" --depth "$depth" --seconds 1 --warmup "$warmup")
    for _ in $(seq $((runs * lua_pairs))); do
        for side in native lua; do
            path=/$side load echo "$WEIR_BENCH_PORT" "$server_pid" "${shape[@]}"
            local -n figures=$side
            figures+=("$(figure ns_per_message)")
        done
        above+=("$(awk "BEGIN { print ${lua[-1]} - ${native[-1]} }")")
    done
    read -ra native_spread < <(spread "${native[@]}")
    read -ra lua_spread < <(spread "${lua[@]}")
    read -ra above_spread < <(spread "${above[@]}")
    word=
    [ "$bar" = - ] || verdict "${above_spread[1]}" "$bar"
    printf '%5s x %-6s %2s in flight  native %6s  lua %6s  ratio %s  above %5s [%s..%s]  bar %s  %s\n' \
        "$connections" "$size" "$depth" "${native_spread[1]}" "${lua_spread[1]}" \
        "$(awk "BEGIN { printf \"%.2f\", ${lua_spread[1]} / ${native_spread[1]} }")" \
        "${above_spread[1]}" "${above_spread[0]}" "${above_spread[2]}" "$bar" "$word"
}

measure_lua() {
    local row
    conf=conf/bench-lua.yaml WEIR_NATIVE_PLUGINS=$build/plugins start_server
    echo
    echo "Lua: server CPU per message in ns, echo.lua above echo_native.c, medians of $((runs * lua_pairs)) pairs of runs," \
        "${kind#--} messages"
    for row in "${lua_rows[@]}"; do
        # shellcheck disable=SC2086 # a row is words
        measure_lua_row $row
    done
    stop_server
}
