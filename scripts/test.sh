#!/usr/bin/env bash
# Runs every test of Weir, on a fresh machine too, and ends with the line `N passed, M failed`.
#
#   scripts/test.sh                    all steps
#   scripts/test.sh --only unit,e2e    some steps
#   scripts/test.sh --long             fuzz a minute per target, and the end-to-end tests under TSan as well
#   scripts/test.sh --list             the steps' names
#
# What each step printed stays in build/test-logs/STEP.log. Exit code 0 means that nothing failed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

steps='format layers scripts unit tsan release e2e e2e_asan fuzz clang'
fuzz_seconds=8
only=

usage() {
    sed -n '2,9s/^# \{0,1\}//p' scripts/test.sh
}

while [ $# -gt 0 ]; do
    case $1 in
    --long)
        fuzz_seconds=60
        steps+=' e2e_tsan'
        ;;
    --only)
        only=${2-}
        shift
        ;;
    --list)
        echo "$steps e2e_tsan"
        exit 0
        ;;
    --help | -h)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
    shift
done

if [ -n "$only" ]; then
    known=" $steps e2e_tsan "
    steps=${only//,/ }
    for step in $steps; do
        if [[ $known != *" $step "* ]]; then
            echo "There is no step $step; there are:$known" >&2
            exit 2
        fi
    done
fi

bash scripts/deps.sh test || exit 1

logs=build/test-logs
mkdir -p "$logs"
total_passed=0 total_failed=0 summary=
jobs=$(nproc)

# Sanitizers need a memory layout that very random addresses (vm.mmap_rnd_bits of 32) can take from them.
steady=()
if setarch "$(uname -m)" -R true 2>/dev/null; then
    steady=(setarch "$(uname -m)" -R)
fi

# --- what the steps are made of: each adds to `passed` and `failed` ------------------------------------------

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

skip() {
    skipped=$((skipped + 1))
    echo "skipped: $1"
}

# Ninja for a new build folder. One that was configured by hand keeps its generator; CMake refuses to change it.
generator() { # build folder's name
    [ -e "build/$1/CMakeCache.txt" ] || echo -GNinja
}

configure() { # build folder's name, options of cmake...
    local name=$1
    shift
    # shellcheck disable=SC2046 # nothing, or one word
    cmake -S . -B "build/$name" $(generator "$name") "$@" >"$logs/cmake-$name.log" 2>&1 || {
        cat "$logs/cmake-$name.log"
        return 1
    }
}

# Configures a preset and builds it. Counts only when it fails, unless asked to count as a check.
build_preset() {
    # shellcheck disable=SC2046
    if cmake --preset "$1" $(generator "$1") >"$logs/cmake-$1.log" 2>&1 && cmake --build --preset "$1" -j "$jobs" -- --quiet; then
        return 0
    fi
    cat "$logs/cmake-$1.log"
    failed=$((failed + 1))
    echo "FAILED: building the preset $1"
    return 1
}

# Runs ctest in a build folder and counts the cases within each test program; one that dies counts as a failure.
run_ctest() { # build folder, options of ctest...
    local dir=$1 out=$logs/ctest.out code=0 cases bad programs
    shift
    "${steady[@]}" ctest --test-dir "$dir" --output-on-failure --no-tests=error -j "$jobs" "$@" >"$out" 2>&1 || code=$?
    cat "$out"
    cases=$(awk '/\[  PASSED  \] [0-9]+ test/ { sum += $4 } END { print sum + 0 }' "$dir/Testing/Temporary/LastTest.log")
    bad=$(awk '/\[  FAILED  \] [0-9]+ test/ { sum += $4 } END { print sum + 0 }' "$dir/Testing/Temporary/LastTest.log")
    programs=$(sed -nE 's/.* tests passed, ([0-9]+) tests? failed out of .*/\1/p' "$out")
    [ "$bad" -ge "${programs:-0}" ] || bad=$programs
    [ "$code" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
    passed=$((passed + cases)) failed=$((failed + bad))
}

# Runs the end-to-end tests against a binary.
run_e2e() { # binary
    local out=$logs/node.out code=0
    if [ ! -x "$1" ]; then
        check "$1 exists" false
        return
    fi
    # A copy of the lock file beside what it installed says that there is nothing to fetch.
    if ! cmp -s tests/e2e/package-lock.json tests/e2e/node_modules/.installed-lock.json; then
        if ! (cd tests/e2e && npm ci --no-audit --no-fund --loglevel=error); then
            check "npm ci in tests/e2e" false
            return
        fi
        cp tests/e2e/package-lock.json tests/e2e/node_modules/.installed-lock.json
    fi
    # deps.sh has installed Chromium on Debian; there a page test that skips for want of it would hide a fault.
    grep -qs '^ID=debian' /etc/os-release && export WEIR_NEED_BROWSER=1
    # A test that hangs would hang everything; Node.js 18 has no limit for a file.
    # (In the foreground, so that Ctrl+C reaches it.)
    WEIR_BINARY=$PWD/$1 timeout --foreground -k 10 900 "${steady[@]}" \
        node --test --test-reporter=tap tests/e2e/*.test.js >"$out" 2>&1 || code=$?
    [ "$code" -ne 124 ] || echo "FAILED: the end-to-end tests did not end within 15 minutes"
    grep -vE '^ +(duration_ms|type:|\.\.\.|---)' "$out"
    count() { awk -v name="$1" '$1 == "#" && $2 == name { sum = $3 } END { print sum + 0 }' "$out"; }
    local bad=$(($(count fail) + $(count cancelled)))
    [ "$code" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
    passed=$((passed + $(count pass))) failed=$((failed + bad)) skipped=$((skipped + $(count skipped)))
}

# --- the steps ------------------------------------------------------------------------------------------------

step_format() {
    local major files
    major=$(clang-format --version 2>/dev/null | sed -nE 's/.*version ([0-9]+)\..*/\1/p')
    mapfile -t files < <(find gateway plugins tests -path '*/node_modules' -prune -o -name '*.[ch]' -print)
    if [ "$major" = 14 ]; then
        check "clang-format of ${#files[@]} files" clang-format --dry-run -Werror "${files[@]}"
    else
        skip "the format check needs clang-format 14, here is ${major:-none}"
    fi
}

step_layers() {
    check 'the layers check can fail' bash scripts/check-layers.sh --self-test
    check 'rooms include only the rooms below them' bash scripts/check-layers.sh
}

step_scripts() {
    local file made
    for file in scripts/*.sh; do
        check "$file parses" bash -n "$file"
    done
    made=$(mktemp -d)
    check 'dev-cert.sh makes a certificate' bash scripts/dev-cert.sh -o "$made" localhost ::1
    check 'its names are in it' grep -q 'IP Address:0:0:0:0:0:0:0:1' <(openssl x509 -in "$made/cert.pem" -noout -text)
    rm -rf "$made"
}

step_unit() {
    build_preset asan && run_ctest build/asan
}

# Whatever more than one thread touches.
step_tsan() {
    build_preset tsan && run_ctest build/tsan -R 'base|net|upstream|pubsub|worker|mailbox|admin'
}

# The optimised build, the configurations that come with it, and what it installs.
step_release() {
    build_preset release || return
    local weir=build/release/weir file made=$logs/installed
    rm -rf "$made"
    bash scripts/dev-cert.sh -o "$made/tls" >/dev/null
    for file in conf/*.yaml; do
        check "$file is valid" env WEIR_CERTIFICATE="$made/tls/cert.pem" WEIR_PRIVATE_KEY="$made/tls/key.pem" \
            "$weir" -t -c "$file"
    done
    check 'conf/weir.schema.json is what weir --schema prints' cmp conf/weir.schema.json <("$weir" --schema)
    check 'docs/configuration.md is what weir --reference prints' cmp docs/configuration.md <("$weir" --reference)
    check 'cmake --install works' cmake --install build/release --prefix "$made"
    for file in bin/weir include/weir/plugin.h share/weir/plugins/echo.lua share/weir/www/index.html \
        etc/weir/weir.yaml share/man/man8/weir.8 share/doc/weir/LICENSE share/doc/weir/examples/echo_native.c; do
        check "it installs $file" test -e "$made/$file"
    done
    check 'the installed binary starts' "$made/bin/weir" -V
    check 'a native plugin is built outside the tree, against the installed header alone' native_plugin_builds "$made"
    check 'the man page has no mistakes' man_is_clean "$made/share/man/man8/weir.8"
    rm -rf "$made"
}

# Builds the example that was installed as docs/native-plugins.md says, and loads it into the installed binary.
native_plugin_builds() { # where it is installed
    local outside made
    made=$(realpath "$1")
    outside=$(mktemp -d)
    (
        cd "$outside" || exit 1
        env -i PATH="$PATH" gcc -std=c11 -Wall -Wextra -Wpedantic -Werror -shared -fPIC -O2 -Wl,-z,defs \
            -I "$made/include" -o echo_native.so "$made/share/doc/weir/examples/echo_native.c" || exit 1
        printf '%s\n' "listen: [{address: '127.0.0.1:5999'}]" 'plugin_path: [.]' \
            'routes: [{path: /, websocket: on, handler: {native: echo_native}}]' >weir.yaml
        "$made/bin/weir" -t -c weir.yaml
    )
    local code=$?
    rm -rf "$outside"
    return $code
}

man_is_clean() {
    command -v groff >/dev/null || return 0
    [ -z "$(groff -man -Tutf8 -ww -z "$1" 2>&1)" ]
}

step_e2e() {
    build_preset release && run_e2e build/release/weir
}

step_e2e_asan() {
    build_preset asan && run_e2e build/asan/weir
}

step_e2e_tsan() {
    build_preset tsan && WEIR_SANITIZER=thread run_e2e build/tsan/weir
}

step_fuzz() {
    build_preset fuzz || return
    local target name corpus found
    for target in build/fuzz/tests/fuzz/fuzz_*; do
        if [ ! -f "$target" ] || [ ! -x "$target" ]; then
            continue
        fi
        name=${target##*/}
        corpus=build/fuzz/corpus/$name # what this machine has found so far; the committed inputs are read beside it
        found=tests/fuzz/found
        mkdir -p "$corpus" "$found"
        local inputs=("$corpus")
        [ -d "tests/fuzz/corpus/$name" ] && inputs+=("tests/fuzz/corpus/$name")
        check "$name, $fuzz_seconds s" "${steady[@]}" "$target" -max_total_time="$fuzz_seconds" -timeout=10 \
            -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 -artifact_prefix="$found/$name-" "${inputs[@]}"
    done
    [ $((passed + failed)) -gt 0 ] || check 'there are fuzz targets' false
}

# Everything with the other compiler's warnings, which are errors.
step_clang() {
    local load=OFF
    [ -e tests/load/CMakeLists.txt ] && load=ON
    check 'configuring with clang' configure clang -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug \
        -DWEIR_TESTS=ON -DWEIR_LOAD=$load
    check 'building with clang' cmake --build build/clang -j "$jobs" -- --quiet
    [ $load = OFF ] || check 'the load generator finds the faults of a bad server' \
        ctest --test-dir build/clang --output-on-failure --no-tests=error -R '^load/'
}

# --- run them -------------------------------------------------------------------------------------------------

started=$SECONDS
for step in $steps; do
    echo
    echo "== $step"
    began=$SECONDS
    : >"$logs/counts"
    {
        passed=0 failed=0 skipped=0
        "step_$step"
        echo "$passed $failed $skipped" >"$logs/counts"
    } 2>&1 | tee "$logs/$step.log"
    read -r passed failed skipped <"$logs/counts" || { passed=0 failed=1 skipped=0; }
    [ $((passed + failed + skipped)) -gt 0 ] || failed=1 # a step that checked nothing is no success
    total_passed=$((total_passed + passed)) total_failed=$((total_failed + failed))
    summary+=$(printf '%-10s %6d passed %4d failed %4d skipped %5d s' \
        "$step" "$passed" "$failed" "$skipped" $((SECONDS - began)))$'\n'
done

echo
echo "== summary (logs in $logs)"
echo "$summary"
echo "took $((SECONDS - started)) s"
echo "$total_passed passed, $total_failed failed"
[ "$total_failed" -eq 0 ]
