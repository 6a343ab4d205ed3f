#!/usr/bin/env python3
"""Build build/function.zip, the deployment package of the Lambda function.

The package contains the modules in src/ and the wheels pinned in src/requirements.txt, for Lambda: Python 3.13 on
Amazon Linux 2023, arm64 or x86_64, regardless of this machine. The same inputs give the same bytes, so an unchanged
function is not deployed again. Wheels are downloaded once and cached in build/; later builds need no network.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON_VERSION = "3.13"  # the Runtime in template.yaml
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}  # Lambda's names, and those in wheel tags
HASHES = "wheels.txt"  # next to requirements.txt
GLIBC_TAGS = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")  # Amazon Linux 2023 has glibc 2.34
UNZIPPED_LIMIT = 262_144_000  # Lambda's "250 MB"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold; any fixed time works

# Each package's METADATA and licenses are kept: scanners such as Amazon Inspector identify packages by them, and FFmpeg
# must be distributed with its license.
LEFT_OUT_FOLDERS = {"bin", "include", "sboms", "tests"}
LEFT_OUT_SUFFIXES = {".c", ".h", ".pxd", ".pyi", ".pyx", ".typed"}
LEFT_OUT_OF_DIST_INFO = {"INSTALLER", "RECORD", "REQUESTED", "WHEEL", "entry_points.txt", "top_level.txt"}

File = tuple[str, Path]  # its name inside the package, and where it is now


class PackageError(Exception):
    """The package cannot be built; the message explains what to do."""


def main() -> int:
    arguments = parse_arguments()
    try:
        build(arguments.architecture, arguments.wheels, arguments.output, arguments.source)
    except PackageError as error:
        print(f"build_package: {error}", file=sys.stderr)
        return 1
    return 0


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", choices=sorted(MACHINES), default="arm64", help="default: %(default)s")
    parser.add_argument(
        "--wheels",
        choices=("lambda", "host"),
        default="lambda",
        help="host: this machine's wheels, for the local cloud if Lambda's do not run (macOS); never deploy these",
    )
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "function.zip", help="default: %(default)s")
    parser.add_argument("--source", type=Path, default=ROOT / "src", help="default: %(default)s")
    return parser.parse_args(arguments)


def build(architecture: str, wheels: str, output: Path, source: Path) -> None:
    if not (source / "handler.py").exists():
        raise PackageError(f"there is no handler.py in {source}.")
    output.parent.mkdir(parents=True, exist_ok=True)
    dependencies = dependencies_zip(source / "requirements.txt", architecture, wheels, output.parent)

    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        modules, unfinished = Path(folder, "modules"), Path(folder, output.name)
        modules.mkdir()
        copy_modules(source, modules)
        check_names(modules, dependencies)
        compile_ahead(modules, wheels)
        shutil.copyfile(dependencies, unfinished)
        add_to_zip(unfinished, files_to_ship(modules))
        unzipped = unzipped_size(unfinished)
        if unzipped > UNZIPPED_LIMIT:
            raise PackageError(
                f"the package would be {megabytes(unzipped)} unzipped, more than the {megabytes(UNZIPPED_LIMIT)} that"
                " Lambda allows. Remove a dependency from src/requirements.txt."
            )
        unfinished.replace(output)
    made_for = architecture if wheels == "lambda" else f"this machine ({sysconfig.get_platform()})"
    print(f"{shown(output)}: {megabytes(output.stat().st_size)} zipped, {megabytes(unzipped)} unzipped, for {made_for}")


def copy_modules(source: Path, target: Path) -> None:
    for path in source.rglob("*.py"):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def check_names(modules: Path, dependencies: Path) -> None:
    """Raises PackageError if a dependency would shadow one of our modules, which would break every invocation."""
    ours = {path.stem for path in modules.iterdir()}
    with zipfile.ZipFile(dependencies) as installed:
        theirs = {name.partition("/")[0].partition(".")[0] for name in installed.namelist()}
    if both := sorted(ours & theirs):
        raise PackageError(f"{', '.join(both)} is a module of ours and also of a dependency. Rename ours.")


def dependencies_zip(requirements: Path, architecture: str, wheels: str, folder: Path) -> Path:
    """A zip of the installed wheels, made once for each set of requirements, target and version of this script."""
    pins = read_pins(requirements)
    target = architecture if wheels == "lambda" else f"host-{sysconfig.get_platform()}-{sys.implementation.cache_tag}"
    inputs = "\n".join([target, *sorted(f"{name}=={version}" for name, version in pins.items())])
    inputs += requirements.with_name(HASHES).read_text() if wheels == "lambda" else ""
    key = hashlib.sha256(inputs.encode() + Path(__file__).read_bytes()).hexdigest()[:16]
    cached = folder / f"dependencies-{target}-{key}.zip"
    if not cached.exists():
        for stale in folder.glob(f"dependencies-{target}-*.zip"):
            stale.unlink(missing_ok=True)
        print(f"Downloading the wheels for {target} ...", flush=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            installed, unfinished = Path(temporary, "installed"), Path(temporary, "dependencies.zip")
            install(requirements, architecture, wheels, installed)
            check_pins(pins, installed)
            compile_ahead(installed, wheels)
            add_to_zip(unfinished, files_to_ship(installed))
            unfinished.replace(cached)  # in one step: a concurrent build sees all of it or nothing
    return cached


def read_pins(requirements: Path) -> dict[str, str]:
    pins = {}
    for line in requirements.read_text().splitlines():
        requirement = line.partition("#")[0].strip()
        if not requirement:
            continue
        name, pinned, version = requirement.partition("==")
        if not pinned:
            raise PackageError(f'"{requirement}" in {shown(requirements)} is not pinned. Write {name}==<version>.')
        pins[normalized(name)] = version.strip()
    return pins


def install(requirements: Path, architecture: str, wheels: str, target: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--only-binary=:all:", "--target", str(target)]
    if wheels == "host":
        command += ["--requirement", str(requirements)]
    else:
        command += ["--require-hashes", "--requirement", str(requirements.with_name(HASHES))]
        command += ["--implementation", "cp", "--python-version", PYTHON_VERSION]
        for tag in GLIBC_TAGS:
            command += ["--platform", f"{tag}_{MACHINES[architecture]}"]
    environment = os.environ | {"PIP_USER": "0"}  # some systems set it, and pip refuses it together with --target
    if subprocess.run(command, env=environment).returncode:
        raise PackageError(
            "pip could not download the wheels; see the error above. To build offline, build once online and keep"
            " build/. If pip itself is missing, run `make setup` and put .venv/bin first in PATH."
        )


def check_pins(pins: dict[str, str], installed: Path) -> None:
    found = {normalized(each.name): each.version for each in metadata.distributions(path=[str(installed)])}
    if unpinned := sorted(f"{name}=={version}" for name, version in found.items() if pins.get(name) != version):
        raise PackageError(f"src/requirements.txt does not pin all of its dependencies. Add: {', '.join(unpinned)}.")
    if missing := sorted(pins.keys() - found.keys()):
        raise PackageError(f"src/{HASHES} has no hash of {', '.join(missing)}. Add each wheel's sha256sum.")


def compile_ahead(folder: Path, wheels: str) -> None:
    """Adds bytecode to every module: Lambda's file system is read-only, so each cold start would compile everything
    again (a third of the import time). Only Python 3.13 can do this for Lambda."""
    if wheels == "lambda" and "{}.{}".format(*sys.version_info) != PYTHON_VERSION:
        print(f"No bytecode, because this is not Python {PYTHON_VERSION}: cold starts will take longer.")
        return
    command = [sys.executable, "-m", "compileall", "-q", "-s", str(folder), str(folder)]
    command += ["--invalidation-mode", "unchecked-hash"]  # no timestamps: the same inputs give the same bytes
    fixed = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": ""}
    if subprocess.run(command, env=os.environ | fixed).returncode:
        raise PackageError("a module does not compile; see the error above.")


def files_to_ship(installed: Path) -> list[File]:
    files = ((path.relative_to(installed), path) for path in installed.rglob("*") if path.is_file())
    return sorted((name.as_posix(), path) for name, path in files if is_shipped(name))


def is_shipped(name: Path) -> bool:
    if name.parts[0].endswith(".dist-info") and len(name.parts) == 2:
        return name.name not in LEFT_OUT_OF_DIST_INFO
    return name.suffix not in LEFT_OUT_SUFFIXES and not LEFT_OUT_FOLDERS.intersection(name.parts[:-1])


def add_to_zip(archive: Path, files: Iterable[File]) -> None:
    with zipfile.ZipFile(archive, "a") as package:
        for name, path in files:
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, also when built elsewhere: otherwise Lambda ignores the permissions
            entry.external_attr = 0o100644 << 16  # readable by all: Lambda runs as a separate user
            package.writestr(entry, path.read_bytes())


def unzipped_size(archive: Path) -> int:
    with zipfile.ZipFile(archive) as package:
        return sum(entry.file_size for entry in package.infolist())


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()  # as PyPI compares names


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def shown(path: Path) -> str:
    resolved = path.resolve()
    return str(resolved.relative_to(ROOT)) if resolved.is_relative_to(ROOT) else str(path)


if __name__ == "__main__":
    sys.exit(main())
