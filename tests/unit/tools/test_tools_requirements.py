"""What a project needs is found in every place where projects say it, as data."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.tools import _needs
from greenroom.tools._declared import poetry_range
from greenroom.tools.find_requirements_t0 import find, guarded


def lay(directory: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    directory.mkdir(exist_ok=True)
    return directory


def found(tmp_path: Path, **files: str) -> dict[str, Any]:
    """The result for a tree; `__` in a name is a slash, `_dot_` a dot, `_dash_` a dash."""
    names = {n.replace("__", "/").replace("_dot_", ".").replace("_dash_", "-"): text for n, text in files.items()}
    return find(str(lay(tmp_path / "tree", names)))


def texts(result: dict[str, Any]) -> list[tuple[str, str, bool]]:
    return [(item["text"], item["source"], item["needed"]) for item in result["requirements"]]


def test_pyproject_metadata_extras_and_groups(tmp_path: Path) -> None:
    """Dependencies are needed; extras and groups named for tests help; other extras are left alone."""
    result = found(
        tmp_path,
        pyproject_dot_toml="""
[project]
name = "App.One"
version = "1.2"
requires-python = ">=3.9"
dependencies = ["six>=1"]
[project.optional-dependencies]
test = ["mock", "App-One[speed]"]
speed = ["ujson"]
docs = ["sphinx"]
[project.scripts]
app = "app:main"
[project.entry-points.pytest11]
app = "app.plugin"
[dependency-groups]
tests = [{include-group = "base"}, "hypothesis"]
base = ["trio", {include-group = "tests"}]
""",
    )
    assert texts(result) == [
        ("six>=1", "project", True),
        ("mock", "extra:test", False),
        ("ujson", "extra:test", False),
        ("trio", "group:tests", False),
        ("hypothesis", "group:tests", False),
    ]
    assert (result["python"], result["notes"]) == (">=3.9", [])
    points = {"pytest11": {"app": "app.plugin"}, "console_scripts": {"app": "app:main"}}
    assert result["project"] == {"name": "App.One", "version": "1.2", "entry_points": points}
    assert result["sources"] == {"project": 1, "extra:test": 2, "group:tests": 2}


def test_developers_sources_count_only_without_test_sources(tmp_path: Path) -> None:
    """An extra named dev is used where there is none for tests, without what only developers use."""
    result = found(
        tmp_path,
        pyproject_dot_toml='[project]\nname = "a"\n[project.optional-dependencies]\ndev = ["mypy", "mock", "ruff>1"]\n',
    )
    assert texts(result) == [("mock", "extra:dev", False)]


def test_shufflers_are_left_out_with_a_note(tmp_path: Path) -> None:
    """A plug-in that changes the order of tests would make every suite look flaky."""
    result = found(
        tmp_path,
        pyproject_dot_toml='[project]\nname = "a"\n[dependency-groups]\ntest = ["pytest-randomly", "mock"]\n',
    )
    assert texts(result) == [("mock", "group:test", False)]
    assert "pytest-randomly is left out" in result["notes"][0]


def test_setup_cfg(tmp_path: Path) -> None:
    """setup.cfg says the same in its own way; a version that has to be run for is not known."""
    result = found(
        tmp_path,
        setup_dot_cfg="""
[metadata]
name = app
version = attr: app.__version__
[options]
python_requires = >=3.8
install_requires =
    six>=1
    # a comment
    attrs; python_version < "3.12"
tests_require = mock
[options.extras_require]
testing = trio
[options.entry_points]
console_scripts =
    app = app:main
""",
    )
    assert texts(result) == [
        ("six>=1", "setup.cfg", True),
        ('attrs; python_version < "3.12"', "setup.cfg", True),
        ("trio", "extra:testing", False),
        ("mock", "extra:tests-require", False),
    ]
    assert result["project"] == {"name": "app", "version": "", "entry_points": {"console_scripts": {"app": "app:main"}}}


def test_setup_py_is_read_and_never_run(tmp_path: Path) -> None:
    """Literals, names of literals and sums of lists are understood; the file is not executed."""
    mark = tmp_path / "ran"
    result = found(
        tmp_path,
        setup_dot_py=f"""
import os
from setuptools import setup, find_packages
open({str(mark)!r}, "w")
NEEDED = ["six"]
TESTS = ["mock", "trio"]
setup(name="app", version=os.environ["X"], install_requires=NEEDED + ["attrs>=1"], packages=find_packages(),
      python_requires=">=3.7", extras_require={{"tests": TESTS, "docs": ["sphinx"], **OTHER}},
      entry_points={{"console_scripts": ["app = app:main"]}})
