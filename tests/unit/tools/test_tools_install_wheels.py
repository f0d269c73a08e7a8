"""Wheels become a directory of packages, without a network and without running their code."""

from __future__ import annotations

import io
import json
import os
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from greenroom.release.trees import StoreTrees
from greenroom.testing.store import MemoryStore

Body = Callable[..., Any]


def wheel(name: str, version: str, **files: str) -> tuple[str, bytes]:
    """File name and bytes of a small wheel."""
    info = f"{name}-{version}.dist-info"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo(f"{name}.py"), files.pop("code", "VALUE = 1\n"))
        archive.writestr(
            zipfile.ZipInfo(f"{info}/METADATA"), f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        text = "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(zipfile.ZipInfo(f"{info}/WHEEL"), text)
        archive.writestr(zipfile.ZipInfo(f"{info}/entry_points.txt"), "[console_scripts]\nsay = " + name + ":main\n")
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD"), "")
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return f"{name}-{version}-py3-none-any.whl", out.getvalue()


def blobs(*wheels: tuple[str, bytes], project: object = None) -> dict[str, bytes]:
    return {**dict(wheels), "project.json": json.dumps(project).encode()}


APP = {"name": "My.App", "version": "2.0", "entry_points": {"pytest11": {"app": "app.plugin"}}}

WHOLE = {"left_out": [], "left_out_more": 0}


def content(site: Path) -> dict[str, bytes]:
    return {str(p.relative_to(site)): p.read_bytes() for p in sorted(site.rglob("*")) if p.is_file()}


@pytest.mark.slow
def test_wheels_are_installed_the_same_each_time(body: Body, tmp_path: Path) -> None:
    """Modules, metadata and scripts arrive; two runs give the same bytes; no byte code, nothing left beside."""
    given = blobs(wheel("alpha", "1.0"), wheel("beta", "2.0"), project=APP)
    first, second = body("install_wheels_t1", blobs=given), body("install_wheels_t1", blobs=given)
    assert (first.code, first.stderr) == (0, "")
    assert first.result == {
        "wheels": ["alpha-1.0-py3-none-any.whl", "beta-2.0-py3-none-any.whl"],
        "project": "My.App",
        **WHOLE,
    }
    one, two = (tmp_path / f"cell{n}" / "out" for n in (1, 2))
    assert sorted(os.listdir(one)) == ["result.json", "site"]
    found = content(one / "site")
    assert {"alpha.py", "beta.py", "bin/say", "alpha-1.0.dist-info/METADATA"} <= set(found)
    assert not any(name.endswith(".pyc") for name in found)
    strip = str(tmp_path / "cell1"), str(tmp_path / "cell2")
    same = {name: data.replace(strip[0].encode(), b"") for name, data in found.items() if "direct_url" not in name}
    other = {n: d.replace(strip[1].encode(), b"") for n, d in content(two / "site").items() if "direct_url" not in n}
    for listing in ("alpha-1.0.dist-info/RECORD", "beta-2.0.dist-info/RECORD"):
        same.pop(listing)
        other.pop(listing)
    assert same == other
    assert second.result == first.result


@pytest.mark.slow
def test_what_a_wheel_holds_of_git_is_left_out_and_named(body: Body, tmp_path: Path) -> None:
    """A .git file, a .git directory and their other spellings go, in every wheel; names that only begin so stay."""
    odd = {
        "lib/static/.git": "gitdir: ../x\n",
        "lib/.GIT/hooks/pre-commit": "x",
        "lib/.GIT/config": "x",
        "lib/GIT~1/config": "x",
        "alpha-1.0.data/purelib/deep/.git/HEAD": "x",
    }
    kept = {"lib/.gitignore": "x", "lib/.git2/config": "x", "lib/static/a.js": "x"}
    given = blobs(wheel("alpha", "1.0", **odd, **kept), wheel("beta", "2.0", **{"beta_data/.git/HEAD": "x"}))
    first, second = body("install_wheels_t1", blobs=given), body("install_wheels_t1", blobs=given)
    assert (first.code, first.stderr) == (0, "")
    left_out = ["beta_data/.git", "deep/.git", "lib/.GIT", "lib/GIT~1", "lib/static/.git"]
    assert (first.result["left_out"], first.result["left_out_more"]) == (left_out, 0)
    assert second.result == first.result
    one, two = (tmp_path / f"cell{n}" / "out" / "site" for n in (1, 2))
    assert set(kept) <= set(content(one))
    assert set(content(one)) == set(content(two))
    assert StoreTrees(MemoryStore()).seal(str(one))


@pytest.mark.slow
def test_only_so_many_entries_that_are_left_out_are_named(body: Body, tmp_path: Path) -> None:
    """A wheel full of them cannot flood the card; all of them go."""
    ran = body("install_wheels_t1", blobs=blobs(wheel("alpha", "1.0", **{f"d{n:02}/.git": "x" for n in range(25)})))
    assert (ran.result["left_out"][-1], ran.result["left_out_more"]) == ("d19/.git", 5)
    assert not list((tmp_path / "cell1" / "out" / "site").rglob(".git"))


@pytest.mark.slow
def test_the_project_finds_its_own_metadata(body: Body, tmp_path: Path) -> None:
    """importlib.metadata knows the project's version and plug-ins, though it is not installed."""
    ran = body("install_wheels_t1", blobs=blobs(project=APP))
    assert ran.result == {"wheels": [], "project": "My.App", **WHOLE}
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import importlib.metadata as m; "
        "print(m.version('my-app'), [e.value for e in m.entry_points(group='pytest11') if e.name == 'app'])"
    )
    site = str(tmp_path / "cell1" / "out" / "site")
    said = subprocess.run(
        ["/usr/bin/python3", "-I", "-B", "-c", code, site], capture_output=True, text=True, check=True
    )
    assert said.stdout == "2.0 ['app.plugin']\n"


