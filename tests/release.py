"""Whether what would be published is whole: `python -m tests.release` builds it and tests it as users install it.

The wheel is installed into an environment of its own, and the tests run against it in a folder that has no package to
import by mistake. The wheel that users would build from the sdist must be the same, file by file.
"""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
BESIDE = ("tests", "docs", "example_app", "docker", "benchmarks", "README.md", "CHANGELOG.md", "LICENSE", "Makefile")
"""What tests read beside the package."""
WITHOUT = ("tests/project", "tests/benchmarks", "tests/example_app")
"""Tests of this checkout: of its layout, and of commands that set it up."""


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    """Run a command; end with it if it fails."""
    print("$", *command, flush=True)  # noqa: T201 - a program
    subprocess.run(command, cwd=cwd, check=True)


def install(environment: Path, package: Path) -> Path:
    """Return the Python of a new environment that has a package, its dependencies and those of the tests."""
    run(sys.executable, "-m", "venv", environment)
    python = environment / "bin" / "python"
    pip = (python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-compile", "--no-deps")
    run(*pip, "--require-hashes", "--requirement", ROOT / "requirements" / "dev.txt")
    run(*pip, "--no-build-isolation", package)
    return python


def contents(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel, but for the list of them."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


def check(tests: list[str]) -> None:
    """Build wheel and sdist, compare them, and run tests against the wheel."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--no-isolation", "--sdist", "--wheel", "--outdir", DIST)
    (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        shutil.unpack_archive(sdist, folder, filter="data")
        (unpacked,) = folder.iterdir()
        run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder / "rebuilt", unpacked)
        (rebuilt,) = (folder / "rebuilt").glob("*.whl")
        if contents(rebuilt) != contents(wheel):
            sys.exit("The sdist builds another wheel than this checkout.")
        python = install(folder / "environment", wheel)
        beside = folder / "beside"
        beside.mkdir()
        for name in BESIDE:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, beside / name, symlinks=True)
            else:
                shutil.copy(ROOT / name, beside)
        # The settings of pytest, and nothing that would make the folder a package of its own.
        shutil.copy(ROOT / "pyproject.toml", beside)
        chosen = [*(f"--ignore={path}" for path in WITHOUT), *(tests or ["tests"])]
        run(
            python,
            "-m",
            "tests.run",
            "--",
            python,
            "-m",
            "pytest",
            "-n",
            "3",
            "--dist",
            "worksteal",
            *chosen,
            cwd=beside,
        )


if __name__ == "__main__":
    check(sys.argv[1:])
