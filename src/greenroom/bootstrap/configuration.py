"""The box's own settings file, `config.toml`: read and written by the person's command, and by no process of the box.

The keeper reads the `index` settings in it. The executor gets what it needs with each call, and never the file.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from greenroom.config import Box
from greenroom.domain.errors import Unusable
from greenroom.domain.settings import MAX_FILE_BYTES, Value, Values, checked, nearest, require_key, shown, value_of
from greenroom.domain.toml_settings import plain_of, read, with_key, without_key

HEAD = (
    "# Settings of this box. A repository's greenroom.toml may only narrow them; docs/configuration.md has every key.\n"
)


MAX_VALUE = 32 * 1024
PIP = "environment (pip)"
_USUAL: Mapping[str, Value] = {"paths.allow": ("**",), "commit.author": "Greenroom <greenroom@localhost>"}


def load(box: Box) -> Values:
    """The settings of the box's file; none where there is no file.

    Raises Unusable as `domain.settings.checked`, and where the file is no text of bounded size.
    """
    text = _text(box.settings)
    return {} if text is None else checked(read(text), str(box.settings), repository=False)


def default(key: str, environment: Mapping[str, str]) -> tuple[Value | None, str]:
    """What holds for a key that no file of Greenroom sets, and where it is from."""
    if key.startswith("index."):
        return _index(key, environment)
    if key == "proposers":
        from greenroom.agents.proposers import loader

        return tuple(loader.by_default()), "default"
    return _USUAL.get(key), "default"


def _index(key: str, environment: Mapping[str, str]) -> tuple[Value | None, str]:
    """What pip's own settings and the environment say of an index, without credentials."""
    from greenroom.brokers import settings, web

    found = settings.read_settings(environment)
    lower = {name.lower(): value for name, value in environment.items()}
    if key == "index.url":
        said = [*map(web.shown, _words(found, "extra-index-url")), web.shown(found.get("index-url", web.DEFAULT_INDEX))]
        usual = not {"index-url", "extra-index-url", "find-links", "no-index"} & set(found)
        places = tuple(dict.fromkeys([*_words(found, "find-links"), *said]))
        return places if len(places) > 1 else places[0], "default" if usual else PIP
    if key == "index.certificate":
        return web.certificates(found, lower), PIP if found.get("cert") else "environment"
    if key == "index.proxy":
        named = found.get("proxy") or lower.get("https_proxy") or lower.get("all_proxy")
        return web.shown(named) if named else None, PIP if found.get("proxy") else "environment"
    return None, "default"


def _words(found: Mapping[str, str], name: str) -> list[str]:
    return found.get(name, "").split()


def index_of(own: Values) -> str:
    """The part of the settings that says where packages come from, as one text; empty where there is none."""
    return "; ".join(f"{key} = {shown(value)}" for key, value in sorted(own.items()) if key.startswith("index."))


def variables(box: Box, environment: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Those of the named variables that the box's file allows tests to have, as this process has them."""
    allowed = load(box).get("environment", ()) if names else ()
    return {
        name: environment[name]
        for name in names
        if isinstance(allowed, tuple) and name in allowed and len(environment.get(name, "")) in range(1, MAX_VALUE)
    }


def change(box: Box, key: str, words: str) -> Value:
    """Set one key to what `words` say, all else as it was; the value as it stands in the file afterwards.

    Raises Unusable as `load`, and `unknown-proposer`.
    """
    value = value_of(key, plain_of(key, words), "the command line")
    if key == "proposers" and isinstance(value, tuple):
        _require_proposers(value)
    text = _text(box.settings)
    _write(box, with_key(HEAD if text is None else text, key, value))
    return value


def forget(box: Box, key: str) -> bool:
    """Take one key out of the file, all else as it was; False where it was not set. Unusable as `load`."""
    require_key(key)
    text = _text(box.settings)
    if text is None or key not in load(box):
        return False
    _write(box, without_key(text, key))
    return True


def _require_proposers(names: Sequence[str]) -> None:
    from greenroom.agents.proposers import loader

    known = sorted(loader.available())
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        near = nearest(unknown, known)
        remedy = f"did you mean {near}?" if near else f"one of: {', '.join(known)}"
        raise Unusable("unknown-proposer", f"no proposer {unknown[:80]!r}", remedy=remedy)


def _write(box: Box, after: str) -> None:
    part = box.settings.with_name(f".{box.settings.name}.{secrets.token_hex(4)}")
    with open(
        os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w", encoding="utf-8"
    ) as file:
        file.write(after)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, box.settings)


def _text(path: Path) -> str | None:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            return file.read(MAX_FILE_BYTES + 1).decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        remedy = "make it a plain UTF-8 file, or take it away"
        raise Unusable("bad-settings", f"the file cannot be read: {error}", where=str(path), remedy=remedy) from None
