"""The generator data: files that do not parse are reported with their place; nothing is proposed, nothing crashes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tool_scans import scanned

from greenroom.tools import _data

pytestmark = pytest.mark.slow

BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(24)
)


def scan(body: Any, tree: dict[str, Any] | Path) -> Any:
    result = scanned(body, "data", tree)
    assert result["proposals"] == []
    return result


@pytest.mark.parametrize(
    ("path", "text", "rule", "line", "column"),
    [
        ("a.json", '{"a": 1,\n "b" 2}\n', "json:syntax", 2, 6),
        ("a.json", '{"a": [1, 2,]}\n', "json:syntax", 1, 13),
        ("pkg/a.toml", "a = 1\nb = \n", "toml:syntax", 2, 5),
        ("a.toml", "a = 1\na = 2\n", "toml:syntax", 2, 6),
        ("a.toml", 'a = "open', "toml:syntax", 1, 0),
        ("a.yml", "a: 1\n b: 2\n", "yaml:syntax", 2, 3),
        ("a.yaml", "a: [1, 2\n", "yaml:syntax", 2, 1),
        (".github/workflows/ci.yml", "on: push\n\tjobs: 1\n", "yaml:syntax", 2, 1),
        ("a.yaml", "a: *b\n\x07", "yaml:syntax", 2, 0),
        (".github/workflows/ci.yml", "on: push\nif: ${{ x }}\n\tjobs: 1\n", "yaml:syntax", 3, 1),
        (".github/workflows/ci.yml", "on: push\nrun: f {{ x }}\n\tjobs: 1\n", "yaml:syntax", 3, 1),
        ("deploy.yml", "on: ${{ x }}\nb: '{{ y }}'\n\tjobs: 1\n", "yaml:syntax", 3, 1),
        ("a.json", '{"a": "{{ b }}",}\n', "json:syntax", 1, 17),
        ("broken.json", "{", "json:syntax", 1, 2),
        ("web/invalidate_cache.json", "{", "json:syntax", 1, 2),
        ("docs/invalidate.json", "{", "json:syntax", 1, 2),
        ("a.json", '{"a": 1e400,\n "b": NaN}', "json:syntax", 2, 7),
        ("a.json", '{"NaN": [-Infinity]}', "json:syntax", 1, 10),
        ("a.json", '{"a": {"b": 1},\n "b": ":", "\\u0061": 2}', "json:duplicate-key", 2, 12),
        ("a.json", '{"a": 1, "a": NaN}', "json:syntax", 1, 15),
        ("a.yaml", "a: 1\nb:\n  - {a: 1, c: a}\na: 2\n", "yaml:duplicate-key", 4, 1),
        ("a.yaml", "- a: {b: 1, b: 2}\n", "yaml:duplicate-key", 1, 13),
    ],
)
def test_what_does_not_parse_is_reported_with_its_place(
    body: Any, path: str, text: str, rule: str, line: int, column: int
) -> None:
    """Rule, file, line and column from 1, and the parser's words."""
    (report,) = scan(body, {path: text})["reports"]
    assert (report["rule"], report["path"], report["line"], report["column"]) == (rule, path, line, column)
    assert report["message"]


@pytest.mark.parametrize(
    ("path", "text", "rule"),
    [
        ("tests/data/a.json", "{", "tests"),
        ("fixtures/a.yaml", "[", "tests"),
        ("docs/invalid-example.toml", "=", "wrong-on-purpose"),
        ("examples/broken/a.json", "{", "wrong-on-purpose"),
        (".vscode/settings.json", "{", "json-with-comments"),
        ("web/tsconfig.build.json", "{", "json-with-comments"),
        ("node_modules/a/package.json", "{", "vendored"),
        ("package-lock.json", "{", "generated"),
        ("poetry.lock", "=", ""),
        ("a.json", b"\xff\xfe{\0", "not-utf-8"),
        ("a.json", b'{"a": "\xe9"', "not-utf-8"),
        ("a.yaml", b"a: \0", "not-utf-8"),
    ],
)
def test_what_is_no_finding_is_counted_by_rule(body: Any, path: str, text: str | bytes, rule: str) -> None:
    """Files of tests, formats with comments, other people's files and other encodings are left out."""
    found = scan(body, {path: text})
    assert found["reports"] == []
    assert found["counts"]["ignored"] == ({rule: 1} if rule else {})


