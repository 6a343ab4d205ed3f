import hashlib
import itertools
import os
import shutil
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from scripts import build_package
from scripts.build_package import PackageError

BYTECODE = sys.version_info[:2] == (3, 13)  # for Lambda's Python, which alone can make it


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "src"
    source.mkdir()
    (source / "handler.py").write_text("def handler(event, context): ...\n")
    (source / "requirements.txt").write_text("six==1.17.0  # why\n\n# and why not\nThe_Other.one==2.0\n")
    (source / "wheels.txt").write_text("")
    return source


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replaces pip: installs two small packages, and counts the installations."""
    fetched: list[str] = []

    def install(requirements: Path, architecture: str, wheels: str, target: Path) -> None:
        fetched.append(architecture)
        for name, version in (("six", "1.17.0"), ("the_other_one", "2.0")):
            information = target / f"{name}-{version}.dist-info"
            information.mkdir(parents=True)
            (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            (information / "RECORD").write_text("changes with every installation")
            (target / f"{name}.py").write_text("content = 1\n" * 1000)

    monkeypatch.setattr(build_package, "install", install)
    return fetched


def test_the_same_inputs_give_the_same_bytes_regardless_of_clock_and_umask(
    source: Path, fetched: list[str], tmp_path: Path
) -> None:
    first, second = tmp_path / "first" / "function.zip", tmp_path / "second" / "function.zip"
    build_package.build("arm64", "lambda", first, source)
    os.utime(source / "handler.py", (0, 0))
    (source / "handler.py").chmod(0o600)
    build_package.build("arm64", "lambda", second, source)
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as package:
        assert {entry.external_attr >> 16 for entry in package.infolist()} == {0o100644}
        assert {entry.create_system for entry in package.infolist()} == {3}, "otherwise Lambda ignores the permissions"
        assert {entry.compress_type for entry in package.infolist()} == {zipfile.ZIP_DEFLATED}
        bytecode = [package.read(name) for name in package.namelist() if name.endswith(".pyc")]
        assert {content[4:8] for content in bytecode} <= {b"\1\0\0\0"}, "not compared with the source (PEP 552)"
        assert package.namelist() == [
            *(f"__pycache__/{name}.cpython-313.pyc" for name in ("six", "the_other_one") if BYTECODE),
            "six-1.17.0.dist-info/METADATA",
            "six.py",
            "the_other_one-2.0.dist-info/METADATA",
            "the_other_one.py",
            *(["__pycache__/handler.cpython-313.pyc"] if BYTECODE else []),
            "handler.py",
        ]


def test_wheels_are_fetched_once_for_each_architecture_and_again_when_the_pins_change(
    source: Path, fetched: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "build" / "function.zip"
    for architecture in ("arm64", "arm64", "x86_64", "arm64"):
        build_package.build(architecture, "lambda", output, source)
    assert fetched == ["arm64", "x86_64"]
    (tmp_path / "newer.py").write_text("# the script after a change\n")
    with monkeypatch.context() as newer:
        newer.setattr(build_package, "__file__", str(tmp_path / "newer.py"))
        build_package.build("x86_64", "lambda", output, source)
    assert fetched.pop() == "x86_64"
    assert len([*output.parent.glob("dependencies-*.zip")]) == 2, "outdated ones are deleted"
    (source / "requirements.txt").write_text("the-other-one==2.0\nsix==1.17.0 # only the order and the words changed\n")
    build_package.build("arm64", "lambda", output, source)
    assert fetched == ["arm64", "x86_64"]
    (source / "requirements.txt").write_text("six==1.16.0\nthe-other-one==2.0\n")
    with pytest.raises(PackageError, match=r"Add: six==1\.17\.0\.$"):
        build_package.build("arm64", "lambda", output, source)


@pytest.mark.usefixtures("fetched")
def test_a_package_too_large_for_lambda_is_refused(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert build_package.UNZIPPED_LIMIT == 250 << 20
    monkeypatch.setattr(build_package, "UNZIPPED_LIMIT", 20_000)
    output = tmp_path / "build" / "function.zip"
    with pytest.raises(PackageError, match=r"more than the 0\.0 MB that Lambda allows\. Remove a dependency"):
        build_package.build("arm64", "lambda", output, source)
    assert not output.exists()


@pytest.mark.usefixtures("fetched")
@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("requirements.txt", "six>=1.16\n", '"six>=1.16" .* is not pinned'),
        ("requirements.txt", "six==1.17.0\n", r"Add: the-other-one==2\.0\.$"),
        ("handler.py", None, "there is no handler.py"),
    ],
)
def test_build_problems_are_explained(
    source: Path, tmp_path: Path, file: str, content: str | None, complaint: str
) -> None:
    if content is None:
        (source / file).unlink()
    else:
        (source / file).write_text(content)
    with pytest.raises(PackageError, match=complaint):
        build_package.build("arm64", "lambda", tmp_path / "build" / "function.zip", source)


@pytest.mark.parametrize(
    ("name", "shipped"),
    [
        ("av/_core.abi3.so", True),
        ("av.libs/libavcodec-0123.so.62", True),
        ("av/__init__.py", True),
        ("av/__init__.pxd", False),
        ("av/packet.pyi", False),
        ("av/__pycache__/packet.cpython-313.pyc", True),
        ("av/py.typed", False),
        ("bin/pyav", False),
        ("package/tests/test_one.py", False),
        ("av-19.0.2.dist-info/METADATA", True),
        ("av-19.0.2.dist-info/licenses/LICENSE.txt", True),
        ("av-19.0.2.dist-info/RECORD", False),
        ("av-19.0.2.dist-info/sboms/auditwheel.cdx.json", False),
    ],
)
def test_only_code_metadata_and_licenses_are_in_the_package(name: str, shipped: bool) -> None:
    assert build_package.is_shipped(Path(name)) is shipped


@pytest.mark.parametrize(("architecture", "machine"), [("arm64", "aarch64"), ("x86_64", "x86_64")])
def test_pip_is_asked_for_lambdas_wheels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str, machine: str
) -> None:
    asked: list[list[str]] = []
    ended = SimpleNamespace(returncode=0)
    monkeypatch.setattr(build_package, "subprocess", SimpleNamespace(run=lambda one, **_: asked.append(one) or ended))
    build_package.install(tmp_path / "requirements.txt", architecture, "lambda", tmp_path / "target")
    [command] = asked
    options = list(itertools.pairwise(command))
    assert {("--implementation", "cp"), ("--python-version", "3.13")} <= set(options)
    assert {"--only-binary=:all:", "--require-hashes"} <= set(command)
    platforms = [value for option, value in options if option == "--platform"]
    assert platforms == [f"{tag}_{machine}" for tag in build_package.GLIBC_TAGS]


def test_no_wheel_needs_a_newer_glibc_than_lambda_has() -> None:
    versions = {"manylinux2014": 17}  # PEP 599
    found = [versions.get(tag) or int(tag.removeprefix("manylinux_2_")) for tag in build_package.GLIBC_TAGS]
    assert max(found) == 34, "Amazon Linux 2023"


@pytest.fixture
def offline(tmp_path, monkeypatch) -> None:
    """Makes pip find wheels only in the test's folder."""
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_USER", "1")  # as on some systems
    monkeypatch.setenv("PIP_NO_INDEX", "1")


