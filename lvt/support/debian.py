"""Debian packages, fetched with this machine's apt settings and unpacked, never installed.

apt gets a state of its own, in a scratch folder, so that root is not needed and the machine's lists
stay as they are.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lvt.errors import UserError

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_TOOLS = ("apt-get", "dpkg-deb")


@dataclass(frozen=True)
class Release:
    """A Debian release as apt knows it.

    Attributes:
        mirror: address of the archive.
        codename: such as `trixie`.
    """

    mirror: str
    codename: str


def check_tools(purpose: str, fetched: str) -> None:
    """Checks that packages can be fetched here, and their programs run.

    Args:
        purpose: what needs them, for the messages; such as `the ARM check`.
        fetched: the contents of the packages, for the messages.

    Raises:
        UserError: names the missing tools.
    """
    here = f"{platform.system()} {platform.machine()}"
    if here != "Linux x86_64":
        raise UserError(f"{purpose} is for Linux on x86_64, this is {here}")
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if not missing and not _KEYRING.is_file():
        missing = ["debian-archive-keyring"]
    if missing:
        raise UserError(
            f"{purpose} needs {' and '.join(missing)}: run it on Debian, where they fetch {fetched}"
        )


def machine_release(purpose: str) -> Release:
    """The release of this machine, and the mirror of its apt.

    Args:
        purpose: see `check_tools`.

    Raises:
        UserError: apt has none, for example on another distribution.
    """
    listed = call(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(ORIGIN) $(REPO_URI) $(CODENAME)",
            "Created-By: Packages",
        ],
        "apt-get cannot list its sources",
    )
    for line in listed.splitlines():
        origin, _, rest = line.partition(" ")
        mirror, _, codename = rest.partition(" ")
        if origin == "Debian" and "-" not in codename:  # the release, not its updates
            return Release(mirror, codename)
    raise UserError(
        f"{purpose} takes its packages from Debian, and apt on this machine knows no Debian "
        "mirror (or has not read it yet: apt-get update)"
    )


class DebianArchive:
    """Downloads packages of given suites.

    Args:
        state: an empty folder for apt's lists and the packages.
        mirror: see `Release`.
        suites: such as `trixie`; the last one is preferred.
        foreign: a further architecture than amd64.

    Raises:
        UserError: apt cannot read the suites.
    """

    def __init__(
        self, state: Path, mirror: str, suites: Sequence[str], foreign: str | None = None
    ) -> None:
        for name in ("lists/partial", "cache/archives/partial"):
            (state / name).mkdir(parents=True)
        (state / "status").touch()
        sources = state / "sources.list"
        lines = [f"deb [signed-by={_KEYRING}] {mirror} {suite} main\n" for suite in suites]
        sources.write_text("".join(lines))
        settings = {
            "APT::Architecture": "amd64",
            "APT::Sandbox::User": "",
            "APT::Install-Recommends": "false",
            "APT::Default-Release": suites[-1],
            "Acquire::Languages": "none",
            "Dir::Etc::sourcelist": sources,
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State": state,
            "Dir::State::Lists": state / "lists",
            "Dir::State::status": state / "status",
            "Dir::Cache": state / "cache",
        }
        if foreign is not None:
            settings["APT::Architectures::"] = foreign
        options = [f"-o{key}={value}" for key, value in settings.items()]
        self._apt = ["apt-get", "--quiet", "--yes", *options]
        self._archives = state / "cache" / "archives"
        call([*self._apt, "update"], f"apt-get cannot read Debian's {' and '.join(suites)}")

    def with_dependencies(self, packages: Sequence[str]) -> list[Path]:
        """Downloads packages and everything that they depend on; returns all files so far.

        Raises:
            UserError: a package does not exist, or cannot be downloaded.
        """
        call([*self._apt, "--download-only", "install", *packages], "apt-get failed")
        return sorted(self._archives.glob("*.deb"))

    def alone(self, package: str) -> Path:
        """Downloads a package without its dependencies.

        Raises:
            UserError: it does not exist, or cannot be downloaded.
        """
        call([*self._apt, "download", package], "apt-get failed", folder=self._archives)
        (file,) = self._archives.glob(f"{package}_*.deb")
        return file


def unpack(package: Path, folder: Path) -> None:
    """Unpacks a package into a folder.

    Raises:
        UserError: the package is damaged.
    """
    call(["dpkg-deb", "--extract", package, folder], f"{package.name} is damaged")


def call(command: Sequence[str | Path], failure: str, folder: Path | None = None) -> str:
    """Standard output of a command.

    Args:
        command: program and arguments.
        failure: the beginning of the error message.
        folder: the current folder of the command.

    Raises:
        UserError: the command failed; has `failure` and the last line of its output.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise UserError(": ".join([failure, *said]))
    return done.stdout
