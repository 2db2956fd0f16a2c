#!/bin/sh
# Checks that the oldest Rust that Cargo.toml promises ('rust-version') compiles everything: scripts/msrv.sh [arguments of cargo check].
#
# First it reads what the locked dependencies promise, which needs no other toolchain. Where rustup cannot install that version, and
# VELOGRAD_REQUIRE_MSRV is not set, it is left at that.
set -eu
cd "$(dirname "$0")/.."

version=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
cargo metadata --format-version=1 --locked | python3 -c '
import json, sys
number = lambda version: tuple(int(part) for part in (version.split(".") + ["0"])[:3])
packages = [p for p in json.load(sys.stdin)["packages"] if p["rust_version"]]
newer = [p for p in packages if number(p["rust_version"])[:2] > number(sys.argv[1])[:2]]
for package in newer:
    print("error: {name} {version} needs Rust {rust_version}".format(**package), file=sys.stderr)
print(f"{len(packages)} packages state the Rust they need, {len(newer)} need more than {sys.argv[1]}")
sys.exit(bool(newer))
' "$version"

if rustup run "$version" rustc --version 2>/dev/null || rustup toolchain install "$version" --profile minimal; then
    exec cargo "+$version" check --locked --all-targets "$@"
fi
[ -z "${VELOGRAD_REQUIRE_MSRV:-}" ] || exit 1
echo "skipped: compiling with Rust $version, which rustup cannot install here" >&2