""",
    )
    assert texts(result) == [
        ("six", "setup.py", True),
        ("attrs>=1", "setup.py", True),
        ("mock", "extra:tests", False),
        ("trio", "extra:tests", False),
    ]
    assert result["python"] == ">=3.7"
    assert not mark.exists()


def test_pkg_info_of_a_source_release(tmp_path: Path) -> None:
    """Core metadata fills in what the build would have found out: version, dependencies, extras."""
    result = found(
        tmp_path,
        PKG_dash_INFO="""Metadata-Version: 2.1
Name: app
Version: 3.4
Requires-Python: >=3.10
Requires-Dist: six>=1
Requires-Dist: mock; extra == "test"
Requires-Dist: trio; (python_version < "3.12") and extra == 'test'
Requires-Dist: sphinx; extra == "docs"

Requires-Dist: not-a-header
""",
        setup_dot_py="from setuptools import setup\nsetup(install_requires=read())",
    )
    assert texts(result) == [
        ("six>=1", "PKG-INFO", True),
        ("mock", "extra:test", False),
        ('trio; (python_version < "3.12")', "extra:test", False),
    ]
    assert (result["project"]["version"], result["python"]) == ("3.4", ">=3.10")


def test_tox_nox_and_requirements_files(tmp_path: Path) -> None:
    """tox, nox and requirements files are read; what they say of other work is not."""
    result = found(
        tmp_path,
        pyproject_dot_toml='[project]\nname = "a"\n',
        tox_dot_ini="[testenv]\ndeps =\n  mock\n  py38: dataclasses\n  -r requirements/test.txt\n  -e .\n"
        "  {[base]deps}\n[testenv:docs]\ndeps = sphinx\n",
        noxfile_dot_py="""
import nox
@nox.session
def tests(session):
    session.install("trio", "-r", "more.txt", ".[test]", "-e", ".")
@nox.session
def lint(session):
    session.install("pylint-odd")
""",
        requirements__test_dot_txt="attrs==1 --hash=sha256:00\n-r base.txt\n-c limits.txt\n",
        requirements__base_dot_txt="six  # why\n",
        requirements__limits_dot_txt="never\n",
        more_dot_txt="anyio\\\n>=3\n",
    )
    assert {text for text, _, needed in texts(result) if not needed} == {
        "mock",
        "dataclasses",
        "attrs==1",
        "six",
        "trio",
        "anyio >=3",
    }


PROJECT = """[project]
name = "app"
[project.optional-dependencies]
speed = ["trio"]
[dependency-groups]
slow = ["anyio"]
"""
TOX = "[testenv]\ndeps = mock\nextras = speed\ndependency_groups =\n  slow\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"tox.ini": TOX}, {"mock", "trio", "anyio"}),
        ({"setup.cfg": TOX}, {"mock", "trio", "anyio"}),
        ({"pyproject.toml": f"{PROJECT}[tool.tox]\nlegacy_tox_ini = '''\n{TOX}'''\n"}, {"mock", "trio", "anyio"}),
        ({"tox.toml": '[env_run_base]\ndeps = ["mock"]\nextras = ["speed"]\ndependency_groups = ["slow"]\n'},
         {"mock", "trio", "anyio"}),
        ({"pyproject.toml": PROJECT + '[tool.tox.env_run_base]\ndeps = ["mock", ".[speed]"]\n'}, {"mock", "trio"}),
        ({"tox.toml": '[env."3.13"]\ndeps = ["mock"]\n[env.docs]\ndeps = ["no"]\n'}, {"mock"}),
        ({"tox.ini": "[testenv:{py39,py311}]\ndeps = mock\n"}, {"mock"}),
        ({"tox.ini": "[testenv:py{39,311}-{a,b}]\ndeps =\n  a: mock\n  b: six\n"}, {"mock", "six"}),
        ({"tox.ini": "[testenv:pylint]\ndeps = no\n[testenv:docs]\nextras = speed\n"}, set()),
        ({"tox.ini": "[base]\ndeps =\n  mock\n  {[base]deps}\n[testenv]\ndeps = {[base]deps}\n"}, {"mock"}),
        ({"tox.ini": "[testenv]\ndeps =\n  -e .[speed]\n  App[speed]\n"}, {"trio"}),
        ({"noxfile.py": "def tests(session):\n    session.install('-e', '.[speed]')\n"}, {"trio"}),
        ({"noxfile.py": "D = ['mock', 'six']\ndef tests(session):\n    session.install(*D, '.[speed]')\n"},
         {"mock", "six", "trio"}),
        ({"noxfile.py": "G = 'slow'\ndef tests(s):\n    s.install(*nox.project.dependency_groups(PYPROJECT, G))\n"},
         {"anyio"}),
    ],
)  # fmt: skip
def test_every_place_of_test_environments_is_read(tmp_path: Path, files: dict[str, str], expected: set[str]) -> None:
    """All of tox's files, with the extras and groups of the project that they name; names of lists in a noxfile."""
    result = find(str(lay(tmp_path / "tree", {"pyproject.toml": PROJECT} | files)))
    assert {text for text, _, _ in texts(result)} == expected
    assert result["notes"] == []


