#!/usr/bin/env bash
# Tries out docker-compose.yml with a real engine: builds, starts, chats, scales, kills, stops.
#
#   scripts/check-compose.sh
#
# Needs docker with Compose (`docker compose`, or `docker-compose` 1.29) and curl, and nothing else of this
# tree's packages. Its containers are a project of their own, weir-check, on port ${WEIR_PORT:-5900}; at the
# end they are taken down, the images stay. Ends with the line `N passed, M failed`; exit code 0: none failed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

export WEIR_PORT=${WEIR_PORT:-5900} COMPOSE_PROJECT_NAME=weir-check
url=http://localhost:$WEIR_PORT
passed=0 failed=0

if docker compose version >/dev/null 2>&1; then
    compose=(docker compose)
else
    compose=(docker-compose)
fi
for program in docker "${compose[0]}" curl; do
    command -v "$program" >/dev/null || {
        echo "There is no $program here." >&2
        exit 2
    }
done

# Counts one check: passes when the command does.
check() { # words, command...
    local what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok: $what"
    else
        failed=$((failed + 1))
        echo "FAILED: $what"
    fi
}

finish() {
    if [ "$failed" -gt 0 ]; then
        "${compose[@]}" ps
        "${compose[@]}" logs --tail 40
    fi
    "${compose[@]}" down --volumes >/dev/null 2>&1
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
}
trap finish EXIT
trap 'failed=$((failed + 1)); exit' INT TERM

# The running ones; the engine is asked, since the two versions of Compose answer differently.
containers() { # [service]
    docker ps -q --filter label=com.docker.compose.project=weir-check ${1:+--filter "label=com.docker.compose.service=$1"}
}

property() { # template of docker inspect, containers...
    docker inspect -f "$@"
}

# Repeats a command until it succeeds.
within() { # seconds, command...
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.2
    done
}

scale_to() { # how many chat servers
    "${compose[@]}" up -d --no-recreate --scale chat="$1" >/dev/null 2>&1
}

has_status() { # number of containers
    local ids
    mapfile -t ids < <(containers)
    [ ${#ids[@]} -eq "$1" ] && ! property '{{.State.Health.Status}}' "${ids[@]}" | grep -qvx healthy
}

answers() { # status, path
    [ "$(curl -s -o /dev/null -w '%{http_code}' --max-time 5 "$url$2")" = "$1" ]
}

# Opens sessions through Weir, in one room; prints the names of the servers that they are with.
chat() { # how many
    docker exec -i "$(containers chat | head -n 1)" node - weir:5000 "$1" <tests/backends/chat/check.js
}

# All chat servers that run get sessions, every session is served, and what one says all hear.
everybody_chats() {
    diff <(containers chat | xargs docker inspect -f '{{.Config.Hostname}}' | sort) <(chat 12)
}

sessions_work() {
    chat 12 >/dev/null
}

published() { # service
    local id
    for id in $(containers "$1"); do
        docker port "$id"
    done
}

is_confined() {
    local ids expected='true [ALL] [no-new-privileges:true]'
    mapfile -t ids < <(containers)
    ! property '{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}' "${ids[@]}" |
        grep -qvxF "$expected"
}

is_not_root() {
    docker exec "$1" sh -c '[ "$(id -u)" != 0 ]'
}

same_weir() {
    [ "$(property '{{.Id}} {{.State.StartedAt}}' "$(containers weir)")" = "$weir" ]
}

ended_in_order() {
    local ids
    mapfile -t ids < <(docker ps -aq --filter label=com.docker.compose.project=weir-check)
    ! property '{{.State.ExitCode}}' "${ids[@]}" | grep -qvx 0
}

"${compose[@]}" down --volumes >/dev/null 2>&1 # what a run that was killed has left
check 'the images can be built' "${compose[@]}" build
check 'it starts' "${compose[@]}" up -d
check 'all four containers are healthy' within 60 has_status 4
weir=$(property '{{.Id}} {{.State.StartedAt}}' "$(containers weir)")

for path in / /chat/ /chat/chat.js /chat/chat.css /socket.io/socket.io.js; do
    check "$path is served" answers 200 "$path"
done
check 'Weir is published' test -n "$(published weir)"
check 'the chat servers are not' test -z "$(published chat)"
check 'nor is Redis' test -z "$(published redis)"
check 'all containers are read-only, without capabilities and new privileges' is_confined
for service in weir chat redis; do
    check "$service does not run as root" is_not_root "$(containers $service | head -n 1)"
done
check 'both servers get sessions, and a message reaches those of the other' everybody_chats

check 'a third server can be added' scale_to 3
check 'it becomes healthy' within 60 has_status 5
check 'it gets sessions' within 20 everybody_chats
check 'one server can be taken away' scale_to 2
check 'sessions are served at once' sessions_work
check 'they are at the two that are left' within 20 everybody_chats

killed=$(containers chat | tail -n 1)
check 'a server can be killed' docker kill "$killed"
check 'sessions are served at once' sessions_work
check 'it can come back' docker start "$killed"
check 'it becomes healthy' within 60 has_status 4
check 'it gets sessions again' within 20 everybody_chats
check 'Weir has not been restarted' same_weir

began=$SECONDS
check 'it stops' "${compose[@]}" stop
check 'and needs no force for it' test $((SECONDS - began)) -lt 30
check 'every container ends with 0' ended_in_order
