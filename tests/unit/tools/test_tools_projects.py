"""What is read from a repository as data: bounded, never run, and never widening."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenroom.domain.settings import framework_of
from greenroom.tools import _metadata, _projects, _pythons, _ruffs, _spelling, _suites


def lay(root: Path, **files: str) -> Path:
    """Write files; `__` in a name stands for a dot."""
    for name, text in files.items():
        (root / name.replace("__", ".")).write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "lowest"),
    [
        ({"pyproject__toml": '[project]\nrequires-python = ">=3.9"\n'}, (3, 9)),
        ({"pyproject__toml": '[project]\nrequires-python = ">=3.8,<4,!=3.8.1"\n'}, (3, 8)),
        ({"pyproject__toml": '[tool.poetry.dependencies]\npython = "^3.10"\n'}, (3, 10)),
        ({"setup__cfg": "[options]\npython_requires = >=3.12\n"}, (3, 12)),
        ({"setup__py": "from setuptools import setup\nsetup(python_requires='>=3.11')\n"}, (3, 11)),
        ({"setup__py": "import os\nos.abort()\nsetup(python_requires=os.environ['X'])\n"}, (3, 7)),
        ({"PKG-INFO": "Name: a\nRequires-Python: >=3.9\n"}, (3, 9)),
        ({"pyproject__toml": '[project]\nrequires-python = ">=2.7"\n'}, (3, 7)),
        ({"pyproject__toml": '[project]\nclassifiers = ["Programming Language :: Python :: 3.10"]\n'}, (3, 10)),
        ({"pyproject__toml": "[[["}, (3, 7)),
        ({}, (3, 7)),
    ],
)
def test_the_lowest_python_is_what_the_project_states(
    tmp_path: Path, files: dict[str, str], lowest: tuple[int, int]
) -> None:
    """Fixes are made for the lowest Python that the project supports; where it is silent, for ruff's lowest."""
    assert _pythons.within(_pythons.declared_python(lay(tmp_path, **files))) == lowest


def test_links_are_not_read(tmp_path: Path) -> None:
    """Settings behind a symbolic link are not the repository's."""
    lay(tmp_path, real="[tool.ruff]\nexclude = ['x']\n[tool.codespell]\nskip = 'x'\n")
    (tmp_path / "pyproject.toml").symlink_to("real")
    assert _ruffs.Configs(tmp_path, ("F",), list, flake8=True).source == ""
    assert _spelling.read(tmp_path).source == ""


def test_options_that_hide_or_spread_tests_are_left_out() -> None:
    """What only shows, measures, distributes or stops early is dropped; what chooses tests is kept."""
    kept, dropped = _suites.addopts(
        "-ra -x --strict-markers -n auto --cov=x --cov-report term -m 'not slow' -W error -p y"
    )
    assert kept == ["--strict-markers", "-m", "not slow", "-W", "error", "-p", "y"]
    assert dropped == ["-ra", "-x", "-n", "--cov", "--cov-report"]
    assert _suites.addopts("'unbalanced") == ([], ["'unbalanced"])


@pytest.mark.parametrize(
    "command", ["", "make", "sh -c 'pytest'", "python setup.py test", "'unbalanced", "python -c x"]
)
def test_test_commands_are_pytest_or_unittest(command: str) -> None:
    """Nothing else is started as a test command."""
    with pytest.raises(Exception, match="test-command"):
        _suites.from_command(command)
    assert framework_of(command) == ""


@pytest.mark.parametrize("command", ["pytest", "python3.11 -m pytest -q x", "/usr/bin/py.test", "python -m unittest x"])
def test_test_commands_are_read_alike_where_they_are_set(command: str) -> None:
    """What the settings take is what the tool runs."""
    assert framework_of(command) == _suites.from_command(command).framework


def test_metadata_is_written_from_stated_data(tmp_path: Path) -> None:
    """The dist-info holds name, version and entry points as the project states them."""
    text = '[project]\nname = "a.b"\nversion = "1.0"\n[project.entry-points.pytest11]\nx = "a.b:plugin"\n'
    assert _metadata.write(lay(tmp_path, pyproject__toml=text), tmp_path / "into") == ""
    info = tmp_path / "into" / "a_b-1.0.dist-info"
    assert "Version: 1.0\n" in (info / "METADATA").read_text()
    assert "[pytest11]\nx = a.b:plugin\n" in (info / "entry_points.txt").read_text()


@pytest.mark.parametrize("name", ["../x", "a/b", "a\nb", "", "x" * 300])
def test_hostile_names_write_nothing(tmp_path: Path, name: str) -> None:
    """A name that is no distribution's name makes no directory."""
    import json

    lay(tmp_path, pyproject__toml=f"[project]\nname = {json.dumps(name)}\nversion = '1'\n")
    assert _metadata.write(tmp_path, tmp_path / "into") == ""
    assert not (tmp_path / "into").exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    st.sampled_from(["pyproject.toml", "ruff.toml", "setup.cfg", "tox.ini", "setup.py", ".codespellrc", "PKG-INFO"]),
    st.one_of(
        st.binary(max_size=200),
        st.text(alphabet="[]tol.rufin=\"'\n codespetsck:,3>", max_size=200).map(lambda text: text.encode()),
    ),
)
def test_any_bytes_are_read(tmp_path: Path, name: str, data: bytes) -> None:
    """Whatever a settings file holds, reading it gives settings."""
    path = tmp_path / name
    path.write_bytes(data)
    try:
        assert (3, 7) <= _pythons.within(_pythons.Floors(tmp_path).of("a.py")) <= (3, 14)
        configs = _ruffs.Configs(tmp_path, ("F",), list, flake8=True)
        configs.write(tmp_path / "copy", (3, 9))
        assert configs.problem(configs.of("a.py")) is not None
        assert _spelling.read(tmp_path).words is not None
        assert len(_projects.project_name(tmp_path)) == 2
        assert _suites.source_roots(tmp_path)[-1] == tmp_path
    finally:
        path.unlink()