def test_what_an_environment_names_and_nobody_declares_is_noted(tmp_path: Path) -> None:
    """An extra that metadata does not have, a reference that is not followed, and code that only runs can tell."""
    files = {
        "pyproject.toml": '[project]\nname = "app"\n',
        "tox.toml": '[env_run_base]\nextras = ["speed"]\ndeps = [{replace = "ref", of = ["x"]}]\n',
        "noxfile.py": "def tests(session):\n    session.install(*read())\n",
    }
    result = find(str(lay(tmp_path / "tree", files)))
    assert result["requirements"] == []
    assert result["notes"] == [
        "tox.toml:env_run_base: what stands for a value elsewhere is not followed",
        "tox.toml:env_run_base: no extra is named 'speed'",
        "noxfile.py:tests: not understood: '*read()'",
    ]


def test_environments_add_to_the_project_s_own_list_for_tests(tmp_path: Path) -> None:
    """They add what an extra for tests does not name; where both name one, the extra's word holds."""
    files = {
        "pyproject.toml": '[project]\nname = "a"\ndependencies = ["six"]\n'
        '[project.optional-dependencies]\ntest = ["pytest", "mock>=2"]\n',
        "tox.ini": "[testenv]\ndeps =\n  hypothesis\n  mock==1\n  pytest\n  six==1.15\n",
        "test-requirements.txt": "trio\nmock>=2\n",
        "requirements-dev.txt": "anyio\n",
        "requirements.txt": "six==1.2\n",
    }
    result = find(str(lay(tmp_path / "tree", files)))
    assert texts(result) == [
        ("six", "project", True),
        ("pytest", "extra:test", False),
        ("mock>=2", "extra:test", False),
        ("hypothesis", "tox.ini:testenv", False),
        ("six==1.15", "tox.ini:testenv", False),
        ("trio", "test-requirements.txt", False),
    ]
    assert result["notes"] == [
        "tox.ini:testenv: left out, the project's own list for tests names it: 'mock==1'",
        "not read, since tests have sources of their own: requirements-dev.txt, requirements.txt",
    ]


def test_files_that_name_each_other_and_lists_that_double_are_bounded(tmp_path: Path) -> None:
    """Each file is read once; a sum of lists grows no further than there are requirements."""
    every = "".join(f"-r test{n}.txt\n" for n in range(40))
    files = {f"test{n}.txt": f"{every}name{n}\n" for n in range(40)}
    doubled = "L0 = ['six']\n" + "".join(f"L{n + 1} = L{n} + L{n}\n" for n in range(60))
    files |= {"test-requirements.txt": "-r test0.txt\n"}
    files |= {"noxfile.py": doubled + "def tests(session):\n    session.install(*L60)\n"}
    result = find(str(lay(tmp_path / "tree", files)))
    assert len(result["requirements"]) == 41


def test_a_folder_without_metadata_needs_its_requirements(tmp_path: Path) -> None:
    """requirements.txt is what the project runs on when nothing else says so."""
    result = found(tmp_path, requirements_dot_txt="six\nmock\n", requirements_dash_dev_dot_txt="trio\nblack\n")
    assert texts(result) == [
        ("six", "requirements.txt", True),
        ("mock", "requirements.txt", True),
        ("trio", "requirements-dev.txt", False),
    ]
    assert result["project"] is None


