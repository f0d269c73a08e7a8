"""Whether a tool may run here at all: its manifest, its body and its arguments, before any wall is built."""

from __future__ import annotations

import re
from collections.abc import Mapping

from greenroom.domain.arguments import unfit
from greenroom.domain.digest import Digest, hex_of
from greenroom.domain.errors import Tampered
from greenroom.domain.plan import Arg, ToolManifest
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import Tier, Trust

_TOOL = re.compile(r"[a-z][a-z0-9_]{0,62}")


def refuse_tool(manifest: ToolManifest, layers: Mapping[str, bool]) -> Refused | None:
    """Tier 3, network access, spending and missing layers are refused; so is a name that could be no file's."""
    if _TOOL.fullmatch(manifest.name) is None:
        return Refused(rule="bad-tool-name", where=manifest.name[:80], remedy="rename the tool: letters, digits and _")
    if manifest.tier >= Tier.DANGEROUS:
        return Refused(rule="tier-three", where=manifest.name, remedy="tools of tier 3 need a tripcode; none is given")
    if manifest.network or manifest.egress:
        return Refused(
            rule="network-not-allowed", where=manifest.name, remedy="use a tool that needs no network in its sandbox"
        )
    if manifest.caps.spend_micro > 0:
        remedy = "use a tool whose cap on spending is 0: nothing here reserves what a run may cost"
        return Refused(rule="spend-not-reserved", where=manifest.name, remedy=remedy)
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
    """Refused `bad-argument` unless every argument keeps the manifest's whole rule for it: type, size, words.

    Whose words they are is not known here: policy and guard ask for that.
    """
    odd = next((name for name in args if _TOOL.fullmatch(name) is None), None)
    if odd is not None:
        return _bad_arg(f"{manifest.name}: {odd[:80]!r} is no argument's name", "mend the plan")
    labelled = {name: Arg(value=value, trust=Trust.PERSON) for name, value in args.items()}
    for problem in unfit(manifest.name, labelled, manifest, None):
        return _bad_arg(f"{problem.where}: {problem.rule}", problem.remedy)
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


def _bad_arg(where: str, remedy: str) -> Refused:
    return Refused(rule="bad-argument", where=where[:300], remedy=remedy[:300])
