"""What the scripts of a release do without building anything."""

import hashlib
import io
import os
import platform
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import archive
import assemble
import notices
import tag
from formula import formula

PACKAGE = {"name": "velograd", "version": "0.2.0", "description": "Train networks: ResNet-18", "repository": "https://host/o/velograd"}
LOCKED = {"package": [{"name": "velograd", "version": "0.2.0"}]}
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n\n### Added\n\n- A thing.\n\n## [0.1.0] - 2026-11-01\n\n- First.\n"
TARGETS = list(archive.TARGETS.values())


def sums(version: str = "0.2.0") -> str:
    return "".join(f"{i:064x}  velograd-{version}-{target}.tar.gz\n" for i, target in enumerate(TARGETS))


def test_a_tag_may_be_released_if_everything_agrees() -> None:
    assert tag.faults("v0.2.0", PACKAGE, LOCKED, CHANGELOG, "https://host/o/velograd") == []
    assert tag.section(CHANGELOG, "0.2.0") == "### Added\n\n- A thing."


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"tag": "v0.3.0"}, "the tag is v0.3.0"),
        ({"tag": "0.2.0"}, "the tag is 0.2.0"),
        ({"locked": {"package": [{"name": "velograd", "version": "0.1.0"}]}}, "Cargo.lock has"),
        ({"package": {k: v for k, v in PACKAGE.items() if k != "repository"}}, "set 'repository'"),
        ({"repository": "https://host/other/velograd"}, "but this is https://host/other/velograd"),
        ({"changelog": CHANGELOG.replace("## [0.2.0] - 2026-12-01", "## [0.2.0]")}, "no section '## [0.2.0]"),
        ({"changelog": "## [0.2.0] - 2026-12-01\n\n## [0.1.0] - 2026-11-01\n\n- First.\n"}, "no section '## [0.2.0]"),
    ],
)
def test_a_tag_is_refused(changed: dict[str, Any], expected: str) -> None:
    good = {"tag": "v0.2.0", "package": PACKAGE, "locked": LOCKED, "changelog": CHANGELOG, "repository": PACKAGE["repository"]}
    found = tag.faults(**(good | changed))
    assert len(found) == 1 and expected in found[0]


def test_the_formula_names_every_archive_with_its_digest() -> None:
    text = formula(PACKAGE, sums(), "https://host/o/velograd/releases/download/v0.2.0")
    assert 'homepage "https://host/o/velograd"\n' in text
    for i, target in enumerate(TARGETS[:4]):
        url = f'url "https://host/o/velograd/releases/download/v0.2.0/velograd-0.2.0-{target}.tar.gz"'
        assert f'{url}\n      sha256 "{i:064x}"' in text
    with pytest.raises(SystemExit, match="velograd-0.2.0-aarch64-apple-darwin.tar.gz is not in the checksums"):
        formula(PACKAGE, sums("0.1.0"), "https://host/o/velograd/releases/download/v0.2.0")


@pytest.mark.parametrize(
    ("platform_tag", "expected"),
    [
        ("manylinux_2_28_x86_64", "x86_64-unknown-linux-gnu"),
        ("manylinux_2_28_aarch64.manylinux_2_17_aarch64", "aarch64-unknown-linux-gnu"),
        ("macosx_11_0_arm64", "aarch64-apple-darwin"),
        ("win_amd64", "x86_64-pc-windows-msvc"),
    ],
)
def test_the_platform_of_a_wheel(platform_tag: str, expected: str) -> None:
    assert archive.target(Path(f"velograd-0.2.0-py3-none-{platform_tag}.whl")) == expected


def test_a_wheel_for_no_known_system_is_refused() -> None:
    with pytest.raises(SystemExit, match="archives are made for"):
        archive.target(Path("velograd-0.2.0-py3-none-linux_x86_64.whl"))


def test_an_archive_has_the_same_bytes_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1796000000")
    files = {"velograd": b"program", "man/velograd.1": b"page"}
    packed = archive.tar(files, "velograd-0.2.0-x")
    assert packed == archive.tar(files, "velograd-0.2.0-x")
    with tarfile.open(fileobj=io.BytesIO(packed)) as opened:
        modes = {member.name: (member.mode, member.mtime) for member in opened}
    assert modes == {"velograd-0.2.0-x/velograd": (0o755, 1796000000), "velograd-0.2.0-x/man/velograd.1": (0o644, 1796000000)}
    with zipfile.ZipFile(io.BytesIO(archive.zip_(files, "velograd-0.2.0-x"))) as opened_zip:
        assert opened_zip.read("velograd-0.2.0-x/velograd") == b"program"


