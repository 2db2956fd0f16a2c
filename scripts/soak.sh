#!/bin/sh
# The long form of tests/soak.rs: a thousand epochs of a tiny network and ten thousand updates of ResNet-18 at width 8, with
# memory, open files and time per update, which must not grow. Some ten minutes on two cores.
set -eu
cd "$(dirname "$0")/.."
export VELOGRAD_REQUIRE_GPU=1
VELOGRAD_SOAK=50 cargo test --release --test suite -- --nocapture --test-threads=1 soak::epochs
VELOGRAD_SOAK=250 cargo test --release --test suite -- --nocapture --test-threads=1 soak::updates
