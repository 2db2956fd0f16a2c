#!/bin/sh
# The page in which optimizers race in a browser (docs/WEB.md):
#
#   scripts/web.sh                build it into target/web, a folder that any static host serves
#   scripts/web.sh serve [PORT]   build it, and show it on this machine alone, at http://127.0.0.1:8080/
#   scripts/web.sh test           build it, and drive it in headless Chromium
#   scripts/web.sh memory         build it, and print its memory over 10,000 updates (minutes)
#   scripts/web.sh ready          say what the test lacks here, and fail if it lacks anything
#
# Conditions: a wasm32 target of rustup's, or Debian's compiler for the web (scripts/wasm-cargo.sh), and for the test Chromium and npm.
# wasm-bindgen's command line is not needed: web/bindgen is what it does, in the version that the page is locked to. Binaryen's wasm-opt
# makes the page a fifth smaller if it is there, in version 119 or newer.
set -eu
. "$(dirname "$0")/setup.sh"
cd "$root"
target=${CARGO_TARGET_DIR:-$root/target}
out=$target/web
npm=$target/web-npm

build() {
    . scripts/wasm-cargo.sh
    ( cd web && CARGO_TARGET_DIR="$target/web-build" wasm_cargo build --release --locked --quiet )
    ( cd web/bindgen && CARGO_TARGET_DIR="$target/web-bindgen" cargo build --release --locked --quiet )
    rm -rf "$out"
    mkdir -p "$out/pkg"
    cp web/page/* "$out/"
    "$target/web-bindgen/release/bindgen" "$target/web-build/wasm32-unknown-unknown/release/velograd_web.wasm" "$out/pkg"
    shrink "$out/pkg/velograd_web_bg.wasm"
    say "target/web: $(wc -c <"$out/pkg/velograd_web_bg.wasm") bytes of wasm, $(gzip -9 -c "$out/pkg/velograd_web_bg.wasm" | wc -c) after gzip"
}

# Runs wasm-opt over a file where there is one that is new enough.
shrink() {
    if [ -x "$npm/node_modules/.bin/wasm-opt" ]; then opt="$npm/node_modules/.bin/wasm-opt"; else opt=$(command -v wasm-opt) || return 0; fi
    version=$("$opt" --version 2>/dev/null | sed -n 's/.*version_\{0,1\} *\([0-9][0-9]*\).*/\1/p')
    [ "${version:-0}" -ge 119 ] || { say "wasm-opt is version ${version:-?}, which knows too little of wasm; left out"; return 0; }
    # What every browser with WebGPU has; --all-features would also write what none has yet.
    features="--enable-bulk-memory --enable-nontrapping-float-to-int --enable-sign-ext --enable-mutable-globals --enable-reference-types --enable-multivalue"
    # shellcheck disable=SC2086 # several flags
    "$opt" -Oz $features --strip-debug --strip-producers "$1" -o "$1.small" && mv "$1.small" "$1"
}

# Whether the page can be tested here: Chromium, and npm with a way to playwright-core.
ready() {
    command -v chromium >/dev/null 2>&1 || { say "the page's test needs Chromium: apt-get install chromium"; return 1; }
    command -v npm >/dev/null 2>&1 || { say "the page's test needs npm: apt-get install npm"; return 1; }
    [ -d "$npm/node_modules/playwright-core" ] && return 0
    mkdir -p "$npm"
    cp web/test/package.json web/test/package-lock.json "$npm/"
    ( cd "$npm" && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --silent --no-audit --no-fund ) || {
        say "the page's test needs playwright-core, which npm could not get"
        return 1
    }
}

case ${1:-build} in
build) build ;;
serve)
    build
    say "http://127.0.0.1:${2:-8080}/"
    exec python3 -m http.server --bind 127.0.0.1 --directory "$out" "${2:-8080}"
    ;;
ready) ready ;;
test)
    ready
    build
    cp web/test/*.mjs "$npm/"
    cargo build --release --quiet --bin velograd
    VELOGRAD_WEB="$out" VELOGRAD_PROGRAM="$target/release/velograd" VELOGRAD_PICTURES="$target/web-pictures" node "$npm/test.mjs"
    ;;
memory)
    ready
    build
    cp web/test/*.mjs "$npm/"
    VELOGRAD_WEB="$out" node "$npm/memory.mjs"
    ;;
*)
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
