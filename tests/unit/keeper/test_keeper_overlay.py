from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain import testfiles
from greenroom.domain.digest import digest_of
from greenroom.domain.trees import Entry, File, Link, Manifest, manifest_of
from greenroom.keeper.overlay import MAX_PROTECTED, overlaid, read_only, singly, unproven


def root_of(path: bytes) -> str | None:
    """By the one list."""
    return testfiles.root_of(path.decode())


def file(path: str, data: bytes = b"") -> File:
    """An entry."""
    return File(path=path.encode(), executable=False, size=len(data), blob=digest_of("blob", data))


def tree(*entries: Entry) -> Manifest:
    """A manifest."""
    return manifest_of(entries)


def paths(manifest: Manifest) -> list[str]:
    """The paths of a manifest."""
    return [entry.path.decode() for entry in manifest.entries]


def test_what_counts_as_a_test() -> None:
    """Directories and names of tests, conftest and the files that configure the runners."""
    expected = {
        "tests/a/b.txt": "tests",
        "src/pkg/test/x.py": "src/pkg/test",
        "pkg/testing": "pkg/testing",
        "conftest.py": "conftest.py",
        "src/conftest.py": "src/conftest.py",
        "a/test_x.py": "a/test_x.py",
        "a/x_test.py": "a/x_test.py",
        "pyproject.toml": "pyproject.toml",
        "setup.cfg": "setup.cfg",
        "tox.ini": "tox.ini",
        "pytest.ini": "pytest.ini",
    }
    assert {path: root_of(path.encode()) for path in expected} == expected
    assert [root_of(p) for p in (b"a.py", b"test_data.txt", b"contest.py", b"latest/x.py", b"setup.py")] == [None] * 5


def test_a_file_or_link_in_the_way_of_base_s_tests_gives_way() -> None:
    """Green cannot keep base's tests out by putting something else where they belong."""
    base = tree(file("tests/test_a.py", b"1"), file("pkg/tests/test_b.py", b"1"))
    green = tree(Link(path=b"tests", target=b"src"), file("pkg", b"a file"), file("src/a.py"))
    assert paths(overlaid(base, green)) == ["pkg/tests/test_b.py", "src/a.py", "tests/test_a.py"]


def test_green_s_files_below_a_file_of_base_s_tests_give_way() -> None:
    """A directory cannot stand where base has a test file."""
    assert paths(overlaid(tree(file("conftest.py")), tree(file("conftest.py/x"), file("a")))) == ["a", "conftest.py"]


def test_links_are_not_mounted_over() -> None:
    """A mount on a link would land where the link points."""
    found = tree(Link(path=b"tests", target=b"src"), Link(path=b"t/test/l", target=b"x"), file("test_a.py"))
    assert read_only(found) == (b"t/test", b"test_a.py")


_NAME = st.sampled_from(["a", "b", "tests", "test", "conftest.py", "test_a.py", "setup.cfg"])
_PATHS = st.lists(_NAME, min_size=1, max_size=4).map("/".join)


def _tree(names: list[str], data: bytes) -> Manifest:
    chosen: list[str] = []
    for name in names:
        if not any(name == c or name.startswith(c + "/") or c.startswith(name + "/") for c in chosen):
            chosen.append(name)
    return tree(*(file(name, data) for name in chosen))


@given(st.lists(_PATHS, max_size=8), st.lists(_PATHS, max_size=8))
def test_the_tests_of_an_overlay_are_exactly_base_s(base_paths: list[str], green_paths: list[str]) -> None:
    """Whatever two trees hold, the result is a tree, its tests are base's, and the rest comes from Green."""
    base, green = _tree(base_paths, b"base"), _tree(green_paths, b"green")
    found = overlaid(base, green)
    assert [e for e in found.entries if root_of(e.path)] == [e for e in base.entries if root_of(e.path)]
    assert {e for e in found.entries if not root_of(e.path)} <= set(green.entries)


SUITE = testfiles.SuiteFiles(
    tests=("specs/spec_a.py", "testa.py"), others=("plugin.py",), places=("specs",), patterns=("spec_*.py",)
)


