"""What holds where no file of Greenroom sets a key."""

from __future__ import annotations

import pytest

from greenroom.bootstrap import configuration
from greenroom.brokers import settings
from greenroom.brokers.indexes import sources_of


def test_indexes_are_shown_in_the_order_that_decides_who_owns_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Directories, extra indexes as they are named, then the index: the order in which a name is looked for."""
    found = {
        "index-url": "https://main.example/simple",
        "extra-index-url": "https://z.example/simple\nhttps://a.example/simple",
        "find-links": "/srv/wheels",
    }
    monkeypatch.setattr(settings, "read_settings", lambda environment: found)
    value, source = configuration.default("index.url", {})
    assert source != "default"
    wanted = ("/srv/wheels", "https://z.example/simple", "https://a.example/simple", "https://main.example/simple")
    assert value == wanted
    assert [each.url.removeprefix("file://").rstrip("/") for each in sources_of(found, {}).ordered] == list(wanted)
