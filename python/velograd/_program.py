"""Where the program is, and what is raised when it fails."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path


class ProgramError(RuntimeError):
    """The program ended with an error: its exit code, and what it wrote to the standard error stream."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message or f"velograd ended with exit code {code}")
        self.code = code


def program() -> Path:
    """The path of the program `velograd`.

    It is what the variable `VELOGRAD_PROGRAM` names, the program that was installed together with this package, or the first
    one on the path.

    Raises:
        FileNotFoundError: there is none.
    """
    named = os.environ.get("VELOGRAD_PROGRAM")
    if named:
        if not Path(named).is_file():
            raise FileNotFoundError(f"VELOGRAD_PROGRAM names {named}, which is no file")
        return Path(named)
    name = "velograd.exe" if os.name == "nt" else "velograd"
    installed = Path(sysconfig.get_path("scripts")) / name
    if installed.is_file():
        return installed
    found = shutil.which("velograd")
    if found is None:
        raise FileNotFoundError(
            f"the program velograd is neither in {installed.parent} nor on the path; "
            "install the wheel, or name the program by the variable VELOGRAD_PROGRAM"
        )
    return Path(found)
