#!/usr/bin/env python3
"""Prints the Homebrew formula of a release: formula.py SHA256SUMS ADDRESS

SHA256SUMS is what `sha256sum` prints for the archives; ADDRESS is the folder that they are downloaded from, as in
https://github.com/OWNER/velograd/releases/download/v0.1.0. Its first two parts are the homepage.
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FORMULA = """\
class Velograd < Formula
  desc "{description}"
  homepage "{homepage}"
  version "{version}"
  license "MIT"

  on_macos do
{macos}
  end

  on_linux do
{linux}
  end

  def install
    bin.install "velograd"
    man1.install Dir["man/*.1"]
    bash_completion.install "completions/velograd.bash" => "velograd"
    zsh_completion.install "completions/_velograd"
    fish_completion.install "completions/velograd.fish"
    doc.install "README.md", "CHANGELOG.md", "THIRD-PARTY.txt"
  end

  def caveats
    if OS.linux?
      "velograd needs the Vulkan driver of the system: on Debian and Ubuntu, apt-get install mesa-vulkan-drivers libvulkan1"
    end
  end

  test do
    assert_match "velograd #{{version}}", shell_output("#{{bin}}/velograd --version")
  end
end
"""
PLATFORM = """\
    on_{processor} do
      url "{address}/{file}"
      sha256 "{digest}"
    end"""


def formula(package: dict[str, Any], sums: str, address: str) -> str:
    """The formula; every archive that it needs must be among `sums`."""
    digests = {file: digest for digest, file in re.findall(r"^([0-9a-f]{64}) [ *](\S+)$", sums, re.MULTILINE)}

    def platform(processor: str, target: str) -> str:
        file = f"velograd-{package['version']}-{target}.tar.gz"
        if file not in digests:
            sys.exit(f"error: {file} is not in the checksums, which have {', '.join(digests) or 'none'}")
        return PLATFORM.format(processor=processor, address=address, file=file, digest=digests[file])

    def system(name: str) -> str:
        return "\n".join([platform("arm", f"aarch64-{name}"), platform("intel", f"x86_64-{name}")])

    return FORMULA.format(
        description=package["description"].split(":")[0],
        homepage=address.split("/releases/")[0],
        version=package["version"],
        macos=system("apple-darwin"),
        linux=system("unknown-linux-gnu"),
    )


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    package = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["package"]
    print(formula(package, Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[2]), end="")


if __name__ == "__main__":
    main()
