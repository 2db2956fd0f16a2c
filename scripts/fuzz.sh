#!/bin/sh
# Every fuzz target for SECONDS (default 60), at low priority; prints the executions of each. Needs cargo-fuzz.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
export RUSTC_BOOTSTRAP=1

for target in records archive idx pictures text weights gpt2 recipe rule runs; do
    log=fuzz/target/$target.log
    mkdir -p fuzz/target
    mkdir -p "fuzz/corpus/$target" # the first folder is where inputs that are found go
    case $target in
    rule) seeds="shaders/optim src/optim/rule" ;; # the rules of the program are the valid files
    *) seeds= ;;
    esac
    # shellcheck disable=SC2086 # several folders
    nice -n 15 cargo fuzz run --sanitizer none "$target" "fuzz/corpus/$target" $seeds -- \
        -max_total_time="$seconds" -rss_limit_mb=512 -timeout=10 -max_len=20000 -print_final_stats=1 >"$log" 2>&1 ||
        { tail -n 30 "$log"; echo "$target: FAILED; the input is in fuzz/artifacts/$target/"; exit 1; }
    awk -v t="$target" '/number_of_executed_units|peak_rss_mb/ { print t ": " $1 " " $2 }' "$log"
done
