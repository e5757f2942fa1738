#!/bin/sh
# Runs every libFuzzer harness of a build for some seconds each, as many at once as there are cores: fuzz.sh BUILD SECONDS [NAME…]
# What is found stands in BUILD/found: NAME/ the inputs that reached something new, crash-NAME-… those that broke a promise.
set -eu
build=$1 seconds=$2
shift 2
root=$(cd "$(dirname "$0")/.." && pwd)
[ $# -gt 0 ] || set -- $(cd "$root/tests/fuzz/corpus" && ls)

run_one() {
  name=$1
  found="$build/found"
  mkdir -p "$found/$name"
  dictionary="$root/tests/fuzz/$name.dict"
  [ -f "$dictionary" ] || dictionary="$root/tests/fuzz/json.dict"
  log="$found/$name.log"
  if UBSAN_OPTIONS=print_stacktrace=1 "$build/bin/fuzz_$name" "$found/$name" "$root/tests/fuzz/corpus/$name" -max_total_time="$seconds" -max_len=16384 \
    -timeout=30 -rss_limit_mb=4096 -dict="$dictionary" -artifact_prefix="$found/crash-$name-" >"$log" 2>&1; then
    echo "$name: nothing found; $(tail -n 1 "$log")"
  else
    tail -n 60 "$log"
    echo "$name: FAILED; inputs: $found/crash-$name-*"
    exit 1
  fi
}

if [ "${FUZZ_ONE:-}" ]; then
  run_one "$1"
else
  export FUZZ_ONE=yes
  printf '%s\n' "$@" | xargs -P "$(nproc)" -I NAME "$0" "$build" "$seconds" NAME
fi