def test_poetry_tables(tmp_path: Path) -> None:
    """Poetry's ranges become PEP 440; optional dependencies belong to extras; a git source is left out."""
    result = found(
        tmp_path,
        pyproject_dot_toml="""
[tool.poetry]
name = "app"
version = "1.0"
[tool.poetry.dependencies]
python = "^3.8"
six = "^1.2.3"
fast = {version = "~2.1", optional = true}
extra = {version = ">=1", extras = ["a"], markers = "sys_platform == 'linux'"}
fork = {git = "https://example.org/fork"}
[tool.poetry.group.test.dependencies]
mock = "*"
""",
    )
    assert texts(result) == [
        ("six>=1.2.3,<2", "poetry", True),
        ("extra[a]>=1; sys_platform == 'linux'", "poetry", True),
        ("mock", "group:test", False),
    ]
    assert result["python"] == ">=3.8,<4"
    assert "fork" in result["notes"][0]


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("^1.2.3", ">=1.2.3,<2"),
        ("^0.2.3", ">=0.2.3,<0.3"),
        ("^0.0.3", ">=0.0.3,<0.0.4"),
        ("^0", ">=0,<1"),
        ("~1.2.3", ">=1.2.3,<1.3"),
        ("~1", ">=1,<2"),
        ("~=1.2", "~=1.2"),
        ("1.2", "==1.2"),
        (">=1,<3", ">=1,<3"),
        ("*", ""),
    ],
)
def test_poetry_ranges(given_: str, expected: str) -> None:
    """Caret and tilde keep the leftmost part that poetry keeps."""
    assert poetry_range(given_) == expected


def test_what_is_no_plain_requirement_is_noted(tmp_path: Path) -> None:
    """Links, paths, options and control characters are left out, and the notes say so."""
    result = found(
        tmp_path,
        pyproject_dot_toml='[project]\nname = "a"\ndependencies = ["six @ https://x/y", "-e .", "a\\u202eb", "ok"]\n',
    )
    assert texts(result) == [("ok", "project", True)]
    assert len(result["notes"]) == 3


