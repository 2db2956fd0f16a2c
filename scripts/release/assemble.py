#!/usr/bin/env python3
"""Completes the files of a release: assemble.py FOLDER ADDRESS

FOLDER has the archives, the wheels and the sources; ADDRESS is where they will be downloaded from. Adds the Homebrew formula
velograd.rb, the installer install.sh, and SHA256SUMS of everything.
"""

import hashlib
import sys
import tomllib
from pathlib import Path

from formula import formula

HERE = Path(__file__).resolve().parent


def sums(folder: Path) -> str:
    """What `sha256sum` prints for the files of the folder."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != "SHA256SUMS")
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


def installer(version: str, address: str, digests: str) -> str:
    """The installer, with the digests of the archives that it can unpack."""
    archives = [line for line in digests.splitlines() if line.endswith(".tar.gz") and f"  velograd-{version}-" in line]
    text = (HERE / "install.sh").read_text(encoding="utf-8")
    for name, value in {"@VERSION@": version, "@ADDRESS@": address, "@SUMS@": "\n".join(archives)}.items():
        text = text.replace(name, value)
    return text


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    folder, address = Path(sys.argv[1]), sys.argv[2]
    package = tomllib.loads((HERE.parents[1] / "Cargo.toml").read_text(encoding="utf-8"))["package"]
    for made in ["SHA256SUMS", "velograd.rb", "install.sh"]:
        (folder / made).unlink(missing_ok=True)
    digests = sums(folder)
    (folder / "velograd.rb").write_text(formula(package, digests, address), encoding="utf-8")
    (folder / "install.sh").write_text(installer(package["version"], address, digests), encoding="utf-8")
    (folder / "SHA256SUMS").write_text(sums(folder), encoding="utf-8")
    print((folder / "SHA256SUMS").read_text(encoding="utf-8"), end="")


if __name__ == "__main__":
    main()
