#!/bin/sh
# Checks that the core (the library without any cargo feature) builds for browsers: scripts/wasm.sh [arguments of cargo check].
set -eu
. "$(dirname "$0")/setup.sh"
cd "$root"
. scripts/wasm-cargo.sh
wasm_cargo check --lib --no-default-features "$@"
