"""Whether a tool may run here at all: its manifest, its body and its arguments, before any wall is built."""

from __future__ import annotations

import re
from collections.abc import Mapping

from greenroom.domain.digest import Digest, hex_of, parse_digest
from greenroom.domain.errors import Tampered, Unusable
from greenroom.domain.plan import ArgRule, ToolManifest
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import Tier

_TOOL = re.compile(r"[a-z][a-z0-9_]{0,62}")


def refuse_tool(manifest: ToolManifest, layers: Mapping[str, bool]) -> Refused | None:
    """Tier 3, network access and missing layers are refused; so is a name that could be no file's."""
    if _TOOL.fullmatch(manifest.name) is None:
        return Refused(rule="bad-tool-name", where=manifest.name[:80], remedy="rename the tool: letters, digits and _")
    if manifest.tier >= Tier.DANGEROUS:
        return Refused(rule="tier-three", where=manifest.name, remedy="tools of tier 3 need a tripcode; none is given")
    if manifest.network or manifest.egress:
        return Refused(
            rule="network-not-allowed", where=manifest.name, remedy="use a tool that needs no network in its sandbox"
        )
    return missing_layer(manifest, layers)


def missing_layer(manifest: ToolManifest, layers: Mapping[str, bool]) -> Refused | None:
    """Refused `layer-missing` when a layer that the tool needs is not enforced."""
    missing = sorted(layer for layer in manifest.isolation if not layers.get(layer, False))
    if not missing:
        return None
    return Refused(
        rule="layer-missing",
        where=f"{manifest.name}: {', '.join(missing)}",
        remedy="`greenroom doctor` says what this machine lacks and how to get it",
    )


def refuse_args(manifest: ToolManifest, args: Mapping[str, str | int]) -> Refused | None:
    """Arguments of the manifest's names, types and sizes only. What they may say is the policy's matter."""
    for name, value in args.items():
        rule = manifest.args.get(name)
        if rule is None or _TOOL.fullmatch(name) is None:
            return _bad_arg(manifest, name, "the tool takes no such argument")
        if (why := _wrong(rule, value)) is not None:
            return _bad_arg(manifest, name, why)
    for name, rule in manifest.args.items():
        if rule.required and name not in args:
            return _bad_arg(manifest, name, "the tool needs this argument")
    return None


def check_body(manifest: ToolManifest, body: bytes, digest: Digest) -> None:
    """Raise Tampered `wrong-body` unless `body` is what the signed manifest names; `digest` is of the bytes."""
    if hex_of(manifest.body) != hex_of(digest):
        raise Tampered(
            "wrong-body",
            f"the body of {manifest.name} ({len(body)} bytes) is not the one that the policy names",
            where=manifest.body,
            remedy="install Greenroom again, or sign the policy that goes with this version",
        )


def _wrong(rule: ArgRule, value: str | int) -> str | None:
    if rule.type == "int":
        return None if isinstance(value, int) and not isinstance(value, bool) else "a number is expected"
    if not isinstance(value, str):
        return "text is expected"
    if len(value.encode("utf-8", "surrogatepass")) > rule.max_bytes:
        return f"at most {rule.max_bytes} bytes"
    if rule.type == "digest":
        try:
            parse_digest(value)
        except Unusable:
            return "a digest is expected"
    return None


def _bad_arg(manifest: ToolManifest, name: str, why: str) -> Refused:
    return Refused(rule="bad-argument", where=f"{manifest.name}: {name[:80]}: {why}", remedy="mend the plan")