def test_what_a_run_told_is_laid_over_and_the_rest_stays_green_s() -> None:
    """The files of base's tests come from base; Green's further files stay, whatever their names, and are named."""
    base = tree(file("specs/spec_a.py", b"1"), file("testa.py", b"1"), file("plugin.py", b"1"), file("a.py", b"1"))
    green = tree(
        file("specs/spec_a.py", b"2"), file("testa.py", b"2"), file("plugin.py", b"2"), file("a.py", b"2"),
        file("specs/spec_new.py", b"2"), file("testbed.py", b"2"),
    )  # fmt: skip
    found = {entry.path.decode(): entry for entry in overlaid(base, green, SUITE).entries}
    assert [p for p, e in found.items() if isinstance(e, File) and e.blob == digest_of("blob", b"1")] == [
        "specs/spec_a.py",
        "testa.py",
    ]
    assert set(found) == {"specs/spec_a.py", "testa.py", "plugin.py", "a.py", "testbed.py", "specs/spec_new.py"}
    assert unproven(base, green, SUITE) == ("plugin.py", "specs/spec_new.py")


def test_what_changed_and_base_s_tests_rest_on_is_named() -> None:
    """Changed, added or deleted: what serves the tests without being laid over, and nothing that stayed as it was."""
    base = tree(file("plugin.py", b"1"), file("specs/old.py", b"1"), file("specs/same.py", b"1"), file("a.py", b"1"))
    green = tree(file("plugin.py", b"2"), file("specs/new.py", b"2"), file("specs/same.py", b"1"), file("a.py", b"2"))
    assert unproven(base, green, SUITE) == ("plugin.py", "specs/new.py", "specs/old.py")
    assert unproven(base, base, SUITE) == ()
    assert unproven(base, green, testfiles.SuiteFiles()) == ()


def test_what_a_link_of_the_tests_leads_to_is_named() -> None:
    """A link among tests comes from base; the file behind it is Green's."""
    link = Link(path=b"tests/cases", target=b"../src/cases")
    base, green = (tree(link, file("src/cases/one.json", b), file("src/a.py", b)) for b in (b"1", b"2"))
    assert unproven(base, green, testfiles.SuiteFiles()) == ("src/cases/one.json",)


def test_product_code_that_is_named_like_a_test_stays_green_s_and_is_named() -> None:
    """A command called `test` is not base's while Green is judged, and base's tests are no proof of a change of it."""
    names = ("core/commands/test.py", "core/tests.py", "core/Testing/api.py")
    base, green = (tree(*(file(name, b) for name in names)) for b in (b"1", b"2"))
    collected = testfiles.SuiteFiles(tests=("core/tests.py",))
    found = {entry.path.decode() for entry in overlaid(base, green, collected).entries if entry in green.entries}
    assert found == {"core/commands/test.py", "core/Testing/api.py"}
    assert unproven(base, green, collected) == ("core/Testing/api.py", "core/commands/test.py")


def test_files_beyond_names_are_read_only_one_by_one() -> None:
    """Never the directory that holds them: a test that writes beside itself passes on Green as on base."""
    few = tree(file("tests/a.py"), file("specs/spec_a.py"), file("a.py"))
    assert read_only(few) == (b"tests",)
    assert singly(few, few, SUITE) == (b"specs/spec_a.py",)
    links = tree(Link(path=b"specs/spec_a.py", target=b"../a.py"), file("a.py"))
    assert singly(links, links, SUITE) == ()


def test_of_many_files_beyond_names_those_that_changed_are_protected_and_the_rest_is_named() -> None:
    """The copy stays writable. What changed and is not protected could be written to by the code that it judges."""
    names = [f"app{number:02}/tests.py" for number in range(MAX_PROTECTED + 8)]
    suite = testfiles.SuiteFiles(tests=tuple(names))
    base = tree(*(file(name, b"1") for name in names))
    last = tree(*(file(name, b"2" if name == names[-1] else b"1") for name in names))
    assert read_only(base) == ()
    assert len(singly(base, last, suite)) == MAX_PROTECTED
    assert names[-1].encode() in singly(base, last, suite)
    assert unproven(base, last, suite) == ()
    every = tree(*(file(name, b"2") for name in names))
    assert unproven(base, every, suite) == tuple(names[MAX_PROTECTED:])
