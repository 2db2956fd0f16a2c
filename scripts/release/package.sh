#!/bin/sh
# Makes the package for crates.io, builds the program from it alone, and checks what is inside: scripts/release/package.sh
set -eu
cd "$(dirname "$0")/../.."

most=1048576 # bytes; crates.io takes ten times as much
files=$(cargo package --locked --list "$@")
strange=$(echo "$files" | grep -vE '^(src|shaders|examples)/.*\.(rs|wgsl|md)$|^(build\.rs|Cargo\.(toml|toml\.orig|lock)|LICENSE|README\.md|CHANGELOG\.md|\.cargo_vcs_info\.json)$' || true)
[ -z "$strange" ] || {
    echo "error: these files are not part of the program; see 'include' in Cargo.toml:" "$strange" >&2
    exit 1
}
cargo package --locked "$@"
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
package=${CARGO_TARGET_DIR:-target}/package/velograd-$version.crate
size=$(wc -c <"$package")
echo "$package: $(echo "$files" | wc -l) files, $size bytes"
[ "$size" -le "$most" ] || {
    echo "error: the package has $size bytes, more than $most" >&2
    exit 1
}
