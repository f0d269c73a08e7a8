"""The built-in tools: what each may be given, may touch and may cost. The bodies run in a sandbox only."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType

from greenroom.domain import documents
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import Unusable
from greenroom.domain.plan import ArgRule, ArgType, Caps, ToolManifest
from greenroom.domain.vocabulary import Tier, Trust, Undo

_MIB = 1024 * 1024
_GIB = 1024 * _MIB
_WALLS = ("pid-namespace", "network-namespace", "seccomp", "no-new-privileges")
_BLOB = "(blob|text):[0-9a-f]{64}"
_NAME = "[A-Za-z0-9_][A-Za-z0-9_.\\-]*"

QUICK = Caps(
    cpu_s=60,
    cpu_millicores=2000,
    wall_s=60,
    memory_bytes=_GIB,
    disk_bytes=512 * _MIB,
    processes=64,
    output_bytes=8 * _MIB,
)
"""For tools that read or write a tree once."""

LONG = dataclasses.replace(QUICK, cpu_s=300, wall_s=300, memory_bytes=2 * _GIB, disk_bytes=2 * _GIB)
"""For tools that read a whole history or install packages."""

SUITE = dataclasses.replace(
    QUICK,
    cpu_s=1200,
    wall_s=600,
    memory_bytes=3 * _GIB,
    disk_bytes=2 * _GIB,
    processes=256,
    output_bytes=32 * _MIB,
)
"""For a repository's own test suite."""


def builtin_manifests(bodies: Mapping[str, Digest]) -> Mapping[str, ToolManifest]:
    """The manifest of each built-in tool, given the digests of their bodies by name.

    Raises Unusable `no-tool-body` for a tool whose body is not given, `unknown-tool` for a body without a manifest.
    """
    for name in sorted(set(BUILTIN) ^ set(bodies)):
        reference, what = ("no-tool-body", "has no body") if name in BUILTIN else ("unknown-tool", "has no manifest")
        raise Unusable(reference, f"the built-in tool {name[:80]!r} {what}", where=name[:80])
    return {name: BUILTIN[name](bodies[name]) for name in BUILTIN}


def manifest_digest(manifest: ToolManifest) -> Digest:
    """The digest that steps, receipts and the policy bundle name a manifest by (of its stored bytes)."""
    return digest_of("tool", documents.encode(manifest))


def _text(allow: str, *, deny: str = "", max_bytes: int = 256, required: bool = True) -> ArgRule:
    return _arg("text", allow, deny, Trust.UNTRUSTED, max_bytes, required)


def _blob(*, required: bool = True) -> ArgRule:
    return _arg("digest", _BLOB, "", Trust.UNTRUSTED, 80, required)


def _arg(
    kind: ArgType, allow: str, deny: str = "", trust: Trust = Trust.BOX, max_bytes: int = 256, required: bool = True
) -> ArgRule:
    return ArgRule(type=kind, allow=allow, deny=deny, min_trust=trust, max_bytes=max_bytes, required=required)


def _tool(
    name: str,
    body: Digest,
    tier: Tier,
    *,
    args: Mapping[str, ArgRule] | None = None,
    caps: Caps = QUICK,
    roots: tuple[str, ...] = ("out",),
    per_minute: int = 600,
    cooldown_s: int = 0,
    executes: bool = False,
    undo: Undo = Undo.EXACT,
    needs: tuple[str, ...] = (),
) -> ToolManifest:
    return ToolManifest(
        name=name,
        body=body,
        tier=tier,
        args=args or {},
        caps=caps,
        roots=roots,
        network=False,
        egress=(),
        per_minute=per_minute,
        cooldown_s=cooldown_s,
        isolation=_WALLS,
        executes=executes,
        undo=undo,
        needs=needs,
    )


def _codegen(body: Digest) -> ToolManifest:
    args = {
        "generator": _text("ruff|modernise|unused|codespell|strings|data|shell"),
        "rule": _text("[A-Z]{1,4}[0-9]{0,4}", required=False),
    }
    return _tool("codegen_t0", body, Tier.COMPUTE, args=args, caps=LONG)