@pytest.mark.slow
def test_a_wheel_of_the_projects_own_name_wins(body: Body, tmp_path: Path) -> None:
    """Where a dependency brought the project along, its metadata is not written twice."""
    body("install_wheels_t1", blobs=blobs(wheel("alpha", "1.0"), project={"name": "Alpha", "version": "9"}))
    site = tmp_path / "cell1" / "out" / "site"
    assert [path.name for path in site.glob("*.dist-info")] == ["alpha-1.0.dist-info"]


def test_a_rehearsal_writes_nothing(body: Body, tmp_path: Path) -> None:
    """A dry run checks the wheels and leaves no site."""
    ran = body("install_wheels_t1", blobs=blobs(wheel("alpha", "1.0"), project=None), dry_run=True)
    assert ran.result == {"wheels": ["alpha-1.0-py3-none-any.whl"], "project": "", **WHOLE}
    assert os.listdir(tmp_path / "cell1" / "out") == ["result.json"]


@pytest.mark.parametrize("data", [b"", b"no archive", b"PK\x05\x06" + b"\0" * 18])
def test_a_broken_wheel_is_refused(body: Body, data: bytes) -> None:
    """What is no archive, or has no metadata, is refused by name."""
    ran = body("install_wheels_t1", blobs=blobs(("odd-1-py3-none-any.whl", data)))
    assert ran.code == 0
    assert ran.result["refused"]["rule"] == "bad-wheel"
    assert ran.result["refused"]["where"].startswith("odd-1-py3-none-any.whl")


@pytest.mark.slow
def test_a_wheel_for_another_machine_is_refused(body: Body) -> None:
    """pip's own words say why it cannot be installed."""
    name, data = wheel("alpha", "1.0")
    ran = body("install_wheels_t1", blobs=blobs((name.replace("py3-none-any", "cp311-cp311-win_amd64"), data)))
    assert ran.result["refused"]["rule"] == "install-failed"
    assert "not a supported wheel" in ran.result["refused"]["where"]
