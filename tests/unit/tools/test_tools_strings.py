"""The generator strings: typos in what people read, and nothing that code reads."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tool_scans import scanned

from greenroom.domain import documents
from greenroom.domain.outcomes import DiffClass
from greenroom.tools import _strings

pytestmark = pytest.mark.slow

RAISING = 'def f(x):\n    raise ValueError("could not recieve the mail")\n'


def scan(body: Any, tree: dict[str, Any]) -> Any:
    return scanned(body, "strings", tree)


def added(result: Any) -> list[str]:
    return [
        line[1:]
        for found in result["proposals"]
        for line in found["patch"].splitlines()
        if line.startswith("+") and not line.startswith("+++")
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('raise E("could not recieve it")', 'raise E("could not receive it")'),
        ('raise E("Recieve it, please do") from None', 'raise E("Receive it, please do") from None'),
        ("log.warning('cannot recieve %s of %d', a, b)", "log.warning('cannot receive %s of %d', a, b)"),
        ('raise E("cannot recieve %(what)s now" % d)', 'raise E("cannot receive %(what)s now" % d)'),
        ('raise E("cannot recieve {} of it".format(a))', 'raise E("cannot receive {} of it".format(a))'),
        ('raise E(f"cannot recieve {a!r} of it")', 'raise E(f"cannot receive {a!r} of it")'),
        ('raise E("we cannot " "recieve the mail")', 'raise E("we cannot " "receive the mail")'),
        (
            'p.add_argument("-x", help="what to recieve from it")',
            'p.add_argument("-x", help="what to receive from it")',
        ),
        ('assert x, "you should recieve it"', 'assert x, "you should receive it"'),
        ('print("é: could not recieve it")', 'print("é: could not receive it")'),
        ('print("a of it" if x else "could not recieve it")', 'print("a of it" if x else "could not receive it")'),
        ("help = 'could not recieve it'", "help = 'could not receive it'"),
    ],
)
def test_what_people_read_is_mended(body: Any, before: str, after: str) -> None:
    """Messages of exceptions, logs and prints, and help texts, through formatting and joining."""
    assert added(scan(body, {"a.py": before + "\n"})) == [after]


@pytest.mark.parametrize(
    "line",
    [
        'x = "could not recieve it"',
        'if x == "could not recieve it": pass',
        'd["could not recieve it"] = 1',
        'd = {"could not recieve it": 1}',
        're.match("could not recieve it", x)',
        'getattr(x, "could not recieve it")',
        'print(d["could not recieve it"])',
        'raise E(d.get("could not recieve it"))',
        'raise E(_("could not recieve it"))',
        'print("recieve")',
        'print("recieve it")',
        'print("use --recieve for that mail")',
        'print("see http://x/recieve for the mail")',
        'print("in etc/recieve there is mail")',
        'print("the `recieve` of that mail")',
        "print(\"the 'recieve' of that mail\")",
        'print("the %(recieve)s of that mail" % d)',
        'print("the {recieve} of that mail".format(**d))',
        'print(f"the {recieve} of that mail")',
        'print("the x.recieve of that mail")',
        'print("the \\nrecieve of that mail")',
        'print("the mail is in C:\\\\recieve")',
        'print("the recieve_mail of that mail")',
        'print("thanks to the adress of it")',
        'print(b"could not recieve it")',
        'print("could not recieve it"); recieve = 1',
        'print("could not recieve it"); x = {"recieve": 1}',
        'print("could not recieve it" in x)',
        '__all__ = ["could not recieve it"]',
    ],
)
def test_what_code_may_read_stays(body: Any, line: str) -> None:
    """Keys, patterns, names, comparisons, paths, fields, quotations, and words that the code knows stay."""
    assert scan(body, {"a.py": line + "\n"})["proposals"] == []


@pytest.mark.parametrize(
    "other",
    [
        {"tests/test_a.py": 'def test_a():\n    with pytest.raises(E, match="not recieve"):\n        f(1)\n'},
        {"tests/expected.txt": "could not recieve the mail\n"},
        {"b.py": 'if "recieve" in str(error):\n    pass\n'},
        {"locale/de/messages.po": 'msgid "could not recieve the mail"\n'},
        {"data.json": '{"recieve": 1}\n'},
    ],
)
def test_a_word_that_something_else_waits_for_stays(body: Any, other: dict[str, str]) -> None:
    """A test, a catalogue or other code may compare with the message as it is."""
    found = scan(body, {"a.py": RAISING, **other})
    assert found["proposals"] == []
    assert found["counts"]["dropped"] == {"word-used-elsewhere": 1}


def test_the_same_message_in_two_files_is_mended_in_both(body: Any) -> None:
    """One file a change; comments and docs with the word hinder nothing."""
    found = scan(body, {"a.py": RAISING, "b.py": "# to recieve the mail\n" + RAISING, "README.md": "recieve\n"})
    assert [item["files"] for item in found["proposals"]] == [["a.py"], ["b.py"]]
    assert "# to receive" not in "\n".join(added(found))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("setup.cfg", "[codespell]\nignore-words-list = recieve\n"),
        ("pyproject.toml", '[tool.codespell]\nskip = "a.py"\n'),
        (".gitignore", "a.py\n"),
    ],
)
def test_the_repository_s_own_choices_hold(body: Any, name: str, text: str) -> None:
    """What codespell is told to leave, and what git ignores, stays."""
    assert scan(body, {"a.py": RAISING, name: text})["proposals"] == []


def test_comments_and_docstrings_are_another_proposer_s(body: Any) -> None:
    """codespell and strings never propose the same line."""
    code = '"""To recieve the mail."""\n\n# to recieve the mail\n' + RAISING
    assert added(scan(body, {"a.py": code})) == ['    raise ValueError("could not receive the mail")']
    spelled = body("codegen_t0", {"generator": "codespell"}, base={"a.py": code})
    assert all(b"ValueError" not in patch or b"+    raise" not in patch for patch in spelled.artifacts.values())


@pytest.mark.parametrize(("path", "line_class"), [("a.py", "logic"), ("tests/a.py", "tests")])
def test_every_change_of_a_string_is_for_a_person(body: Any, path: str, line_class: str) -> None:
    """Made again or not, a changed string is never a comment, docs or lint."""
    base: dict[str, str | bytes] = {path: RAISING}
    green: dict[str, str | bytes] = {path: RAISING.replace("recieve", "receive")}
    ran = body("classify_diff_t0", {"reproduce": "strings"}, base=base, green=green)
    found = documents.decode(DiffClass, json.dumps(ran.result).encode())
    assert [file.line_class for file in found.files] == [line_class]
    assert found.reproduced_by == ("strings" if path == "a.py" else None)


ODD: dict[str, bytes] = {
    "nul.py": b"\0" + RAISING.encode(),
    "bom.py": b"\xef\xbb\xbf" + RAISING.encode(),
    "crlf.py": RAISING.replace("\n", "\r\n").encode(),
    "latin.py": b"# -*- coding: latin-1 -*-\n# \xe9\n" + RAISING.encode(),
    "line.py": b"x = [" + b'"a b c",' * 20_000 + b"]\n" + RAISING.encode(),
    "deep.py": b"print(" + b"(" * 3_000 + b'"could not recieve it"' + b")" * 3_001 + b"\n",
    "broken.py": b'raise E("could not recieve it"\n',
    "long.py": b'print("""' + b"could not recieve the mail\n" * 5_000 + b'""")\n',
}


@pytest.mark.parametrize("name", sorted(ODD))
def test_odd_files_do_no_harm(body: Any, name: str) -> None:
    """Whatever a file holds, the scan ends well and other files get their due; line ends are kept."""
    other = 'print("we occured to have it")\n'
    found = scan(body, {name: ODD[name], "a.py": other})
    assert 'print("we occurred to have it")' in added(found)
    mended = [item for item in found["proposals"] if item["files"] == [name]]
    assert bool(mended) is (name in ("crlf.py", "long.py"))
    if name == "crlf.py":
        assert "+    raise" in mended[0]["patch"]
        assert 'mail")\r\n' in mended[0]["patch"]


@given(
    st.lists(
        st.sampled_from(
            ["raise E(", "print(", '"recieve the mail"', "f'{a} b c'", ")", "%", "+", "\n", "é", "{", "}", "x"]
        )
    )
)
def test_only_the_texts_of_spoken_strings_may_differ(pieces: list[str]) -> None:
    """Whatever code says, spans lie in order inside it, and a change of any other node is seen."""
    text = "".join(pieces)
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    spoken = list(_strings._spoken(tree))
    at = 0
    for start, end in _strings._spans(text, spoken):
        assert at <= start <= end <= len(text)
        at = end
    assert _strings._only(spoken, ast.parse(text), ast.parse(text))
    assert not _strings._only([], ast.parse(text), ast.parse(text + "\nchanged\n"))
