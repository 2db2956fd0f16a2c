#!/bin/sh
# Checks that the core (the library without any cargo feature) builds for browsers: scripts/wasm.sh [arguments of cargo check].
#
# With rustup the target is one download. Where rustup has no such target, Debian's and Ubuntu's compiler for the web does it: packages
# rustc-web, rust-web-src and lld-19, either installed or unpacked below target/rust-web, which this script does by itself.
set -eu
. "$(dirname "$0")/setup.sh"
cd "$root"
target=wasm32-unknown-unknown
check="check --lib --no-default-features --target $target"

if command -v rustup >/dev/null 2>&1; then
    if rustup target list --installed 2>/dev/null | grep -qx "$target" || rustup target add "$target" >/dev/null 2>&1; then
        exec cargo $check "$@"
    fi
    say "rustup has no $target here; trying Debian's compiler for the web"
fi

# The packages, and what they need that is not in every system.
packages="rustc-web cargo-web rust-web-src lld-19 libllvm19"
unpacked=$root/target/rust-web
if [ ! -x "$unpacked/usr/bin/rustc" ]; then
    command -v apt-get >/dev/null 2>&1 && command -v dpkg >/dev/null 2>&1 || {
        say "Building for browsers needs rustup's target $target, or Debian's packages $packages. There is neither here:"
        say "    rustup target add $target        # see https://rustup.rs"
        exit 1
    }
    mkdir -p "$unpacked/packages"
    ( cd "$unpacked/packages"
      [ "$(id -u)" = 0 ] && apt-get update -qq || true
      # Level by level, as asking for everything recursively brings half of the system.
      needed=$packages
      for _ in 1 2 3; do
          needed=$(for p in $needed; do echo "$p"; apt-cache depends "$p" 2>/dev/null | sed -n 's/^ *|\{0,1\}Depends: //p'; done |
              grep -E '^(rustc-web|cargo-web|rust-web-src|lld-19|libstd-rust-web|libllvm|libhttp-parser|libmbed|libgit2)' | sort -u)
      done
      apt-get download -qq $needed >/dev/null 2>&1 || apt-get download -qq $needed || {
          say "apt-get could not download $packages: Debian 12 has them in its security archive"
          exit 1
      }
      for package in *.deb; do dpkg -x "$package" "$unpacked"; done
      rm -f ./*.deb )
fi
usr=$unpacked/usr
source=$(ls -d "$usr"/src/rustc-*/library 2>/dev/null | tail -n 1)
[ -n "$source" ] || { say "rust-web-src brought no sources of the standard library"; exit 1; }
mkdir -p "$usr/lib/rustlib/src/rust"
ln -sfn "$source" "$usr/lib/rustlib/src/rust/library"
LD_LIBRARY_PATH=$(ls -d "$usr"/lib/*-linux-gnu "$usr"/lib/llvm-*/lib 2>/dev/null | tr '\n' ':')
export LD_LIBRARY_PATH RUSTC="$usr/bin/rustc" RUSTC_BOOTSTRAP=1
linker=$(ls -d "$usr"/lib/llvm-*/bin/wasm-ld 2>/dev/null | tail -n 1)
exec "$usr/bin/cargo" $check -Zbuild-std=std,panic_abort --config "target.$target.linker=\"$linker\"" "$@"