def shadow(tmp_path: Path, module: str) -> Path:
    """Our sources with a dependency on a real wheel that contains the file `module`."""
    source = tmp_path / "src"
    shutil.copytree(build_package.ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    wheel = tmp_path / "shadow-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as made:
        made.writestr(module, "")
        made.writestr("shadow-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: shadow\nVersion: 1.0\n")
        made.writestr("shadow-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr("shadow-1.0.dist-info/RECORD", "")
    (source / "requirements.txt").write_text("shadow==1.0\n")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (source / "wheels.txt").write_text(f"shadow==1.0 --hash=sha256:{digest}\n")
    return source


@pytest.mark.parametrize("module", ["video_intake/__init__.py", "handler.py"])
def test_a_dependency_with_the_name_of_a_module_is_refused(tmp_path, offline, module):
    """The dependency's package or module would shadow ours."""
    with pytest.raises(PackageError, match=f"{module.partition('/')[0].removesuffix('.py')} is a module of ours"):
        build_package.build("arm64", "lambda", tmp_path / "build/function.zip", shadow(tmp_path, module))


def test_a_wheel_is_accepted_only_by_its_hash(tmp_path, offline, capfd):
    source = shadow(tmp_path, "harmless.py")
    build_package.build("arm64", "lambda", tmp_path / "build/function.zip", source)
    hashes = (source / "wheels.txt").read_text()
    (source / "wheels.txt").write_text(hashes[:-65] + 64 * "0")
    with pytest.raises(PackageError, match="pip could not download the wheels"):
        build_package.build("arm64", "lambda", tmp_path / "build/function.zip", source)
    assert "DO NOT MATCH THE HASHES" in capfd.readouterr().err
    (source / "wheels.txt").write_text("shadow==1.0\n")
    with pytest.raises(PackageError, match="pip could not download the wheels"):
        build_package.build("arm64", "lambda", tmp_path / "build/function.zip", source)
    (source / "wheels.txt").write_text("# none\n")
    with pytest.raises(PackageError, match=r"src/wheels.txt has no hash of shadow"):
        build_package.build("arm64", "lambda", tmp_path / "build/function.zip", source)