def _classify_diff(body: Digest) -> ToolManifest:
    reproduce = _text(
        "((ruff|modernise|unused):[A-Z]{1,4}[0-9]{0,4}|codespell(:.{1,200})?|strings|shell)?", required=False
    )
    return _tool("classify_diff_t0", body, Tier.COMPUTE, args={"reproduce": reproduce}, caps=LONG)


def _scan_diff(body: Digest) -> ToolManifest:
    return _tool("scan_diff_t0", body, Tier.COMPUTE, caps=LONG)


def _compare_tests(body: Digest) -> ToolManifest:
    return _tool("compare_tests_t0", body, Tier.COMPUTE)


def _find_requirements(body: Digest) -> ToolManifest:
    return _tool("find_requirements_t0", body, Tier.COMPUTE)


def _read_settings(body: Digest) -> ToolManifest:
    return _tool("read_settings_t0", body, Tier.COMPUTE)


def _apply_patch(body: Digest) -> ToolManifest:
    return _tool("apply_patch_t1", body, Tier.WORKSPACE, args={"patch": _blob()}, roots=("work", "out"))


def _run_tests(body: Digest) -> ToolManifest:
    args = {
        "argv": _arg("argv", "[^\\n\\-][^\\n]*", trust=Trust.PERSON, max_bytes=4096, required=False),
        "environment": _text("[A-Za-z_][A-Za-z0-9_]*( [A-Za-z_][A-Za-z0-9_]*)*", max_bytes=2100, required=False),
        "only": _text("([^\\n\\-][^\\n]*\\n?)*", deny="\\.\\./", max_bytes=16_384, required=False),
        "limit_s": _arg("int", "1..590", required=False),
    }
    roots = ("work", "out")
    return _tool("run_tests_t1", body, Tier.WORKSPACE, args=args, caps=SUITE, roots=roots, executes=True)


def _import_git(body: Digest) -> ToolManifest:
    args = {"branch": _text("[^\\n]{1,250}", deny="\\.\\.|//|@\\{", max_bytes=250, required=False)}
    return _tool("import_git_t1", body, Tier.WORKSPACE, args=args, caps=LONG)


def _install_wheels(body: Digest) -> ToolManifest:
    return _tool("install_wheels_t1", body, Tier.WORKSPACE, caps=LONG)


def _config_update(body: Digest) -> ToolManifest:
    args = {
        "file": _arg("path", "system/[A-Za-z0-9_./\\-]+", "\\.\\."),
        "key": _arg("text", f"{_NAME}(\\.{_NAME})*"),
        "value": _arg("text", "[^\\n]*", max_bytes=4096),
    }
    return _tool("config_update_t2", body, Tier.SYSTEM, args=args, roots=("work",), per_minute=30, cooldown_s=1)


def _db_migrate(body: Digest) -> ToolManifest:
    path = "system/[A-Za-z0-9_./\\-]+\\.(db|sqlite|sqlite3)"
    args = {
        "database": _arg("path", path),
        "script": _arg("digest", _BLOB, max_bytes=80),
        "backup": _arg("path", "system/[A-Za-z0-9_./\\-]+"),
    }
    return _tool(
        "db_migrate_t2",
        body,
        Tier.SYSTEM,
        args=args,
        roots=("work",),
        per_minute=10,
        cooldown_s=5,
        undo=Undo.COMPENSATED,
        needs=("backup",),
    )


def _factory_reset(body: Digest) -> ToolManifest:
    return _tool(
        "factory_reset_t3", body, Tier.DANGEROUS, roots=("work",), per_minute=1, cooldown_s=60, undo=Undo.COMPENSATED
    )


BUILTIN: Mapping[str, Callable[[Digest], ToolManifest]] = MappingProxyType(
    {
        "codegen_t0": _codegen,
        "classify_diff_t0": _classify_diff,
        "scan_diff_t0": _scan_diff,
        "compare_tests_t0": _compare_tests,
        "find_requirements_t0": _find_requirements,
        "read_settings_t0": _read_settings,
        "apply_patch_t1": _apply_patch,
        "run_tests_t1": _run_tests,
        "import_git_t1": _import_git,
        "install_wheels_t1": _install_wheels,
        "config_update_t2": _config_update,
        "db_migrate_t2": _db_migrate,
        "factory_reset_t3": _factory_reset,
    }
)
"""The built-in tools by name; the name is also that of the body's file."""