@pytest.mark.parametrize(
    ("path", "text", "why"),
    [
        ("a.json", "{{ name }}", "template"),
        ("a.yaml", "{% if x %}\na: [\n", "template"),
        ("a.yaml", "a: '{{ x }}'\n{{ y }}: [\n", "template"),
        ("a.yaml", "a: ${{ cookiecutter.x }}\n\tb\n", "template"),
        ("a.json", '// a comment\n{"a": 1}\n', "json-with-comments"),
        ("a.json", "[" * 100_000, "nested-too-deep"),
        ("a.toml", "a = " + "[" * 50_000, "nested-too-deep"),
        ("a.yaml", "[" * 5_000, "nested-too-deep"),
        ("a.yaml", "a: " + "[" * 300 + "]" * 300, "nested-too-deep"),
    ],
)
def test_what_cannot_be_judged_is_dropped_with_the_reason(body: Any, path: str, text: str, why: str) -> None:
    """Templates, and nesting that no parser here follows, are neither reported nor a crash."""
    found = scan(body, {path: text})
    assert (found["reports"], found["counts"]["dropped"]) == ([], {why: 1})


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.json", b'\xef\xbb\xbf{"a": 1}\r\n'),
        ("a.json", b'{"a": ' + b"1" * 100_000 + b"}"),
        ("a.json", b'{"a": 1e400, "b": "NaN", "c": {"a": [{"a": 1}, {"a": 2}]}}'),
        ("a.yaml", b"1: a\n'1': b\n<<: *x\n<<: *y\n---\n1: a\n"),
        ("a.yaml", b"? {a: 1}\n: b\n? {a: 1}\n: c\na: {a: a}\n"),
        ("a.json", b""),
        ("a.json", b'["' + b"x" * 900_000 + b'"]'),
        ("a.toml", b"a = 1\r\nb = 2026-01-01\r\n"),
        ("a.toml", b"a = 1.5\nb = inf\n"),
        ("a.yaml", b"a: !Ref x\nb: !!python/object/apply:os.system ['exit 1']\n--- \nc: 1\n"),
        ("a.yaml", BOMB.encode()),
        ("a.yaml", b"\xef\xbb\xbfa: 1\r\n"),
        ("a.yaml", "a: \U0001f600 \u00e9\n".encode()),
        ("a.yaml", b"x: [" + b"1, " * 200_000 + b"]\n"),
    ],
)
def test_what_parses_is_no_finding(body: Any, path: str, text: bytes) -> None:
    """Marks, line ends, long numbers, tags that nobody resolves and bombs of aliases are all syntax."""
    found = scan(body, {path: text})
    assert (found["reports"], found["counts"]["findings"], found["counts"]["scanned"]) == ([], 0, 1)


def test_reports_are_bounded_and_printable(body: Any) -> None:
    """At most two hundred reports of at most three hundred characters, whatever the files hold; the rest counted."""
    tree = {f"{i:03d}.json": '{"a"' + "\x1b[2J" * 100 for i in range(230)}
    found = scan(body, tree)
    assert (len(found["reports"]), found["counts"]["dropped"]) == (200, {"above-the-bound": 30})
    assert all(len(item["message"]) <= 300 and item["message"].isprintable() for item in found["reports"])


def test_links_are_not_followed(body: Any, tmp_path: Path) -> None:
    """A link says nothing about what it points to."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tmp_path / "outside.json").write_text("{")
    (tree / "a.json").symlink_to(tmp_path / "outside.json")
    (tree / "dir.json").mkdir()
    (tree / "b.yaml").symlink_to("nowhere")
    assert scan(body, tree)["counts"]["ignored"] == {"link": 2}


@given(st.text(max_size=200), st.sampled_from([_data._json, _data._toml]))
def test_readers_take_any_text(text: str, read: Any) -> None:
    """A reader answers with a fault or none, whatever it reads, and places lie inside the text."""
    fault = read(text)
    assert fault is None or (0 <= fault.line <= text.count("\n") + text.count("\r") + 2 and fault.column >= 0)


@pytest.mark.parametrize("unit", ['"', "'", '\\"', "${{", "{{ ", '"a": '])
def test_marks_of_templates_are_looked_for_in_time(unit: str) -> None:
    """A megabyte of quotes and of what begins an expression is read line by line, once."""
    text = unit * (1_000_000 // len(unit))
    assert _data._is_template("a.yaml", text) in (True, False)
