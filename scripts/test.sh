#!/bin/sh
# Every test, after installing what is missing. Needs no GPU: without one, Mesa's lavapipe runs the kernels.
set -eu
. "$(dirname "$0")/setup.sh"
cd "$root"

# Without an adapter the kernel tests would be skipped; here that is a failure.
export VELOGRAD_REQUIRE_GPU=1

# With several ranks, where MPI is there or has to be (VELOGRAD_REQUIRE_MPI=1).
features=
if [ "${VELOGRAD_REQUIRE_MPI:-}" = 1 ] || has_mpi; then
    features="--features mpi"
else
    say "skipped: one training by several ranks; scripts/setup.sh --mpi makes it possible"
fi

# What AMD's compiler makes of the kernels is one of the tests where Mesa's driver for AMD is, or has to be (VELOGRAD_REQUIRE_AMD=1).
if [ -z "${VELOGRAD_REQUIRE_AMD:-}${VELOGRAD_RADV:-}" ] && ! has_radv; then
    say "skipped: AMD's compiler; Mesa's RADV (Debian: mesa-vulkan-drivers) makes it possible"
fi

# shellcheck disable=SC2086 # no word where there are no features
{
    cargo test --release $features
    # The kernels once more, with the bounds and loop checks that normal use leaves out.
    VELOGRAD_CHECKED=1 cargo test --release $features --test suite -- ops:: golden_gpu::

    for example in hello_kernel custom_loop; do
        cargo run --release --quiet $features --example "$example"
    done
}

# The core must build for browsers too, where the target is there or has to be (VELOGRAD_REQUIRE_WASM=1).
if [ "${VELOGRAD_REQUIRE_WASM:-}" = 1 ] || rustup target list --installed 2>/dev/null | grep -qx wasm32-unknown-unknown; then
    scripts/wasm.sh
else
    say "skipped: whether the core builds for browsers; rustup target add wasm32-unknown-unknown makes it possible"
fi

# The page, in a real browser, where all of that and Chromium with npm are there or have to be (VELOGRAD_REQUIRE_WEB=1).
if [ "${VELOGRAD_REQUIRE_WEB:-}" = 1 ] ||
    { rustup target list --installed 2>/dev/null | grep -qx wasm32-unknown-unknown && scripts/web.sh ready; }; then
    scripts/web.sh test
else
    say "skipped: the page in a browser; rustup target add wasm32-unknown-unknown, Chromium and npm make it possible"
fi

# The Python package and the documentation as a site, in an environment with the versions of python/requirements.txt. What needs PyTorch is
# skipped where it is missing; the tests above have followed the links of the documentation and run its commands.
target=${CARGO_TARGET_DIR:-$root/target}
if python3 -m venv "$target/python" && "$target/python/bin/pip" install --quiet --requirement python/requirements.txt; then
    "$target/python/bin/mypy"
    PYTHONPATH=python VELOGRAD_PROGRAM="$target/release/velograd" "$target/python/bin/python" -m pytest -q -rs
    PATH="$target/python/bin:$PATH" scripts/site.sh
elif [ "${VELOGRAD_REQUIRE_PYTHON:-}" = 1 ]; then
    say "the Python package and the site could not be tested: python3 -m venv and pip install need to work"
    exit 1
else
    say "skipped: the Python package and the site, for which python3 needs its module venv, and pip a way to PyPI"
fi

for room in host lab; do
    cargo check --release --quiet --lib --examples --no-default-features --features "$room"
done
cargo fmt --check
# shellcheck disable=SC2086
cargo clippy --release --all-targets $features -- -D warnings
# What most people build, where the above had more.
[ -z "$features" ] || cargo clippy --release --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --quiet
echo "all checks passed"
