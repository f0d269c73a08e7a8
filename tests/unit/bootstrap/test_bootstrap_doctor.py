"""Doctor says that the sandbox cannot be had when a trial cell proves no wall."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from greenroom.bootstrap import doctor
from greenroom.bootstrap.local import LocalServices
from greenroom.config import Box
from greenroom.domain.vocabulary import LAYERS
from greenroom.sandbox import available


def _examine(path: Path, layers: Mapping[str, bool], monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Any]:
    box = Box(path)
    box.identity.write_text("{}")
    monkeypatch.setattr(doctor, "_version", lambda _: "1")
    monkeypatch.setattr(doctor, "_box_facts", lambda _: {})
    monkeypatch.setattr(doctor, "_separation", lambda _: "users")
    return doctor.examine(box, lambda: None, lambda: layers, lambda: True, lambda: (), lambda: {"guard key": "sealed"})


def test_no_wall_at_all_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no layer is enforced, no tool can run: not ok, with what and what to do."""
    found = _examine(tmp_path, dict.fromkeys(LAYERS, False), monkeypatch)
    assert found["ok"] is False
    assert [problem["message"] for problem in found["problems"]] == ["a trial cell did not run: no tool can"]
    assert "ulimit" in found["problems"][0]["remedy"]


def test_where_no_cell_can_be_made_nothing_is_started_to_find_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The quick look says which setting forbids it and what helps; no process is asked."""
    box, asked = Box(tmp_path), list[str]()
    box.identity.write_text("{}")
    monkeypatch.setattr(doctor, "_version", lambda _: "1")
    monkeypatch.setattr(doctor, "_box_facts", lambda _: {})
    lacking = available.Lack(setting="user.max_user_namespaces=0", said="no", remedy="allow them")
    monkeypatch.setattr(available, "lack", lambda user: lacking)
    services = LocalServices(box)
    monkeypatch.setattr(services, "_mine", lambda: box)
    monkeypatch.setattr(services, "desk", asked.append)
    found = services.doctor()
    assert (found["ok"], asked) == (False, [])
    assert found["problems"][-1]["remedy"] == "allow them"


def test_each_layer_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every layer is a fact, enforced or not; one that is missing is the constitution's to judge."""
    found = _examine(tmp_path, {**dict.fromkeys(LAYERS, True), "landlock": False}, monkeypatch)
    assert (found["ok"], found["problems"]) == (True, [])
    told = {name: found["facts"][f"layer {name}"] for name in LAYERS}
    assert told == {**dict.fromkeys(LAYERS, "enforced"), "landlock": "not enforced"}
