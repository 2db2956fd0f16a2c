#!/usr/bin/env python3
"""Prints the licences of all that is compiled into the program: notices.py [TARGET]

MIT, Apache-2.0, BSD and the like ask that their texts go along with a binary. The crates are those that `cargo metadata` links for
TARGET (this machine's, if it is not given); the texts are the files that the crates bring. Equal texts are printed once.
"""

import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TEXTS = re.compile(r"^(licen[cs]e|copying|copyright|notice|ofl|unlicense)", re.IGNORECASE)


def host() -> str:
    rustc = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True)
    return next(line.split()[1] for line in rustc.stdout.splitlines() if line.startswith("host:"))


def linked(metadata: dict[str, Any]) -> list[dict[str, Any]]:
    """The packages that end up in the program: those reached by dependencies that are neither for tests nor for builds."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    packages = {package["id"]: package for package in metadata["packages"]}
    root = metadata["resolve"]["root"]
    reached, waiting = set(), [root]
    while waiting:
        node = nodes[waiting.pop()]
        for dependency in node["deps"]:
            key = dependency["pkg"]
            # Procedural macros, and what they are made of, run in the compiler.
            macro = any("proc-macro" in target["kind"] for target in packages[key]["targets"])
            if key not in reached and not macro and any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                reached.add(key)
                waiting.append(key)
    return sorted((packages[key] for key in reached), key=lambda package: (package["name"], package["version"]))


def texts(package: dict[str, Any]) -> list[str]:
    """The texts that the package brings along, those of fonts and the like in its folders too, in the order of their paths."""
    folder = Path(package["manifest_path"]).parent
    found = (path for path in folder.rglob("*") if TEXTS.match(path.name) or TEXTS.match(path.parent.relative_to(folder).name))
    files = sorted(path for path in found if path.is_file() and path.suffix != ".rs")
    return [path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n").strip() for path in files]


def main() -> None:
    target = sys.argv[1] if len(sys.argv) > 1 else host()
    command = ["cargo", "metadata", "--format-version=1", "--locked", f"--filter-platform={target}"]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT).stdout
    packages = linked(json.loads(output))
    users: dict[str, list[str]] = {}
    print(f"velograd for {target} contains these crates:\n")
    for package in packages:
        name = f"{package['name']} {package['version']}"
        print(f"{name}: {package['license'] or 'see its text below'}")
        for text in texts(package):
            users.setdefault(text, []).append(name)
    for text, names in users.items():
        print(f"\n{'-' * 100}\n{', '.join(names)}\n{'-' * 100}\n\n{text}")


if __name__ == "__main__":
    sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="\n")  # on Windows too
    main()