def test_links_and_large_files_are_not_read(tmp_path: Path) -> None:
    """A link could lead out of the tree; a file has at most a mebibyte."""
    outside = tmp_path / "outside.txt"
    outside.write_text("secret-name\n")
    tree = lay(tmp_path / "tree", {"setup.cfg": "#" * (1024 * 1024 + 1)})
    os.symlink(outside, tree / "requirements.txt")
    (tree / "test-requirements.txt").write_text("-r ../outside.txt\nsix\n")
    result = find(str(tree))
    assert texts(result) == [("six", "test-requirements.txt", False)]
    assert any("larger than" in note for note in result["notes"])
    assert any("outside the tree" in note for note in result["notes"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pyproject.toml", "[project\n"),
        ("pyproject.toml", "[project]\nname = 1\ndependencies = 3\noptional-dependencies = []\n[tool]\nhatch = 1\n"),
        ("setup.cfg", "no section = 1\n"),
        ("setup.py", "def (:\n"),
        ("setup.py", "x = " + "(" * 5000),
        ("noxfile.py", "\0"),
        ("tox.ini", "[testenv]\ndeps\n"),
        ("requirements.txt", "-r requirements.txt\nsix\n"),
        ("PKG-INFO", ":\n: :\nName\n"),
    ],
)
def test_malformed_files_are_survived(tmp_path: Path, name: str, content: str) -> None:
    """A file that cannot be read becomes a note, and the others are still read."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / name).write_text(content)
    (tmp_path / "tree" / "test-requirements.txt").write_text("mock\n")
    assert "mock" in [item["text"] for item in find(str(tmp_path / "tree"))["requirements"]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("setup.py", "setup(name='a', entry_points={'a': {'b': 'c'}}, install_requires=['six'])\n"),
        ("setup.cfg", "[metadata]\nname = a\nversion\n[options]\npython_requires\ninstall_requires = six\n"),
        ("pyproject.toml", "[project]\nname='a'\ndependencies=['six']\n[tool.hatch.envs.x]\ndependencies=5\n"),
        ("pyproject.toml", "[tool.poetry.dependencies]\nsix='*'\nsip={version='*',extras=5}\n"),
        ("pyproject.toml", "[tool.poetry.dependencies]\nsix='*'\n[tool.poetry.extras]\ntest=[{a=1}, 'six']\n"),
    ],
)
def test_a_value_of_the_wrong_kind_costs_itself_alone(tmp_path: Path, name: str, content: str) -> None:
    """What else the same file says is still read."""
    result = find(str(lay(tmp_path / "tree", {name: content})))
    assert "six" in [item["text"] for item in result["requirements"]]
    assert result["notes"] == []


def test_a_long_chain_of_extras_is_followed_to_its_end(tmp_path: Path) -> None:
    """However deep extras name each other, what they list is found."""
    links = "".join(f'e{n} = ["a[e{n + 1}]"]\n' for n in range(1200))
    text = f'[project]\nname = "a"\n[project.optional-dependencies]\ntest = ["a[e0]", "six"]\n{links}e1200 = ["mock"]\n'
    result = found(tmp_path, pyproject_dot_toml=text)
    assert [item["text"] for item in result["requirements"]] == ["mock", "six"]


def test_a_reader_that_fails_in_any_way_becomes_a_note(tmp_path: Path) -> None:
    """No error of one reader costs what the others find."""
    findings = _needs.Findings(str(tmp_path))

    def reader(_: _needs.Findings) -> None:
        raise AttributeError("x")

    guarded(findings, reader)
    assert findings.notes == ["reader: AttributeError: x"]


BLANKS = " " * 60_000


@pytest.mark.parametrize(
    "files",
    [
        {"requirements.txt": f"six{BLANKS}x\n"},
        {"PKG-INFO": f"Name: a\nRequires-Dist: six; {BLANKS}x\n"},
        {"PKG-INFO": f"Name: a\nRequires-Dist: six; extra == 'test' {BLANKS}x\n"},
        {"tox.ini": f"[testenv]\ndeps{BLANKS}x\n"},
        {
            "pyproject.toml": '[project]\nname = "a"\n[project.optional-dependencies]\ntest = ["six"]\n'
            + "".join(f'e{n} = ["mock"]\n' for n in range(6000)),
            "test-requirements.txt": ".[test]\n" * 600,
        },
    ],
    ids=["requirements", "marker", "extra", "ini", "extras"],
)
def test_time_grows_with_the_size_of_the_files(tmp_path: Path, files: dict[str, str]) -> None:
    """Runs of blanks and an extra named on every line are read once over."""
    tree = lay(tmp_path / "tree", files)
    start = time.process_time()
    find(str(tree))
    assert time.process_time() - start < 2


def test_hashes_and_line_ends_of_pinned_lists_are_left_out(tmp_path: Path) -> None:
    """A requirement with more hashes than a requirement is long is still one."""
    hashes = "".join(f" \\\n    --hash=sha256:{n:064d}" for n in range(20))
    result = found(tmp_path, requirements_dot_txt=f"six==1.0{hashes}\nmock \\")
    assert [item["text"] for item in result["requirements"] if not item["needed"]] == ["six==1.0", "mock"]


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(["pyproject.toml", "setup.cfg", "setup.py", "PKG-INFO", "tox.ini", "tox.toml", "noxfile.py"]),
        st.one_of(
            st.text(max_size=200),
            st.sampled_from(
                [
                    "[project]\nname='a'\ndependencies=[1]",
                    "[tool.poetry.group.dev]\ndependencies=1",
                    "[tool.tox]\nlegacy_tox_ini=1\nenv_run_base=1",
                    "env=1",
                    "[env.py]\ndeps=1\nextras=[[]]",
                    "[testenv]\ndeps={[testenv]deps}\nextras={[x]y},\n[testenv:{]\ndeps",
                    "X=X+[X]\ndef tests(s):\n    s.install(X, *X, **X)",
                ]
            ),
        ),
    )
)
def test_any_files_give_a_result(tmp_path_factory: pytest.TempPathFactory, files: dict[str, str]) -> None:
    """Whatever the files hold, the result has its shape and its bounds."""
    tree = tmp_path_factory.mktemp("tree")
    for name, text in files.items():
        (tree / name).write_bytes(text.encode("utf-8", "replace"))
    result = find(str(tree))
    assert set(result) == {"project", "python", "requirements", "sources", "notes"}
    assert all(len(item["text"]) <= 500 and item["text"].isprintable() for item in result["requirements"])


def test_the_body_runs_alone(body: Callable[..., Any]) -> None:
    """Started as the keeper starts it, it reads `base` and leaves its result."""
    ran = body("find_requirements_t0", base={"requirements.txt": "six\n"})
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.result["requirements"] == [{"text": "six", "source": "requirements.txt", "needed": True}]
