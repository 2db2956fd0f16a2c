#!/usr/bin/env python3
"""Packs the program of a wheel, with what a package manager wants beside it: archive.py dist/velograd-*.whl

The archive is written beside the wheel, as velograd-VERSION-TARGET.tar.gz (.zip for Windows), and holds one folder of the same name:
the program, shell completions and manual pages (the program prints both, so this runs on the system that the wheel is for), README,
changelog and licences. Both packages of a platform thus have the same program, which is built and tried once. The same wheel gives
the same bytes: files have the time of the commit.
"""

import gzip
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHELLS = {"bash": "velograd.bash", "zsh": "_velograd", "fish": "velograd.fish", "powershell": "_velograd.ps1", "elvish": "velograd.elv"}
TARGETS = {
    r"manylinux_\d+_\d+_x86_64": "x86_64-unknown-linux-gnu",
    r"manylinux_\d+_\d+_aarch64": "aarch64-unknown-linux-gnu",
    r"macosx_\d+_\d+_arm64": "aarch64-apple-darwin",
    r"macosx_\d+_\d+_x86_64": "x86_64-apple-darwin",
    r"win_amd64": "x86_64-pc-windows-msvc",
}


def target(wheel: Path) -> str:
    """Rust's name for the platform of a wheel."""
    platform = wheel.stem.rsplit("-", 1)[1].split(".")[0]
    for pattern, name in TARGETS.items():
        if re.fullmatch(pattern, platform):
            return name
    sys.exit(f"error: {wheel.name} is for {platform}; archives are made for {', '.join(TARGETS.values())}")


def contents(wheel: Path) -> dict[str, bytes]:
    """Every file of the archive by its path."""
    with zipfile.ZipFile(wheel) as zipped, tempfile.TemporaryDirectory() as folder:
        members = [name for name in zipped.namelist() if re.search(r"\.data/scripts/velograd(\.exe)?$", name)]
        if len(members) != 1:
            sys.exit(f"error: {wheel.name} should contain the program velograd once, but has {members}")
        name = members[0].rsplit("/", 1)[1]
        program = Path(folder, name)
        program.write_bytes(zipped.read(members[0]))
        program.chmod(0o755)
        files = {name: program.read_bytes()}
        for shell, file in SHELLS.items():
            printed = subprocess.run([program, "completions", shell], check=True, stdout=subprocess.PIPE)
            files[f"completions/{file}"] = printed.stdout
        subprocess.run([program, "man", "--out", Path(folder, "man")], check=True, stdout=subprocess.DEVNULL)
        for page in Path(folder, "man").iterdir():
            files[f"man/{page.name}"] = page.read_bytes()
    for name in ["README.md", "CHANGELOG.md", "LICENSE", "THIRD-PARTY.txt"]:
        files[name] = (ROOT / name).read_bytes()
    return dict(sorted(files.items()))


def seconds() -> int:
    """The time of the commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is None:
        command = ["git", "log", "-1", "--format=%ct"]
        given = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    return int(given)


def mode(path: str) -> int:
    return 0o755 if path in ("velograd", "velograd.exe") else 0o644


def tar(files: dict[str, bytes], folder: str) -> bytes:
    packed = io.BytesIO()
    # The header of gzip has a time of its own.
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(f"{folder}/{path}")
            member.size, member.mtime, member.mode = len(data), seconds(), mode(path)
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def zip_(files: dict[str, bytes], folder: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            member = zipfile.ZipInfo(f"{folder}/{path}", time.gmtime(seconds())[:6])
            member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, mode(path) << 16
            archive.writestr(member, data)
    return packed.getvalue()


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    wheel = Path(sys.argv[1])
    version = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["package"]["version"]
    folder = f"velograd-{version}-{target(wheel)}"
    pack, suffix = (zip_, ".zip") if "windows" in folder else (tar, ".tar.gz")
    path = wheel.parent / (folder + suffix)
    path.write_bytes(pack(contents(wheel), folder))
    print(path)


if __name__ == "__main__":
    main()
