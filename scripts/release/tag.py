#!/usr/bin/env python3
"""Checks that a tag may be released, and prints its notes: tag.py v0.1.0

The tag has to be the version of Cargo.toml, Cargo.lock has to have the same, Cargo.toml has to name the repository (archives, pages
and the package registries link to it), and CHANGELOG.md has to have a dated section of that version, which becomes the notes.
"""

import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def faults(tag: str, package: dict[str, Any], locked: dict[str, Any], changelog: str, repository: str | None) -> list[str]:
    """What is in the way of releasing `tag`; `repository` is where the workflow runs, if it does."""
    found = []
    version = package["version"]
    if tag != f"v{version}":
        found.append(f"the tag is {tag}, but Cargo.toml has version {version}: set 'version', or tag v{version}")
    versions = [p["version"] for p in locked["package"] if p["name"] == package["name"]]
    if versions != [version]:
        found.append(f"Cargo.lock has {package['name']} {versions}, Cargo.toml {version}: run `cargo update --workspace`")
    named = package.get("repository")
    if named is None:
        found.append("Cargo.toml does not name the repository: set 'repository' to its address")
    elif repository is not None and named != repository:
        found.append(f"Cargo.toml names the repository {named}, but this is {repository}")
    if not section(changelog, version):
        found.append(f"CHANGELOG.md has no section '## [{version}] - YYYY-MM-DD' with text below it: rename 'Unreleased'")
    return found


def section(changelog: str, version: str) -> str:
    """The text below the dated heading of `version`, or nothing."""
    heading = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |\Z)"
    match = re.search(heading, changelog, re.MULTILINE | re.DOTALL)
    return match[1].strip() if match else ""


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    package = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["package"]
    locked = tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    here = os.environ.get("GITHUB_REPOSITORY")
    repository = f"{os.environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{here}" if here else None
    found = faults(sys.argv[1], package, locked, changelog, repository)
    for fault in found:
        print(f"error: {fault}", file=sys.stderr)
    if not found:
        print(section(changelog, package["version"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
