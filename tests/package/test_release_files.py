"""The files of a release: what is in them, and what the tools say that package indexes use."""

import hashlib
import os
import shutil
import tarfile
import zipfile

import pyroma
from conftest import build, python_module

#: They are for a clone only.
NOT_IN_SDIST = {".gitignore", ".ci/run"}


def inside(archive):
    """Return the names of the files in a release's file, without the folder that an sdist has."""
    if archive.suffix == ".whl":
        return set(zipfile.ZipFile(str(archive)).namelist())
    with tarfile.open(str(archive)) as opened:
        return {each.name.partition("/")[2] for each in opened if each.isfile()}


def test_sdist_has_what_a_clone_has_and_nothing_else(built):
    found = inside(built.sdist)
    made = {name for name in found if name == "PKG-INFO" or ".egg-info/" in name}
    assert sorted(found - made) == sorted(built.names - NOT_IN_SDIST)


def test_wheel_has_the_package_and_nothing_else(built):
    package = {name for name in built.names if name.startswith("inngest_wsgi/")}
    found = inside(built.wheel)
    described = {name for name in found if ".dist-info/" in name}
    assert sorted(found - described) == sorted(package | {"inngest_wsgi_pytest.py"})
    assert {
        "inngest_wsgi/py.typed",
        "inngest_wsgi/_dev_page/page.html",
    } <= found
    names = {name.partition("/")[2] for name in described}
    assert names == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
        "top_level.txt",
    }


def test_wheel_is_for_each_python_and_system(built):
    assert built.wheel.name.endswith("-py3-none-any.whl")


def test_two_builds_make_the_same_wheel(built, tmp_path):
    """One from the sdist, one from the tree at another place and with other times."""
    shutil.copytree(str(built.tree), str(tmp_path / "again"))
    for name in built.names:
        os.utime(str(tmp_path / "again" / name))
    build(tmp_path / "again", tmp_path / "dist", "--wheel")
    (again,) = (tmp_path / "dist").iterdir()
    assert again.name == built.wheel.name
    hashes = [hashlib.sha256(each.read_bytes()).hexdigest() for each in (again, built.wheel)]
    assert hashes[0] == hashes[1]


def test_twine_finds_no_fault(built):
    python_module("twine", "check", "--strict", built.sdist, built.wheel)


def test_check_wheel_contents_finds_no_fault(built):
    python_module("check_wheel_contents", built.wheel)


def test_pyroma_gives_ten_of_ten(built):
    assert pyroma.run("file", str(built.sdist), quiet=True) == 10
