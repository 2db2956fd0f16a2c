# shellcheck shell=sh
# Sourced by wasm.sh and web.sh, after setup.sh: defines `wasm_cargo COMMAND ...`, a cargo for wasm32-unknown-unknown.
#
# With rustup the target is one download. Where rustup has no such target, Debian's and Ubuntu's compiler for the web does it: packages
# rustc-web, rust-web-src and lld-19, unpacked below target/rust-web, which this file does by itself.
wasm_target=wasm32-unknown-unknown

wasm_rustup() {
    command -v rustup >/dev/null 2>&1 || return 1
    rustup target list --installed 2>/dev/null | grep -qx "$wasm_target" || rustup target add "$wasm_target" >/dev/null 2>&1
}

if wasm_rustup; then
    wasm_cargo() {
        command=$1
        shift
        cargo "$command" --target "$wasm_target" "$@"
    }
else
    say "rustup has no $wasm_target here; trying Debian's compiler for the web"
    # The packages, and what they need that is not in every system.
    packages="rustc-web cargo-web rust-web-src lld-19 libllvm19"
    unpacked=$root/target/rust-web
    if [ ! -x "$unpacked/usr/bin/rustc" ]; then
        command -v apt-get >/dev/null 2>&1 && command -v dpkg >/dev/null 2>&1 || {
            say "Building for browsers needs rustup's target $wasm_target, or Debian's packages $packages. There is neither here:"
            say "    rustup target add $wasm_target        # see https://rustup.rs"
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
          # shellcheck disable=SC2086 # several packages
          apt-get download -qq $needed >/dev/null 2>&1 || apt-get download -qq $needed || {
              say "apt-get could not download $packages: Debian 12 has them in its security archive"
              exit 1
          }
          for package in *.deb; do dpkg -x "$package" "$unpacked"; done
          rm -f ./*.deb )
    fi
    usr=$unpacked/usr
    sources=$(ls -d "$usr"/src/rustc-*/library 2>/dev/null | tail -n 1)
    [ -n "$sources" ] || { say "rust-web-src brought no sources of the standard library"; exit 1; }
    mkdir -p "$usr/lib/rustlib/src/rust"
    ln -sfn "$sources" "$usr/lib/rustlib/src/rust/library"
    wasm_libraries=$(ls -d "$usr"/lib/*-linux-gnu "$usr"/lib/llvm-*/lib 2>/dev/null | tr '\n' ':')
    linker=$(ls -d "$usr"/lib/llvm-*/bin/wasm-ld 2>/dev/null | tail -n 1)
    wasm_cargo() {
        command=$1
        shift
        LD_LIBRARY_PATH=$wasm_libraries RUSTC="$usr/bin/rustc" RUSTC_BOOTSTRAP=1 "$usr/bin/cargo" "$command" --target "$wasm_target" \
            -Zbuild-std=std,panic_abort --config "target.$wasm_target.linker=\"$linker\"" "$@"
    }
fi
