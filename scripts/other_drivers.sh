#!/bin/sh
# The kernels on other Vulkan drivers than the system's choice: `velograd selftest`, then the kernel tests.
#
#   scripts/other_drivers.sh [ICD.json ...]
#
# Runs every driver file given, and those found here: lavapipe (Mesa) with vectors of 128, 256 and 512 bits, which gives
# subgroups of 4, 8 and 16, and SwiftShader (from Chromium). With the Khronos validation layer installed
# (vulkan-validationlayers) there is one more run under it, which must say nothing.
set -eu
cd "$(dirname "$0")/.."

cargo build --release
suite=$(cargo test --release --test suite --no-run --message-format=json | sed -n 's/.*"executable":"\([^"]*suite-[^"]*\)".*/\1/p')
logs=target/drivers
mkdir -p "$logs"
export VELOGRAD_REQUIRE_GPU=1
failed=0

# name, what to run; the environment says which driver
check() {
    log=$logs/$1.log
    shift
    if "$@" >"$log" 2>&1; then verdict=ok; else verdict=FAILED; failed=1; fi
    echo "$(basename "$log" .log): $verdict: $(grep -E ' rows, |^test result' "$log" | tail -n 1)"
}

# name, driver file
driver() {
    VK_DRIVER_FILES=$2 VK_ICD_FILENAMES=$2 check "$1-selftest" target/release/velograd selftest
    VK_DRIVER_FILES=$2 VK_ICD_FILENAMES=$2 check "$1-tests" "$suite" --test-threads=1 ops:: golden_gpu::
}

for file in "$@"; do
    driver "$(basename "$file" .json)" "$file"
done

lavapipe=$(ls /usr/share/vulkan/icd.d/lvp_icd*.json 2>/dev/null | head -n 1)
if [ -n "$lavapipe" ]; then
    for bits in 128 256 512; do
        LP_NATIVE_VECTOR_WIDTH=$bits driver "lavapipe-$bits" "$lavapipe"
    done
fi

swiftshader=$(ls /usr/lib/chromium/libvk_swiftshader.so /usr/lib/chromium-browser/libvk_swiftshader.so \
    /opt/google/chrome/libvk_swiftshader.so 2>/dev/null | head -n 1)
if [ -n "$swiftshader" ]; then
    file=$(pwd)/$logs/swiftshader.json
    printf '{"file_format_version":"1.0.0","ICD":{"library_path":"%s","api_version":"1.1.0"}}\n' "$swiftshader" >"$file"
    driver swiftshader "$file"
fi

# The Khronos validation layer, its check of hazards between dispatches included: it must say nothing, and must be there.
if ls /usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json >/dev/null 2>&1; then
    VK_LAYER_SETTINGS_PATH=$(pwd)/$logs/vk_layer_settings.txt
    export VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation VK_LAYER_SETTINGS_PATH
    {
        echo "khronos_validation.debug_action = VK_DBG_LAYER_ACTION_LOG_MSG"
        echo "khronos_validation.log_filename = stdout"
        echo "khronos_validation.report_flags = error,warn"
        echo "khronos_validation.enables = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT"
    } >"$VK_LAYER_SETTINGS_PATH"
    VK_LOADER_DEBUG=layer target/release/velograd devices 2>&1 | grep -q 'Insert instance layer "VK_LAYER_KHRONOS_validation"'
    check validation-selftest target/release/velograd selftest --short
    rm -rf "$logs/validation-run"
    check validation-train target/release/velograd train --dataset shapes10 --width 8 --max-steps 3 --out "$logs/validation-run"
    if grep -E 'VUID|SYNC-|Validation (Error|Warning)' "$logs"/validation-*.log; then failed=1; fi
fi
exit $failed
