#!/bin/sh
# Every test, after installing what is missing. Needs no GPU: without one, Mesa's lavapipe runs the kernels.
set -eu
. "$(dirname "$0")/setup.sh"
cd "$root"

# Without an adapter the kernel tests would be skipped; here that is a failure.
export VELOGRAD_REQUIRE_GPU=1

cargo test --release
# The kernels once more, with the bounds and loop checks that normal use leaves out.
VELOGRAD_CHECKED=1 cargo test --release --test suite -- ops:: golden_gpu::

for example in hello_kernel custom_loop; do
    cargo run --release --quiet --example "$example"
done

# The core must build for browsers too, where the target is there or has to be (VELOGRAD_REQUIRE_WASM=1).
if [ "${VELOGRAD_REQUIRE_WASM:-}" = 1 ] || rustup target list --installed 2>/dev/null | grep -qx wasm32-unknown-unknown; then
    scripts/wasm.sh
else
    say "skipped: whether the core builds for browsers; rustup target add wasm32-unknown-unknown makes it possible"
fi

# The documentation as a site; the tests above have followed its links and run its commands.
if command -v mdbook >/dev/null 2>&1; then
    scripts/site.sh
else
    say "skipped: the site; cargo install mdbook --locked makes it possible"
fi

# The Python package, where its tests can run.
if python3 -c "import numpy, pandas, pytest, safetensors" 2>/dev/null; then
    PYTHONPATH=python VELOGRAD_PROGRAM="${CARGO_TARGET_DIR:-$root/target}/release/velograd" python3 -m pytest -q
else
    say "skipped: the Python package; pip install pytest numpy pandas safetensors makes it possible"
fi

for room in host lab; do
    cargo check --release --quiet --lib --examples --no-default-features --features "$room"
done
cargo fmt --check
cargo clippy --release --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --quiet
echo "all checks passed"
