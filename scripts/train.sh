#!/bin/sh
# Trains, after installing what is missing: scripts/train.sh [flags of `velograd train`].
set -eu
. "$(dirname "$0")/setup.sh"
exec cargo run --release --quiet --manifest-path "$root/Cargo.toml" -- train "$@"
