#!/usr/bin/env python3
"""Tries a wheel as a user would: smoke.py dist/velograd-*.whl

In a new virtual environment, outside this folder: it installs, its program is of the wheel's version, and Python finds it. On Linux,
without a driver the error says what to install, and an epoch on drawn images ends within two minutes; where there is no device the
latter is left out, unless VELOGRAD_REQUIRE_GPU is set. Prints what each step took.
"""

import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

EPOCH = 120.0


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    wheel = Path(sys.argv[1]).resolve()
    print(f"{wheel.name}: {wheel.stat().st_size / 2**20:.1f} MiB")
    # The environment of a user knows nothing of this folder.
    os.environ.pop("PYTHONPATH", None)
    os.environ.pop("VELOGRAD_PROGRAM", None)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["VELOGRAD_CACHE"] = str(Path(folder, "cache"))
        environment = Path(folder, "env")
        venv.create(environment, with_pip=True)
        scripts = environment / ("Scripts" if os.name == "nt" else "bin")
        python, program = scripts / "python", scripts / "velograd"

        def run(*command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
            print("$", *(str(part).removeprefix(f"{folder}{os.sep}") for part in command), flush=True)
            began = time.monotonic()
            result = subprocess.run(command, cwd=folder, env=os.environ | variables, text=True, encoding="utf-8", capture_output=True)
            print(result.stdout + result.stderr, f"[exit code {result.returncode}, {time.monotonic() - began:.1f} s]", sep="", flush=True)
            return result

        def check(truth: bool, expected: str) -> None:
            if not truth:
                sys.exit(f"error: expected {expected}")

        check(run(python, "-m", "pip", "install", "--no-index", wheel).returncode == 0, "the wheel to install")
        version = run(python, "-c", "import importlib.metadata as m; print(m.version('velograd'))").stdout.strip()
        said = run(program, "--version").stdout
        check(version != "" and said.startswith(f"velograd {version.split('rc')[0]}"), f"the program's version to be {version}")
        found = run(python, "-c", "import velograd; print(velograd.program())").stdout.strip()
        check(bool(found) and Path(found).resolve().parent == scripts.resolve(), f"Python to find the program in {scripts}")

        # What follows needs Vulkan; the runners of other systems have no GPU.
        if sys.platform != "linux":
            return
        nowhere = dict.fromkeys(["VK_DRIVER_FILES", "VK_ICD_FILENAMES"], str(Path(folder, "nowhere")))
        refused = run(program, "train", "--dataset", "shapes10", WGPU_BACKEND="vulkan", **nowhere)
        check(refused.returncode != 0 and "mesa-vulkan-drivers" in refused.stderr, "an error that names mesa-vulkan-drivers")

        if run(program, "devices").returncode != 0:
            check(not os.environ.get("VELOGRAD_REQUIRE_GPU"), "a device, as VELOGRAD_REQUIRE_GPU is set")
            print("skipped: an epoch, as there is no device")
            return
        began = time.monotonic()
        trained = run(program, "train", "--dataset", "shapes10", "--epochs", "1", "--out", "run")
        taken = time.monotonic() - began
        check(trained.returncode == 0 and Path(folder, "run", "model.safetensors").is_file(), "an epoch, and its weights")
        check(taken < EPOCH, f"the first epoch within {EPOCH:.0f} s, not {taken:.0f}")
        print(f"the first epoch was there after {taken:.1f} s")


if __name__ == "__main__":
    main()
