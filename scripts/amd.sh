#!/bin/sh
# What AMD's compiler, Mesa's RADV, makes of every kernel: registers, workgroup memory, waves, instructions, the share of multiply-adds in
# the loops of matrix products. No AMD hardware is needed. Takes a minute.
#
#   scripts/amd.sh [--check] [DRIVER ...]
#
# Writes benches/results/amd-static.md, the table, and benches/results/amd-products.json, which tests compare with; with --check it compares
# only. The assembly of products is left in target/amd. A DRIVER is a libvulkan_radeon.so, or the JSON file that names one for Vulkan's loader; without any it is the system's
# (mesa-vulkan-drivers). RDNA3 needs Mesa 25.
set -eu
. "$(dirname "$0")/setup.sh"

export VELOGRAD_REQUIRE_AMD=1 VELOGRAD_WRITE_AMD=1
if [ "${1:-}" = --check ]; then
    unset VELOGRAD_WRITE_AMD
    shift
fi
drivers=
for driver in "$@"; do
    drivers=${drivers:+$drivers:}$(realpath -- "$driver")
done
[ -z "$drivers" ] || export VELOGRAD_RADV="$drivers"

cd "$root"
cargo test --release --test suite -- amd:: --nocapture