def test_only_what_is_linked_needs_a_notice() -> None:
    def package(name: str, kind: str = "lib") -> dict[str, Any]:
        return {"id": name, "name": name, "version": "1", "targets": [{"kind": [kind]}]}

    def dependency(name: str, kind: str | None = None) -> dict[str, Any]:
        return {"pkg": name, "dep_kinds": [{"kind": kind}]}

    edges = {
        "root": [dependency("used"), dependency("macro"), dependency("tests", "dev"), dependency("builds", "build")],
        "used": [dependency("below")],
        "macro": [dependency("parser")],
    }
    names = ["root", "used", "macro", "parser", "tests", "builds", "below"]
    packages = [package(name, "proc-macro" if name == "macro" else "lib") for name in names]
    nodes = [{"id": name, "deps": edges.get(name, [])} for name in names]
    found = notices.linked({"packages": packages, "resolve": {"root": "root", "nodes": nodes}})
    assert [package["name"] for package in found] == ["below", "used"]


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A release for this system, whose program is a script."""
    target = f"{platform.machine()}-unknown-linux-gnu"
    if sys.platform != "linux" or target not in TARGETS:
        pytest.skip("there is no archive for this system that could be installed")
    names = ["velograd.bash", "_velograd", "velograd.fish"]
    files = {f"completions/{name}": b"complete" for name in names} | {"man/velograd.1": b"page", "man/velograd-train.1": b"page"}
    files |= {"velograd": b"#!/bin/sh\necho velograd 0.2.0\n", "LICENSE": b"MIT", "THIRD-PARTY.txt": b"MIT"}
    folder = tmp_path / "release"
    folder.mkdir()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    path = folder / f"velograd-0.2.0-{target}.tar.gz"
    path.write_bytes(archive.tar(files, path.name.removesuffix(".tar.gz")))
    (folder / "install.sh").write_text(assemble.installer("0.2.0", folder.as_uri(), assemble.sums(folder)))
    return folder


def install(release: Path, home: Path) -> subprocess.CompletedProcess[str]:
    home.mkdir(exist_ok=True)
    # The address is the one in the installer, and HOME with a space must do.
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
    return subprocess.run(["sh", release / "install.sh"], env=environment, capture_output=True, text=True)


def test_the_installer_puts_everything_below_the_home_folder(release: Path, tmp_path: Path) -> None:
    home = tmp_path / "a home"
    for _ in range(2):  # a second time replaces the first
        result = install(release, home)
        assert result.returncode == 0, result.stderr
    assert "installed velograd 0.2.0" in result.stdout and "not on the path" in result.stdout
    found = sorted(str(path.relative_to(home / ".local")) for path in (home / ".local").rglob("*") if path.is_file())
    assert found == [
        "bin/velograd",
        "share/bash-completion/completions/velograd",
        "share/doc/velograd/LICENSE",
        "share/doc/velograd/THIRD-PARTY.txt",
        "share/fish/vendor_completions.d/velograd.fish",
        "share/man/man1/velograd-train.1",
        "share/man/man1/velograd.1",
        "share/zsh/site-functions/_velograd",
    ]


def test_the_installer_refuses_an_archive_with_another_digest(release: Path, tmp_path: Path) -> None:
    path = next(release.glob("*.tar.gz"))
    path.write_bytes(path.read_bytes() + b"!")
    result = install(release, tmp_path / "home")
    assert result.returncode != 0 and hashlib.sha256(path.read_bytes()).hexdigest() in result.stderr
    assert not (tmp_path / "home" / ".local").exists()


def test_the_installer_says_what_it_could_not_download(release: Path, tmp_path: Path) -> None:
    path = next(release.glob("*.tar.gz"))
    path.unlink()
    result = install(release, tmp_path / "home")
    assert result.returncode != 0 and f"{path.name} could not be downloaded" in result.stderr


def test_the_checksums_are_those_of_sha256sum(release: Path) -> None:
    path = next(release.glob("*.tar.gz"))
    assert f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" in assemble.sums(release)
