"""The policy bundle: one digest for the constitution and every tool manifest in force. Warrants name it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from greenroom.domain import documents
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import Unusable
from greenroom.domain.plan import ToolManifest
from greenroom.domain.ports import Store
from greenroom.policy import constitution as constitutions
from greenroom.policy.decide import CedarPolicy

MAX_TOOLS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyBundle:
    """`constitution` is the digest of the YAML text, `tools` the manifest digest of each tool by name."""

    schema: int
    constitution: Digest
    tools: Mapping[str, Digest]


def save_policy(store: Store, constitution: bytes, manifests: Mapping[str, ToolManifest]) -> Digest:
    """Put constitution, manifests and bundle into `store`; the bundle's digest. Idempotent.

    Raises Unusable when the constitution cannot be used or a manifest stands under another name.
    """
    constitutions.parse(constitution)
    for name, manifest in manifests.items():
        if name != manifest.name:
            raise Unusable("bad-bundle", f"the manifest of {manifest.name!r} stands under {name!r}", where=name)
    tools = {name: store.put("tool", documents.encode(manifest)) for name, manifest in sorted(manifests.items())}
    text = store.put("text", constitution)
    return store.put("policy", documents.encode(PolicyBundle(schema=1, constitution=text, tools=tools)))


def load_policy(store: Store, bundle: Digest) -> CedarPolicy:
    """The policy that the bundle names. Raises NotFound, Tampered or Unusable, and then nothing may happen."""
    data = store.get(bundle, documents.MAX_DOCUMENT_BYTES)
    if digest_of("policy", data) != bundle:
        raise Unusable("bad-bundle", "the policy bundle has another digest", where=bundle)
    found = documents.decode(PolicyBundle, data)
    if found.schema != 1 or len(found.tools) > MAX_TOOLS:
        raise Unusable("bad-bundle", f"a bundle has schema 1 and at most {MAX_TOOLS} tools", where=bundle)
    text = store.get(found.constitution, constitutions.MAX_CONSTITUTION_BYTES)
    manifests: dict[Digest, ToolManifest] = {}
    for name, digest in found.tools.items():
        manifest = documents.decode(ToolManifest, store.get(digest, documents.MAX_DOCUMENT_BYTES))
        if manifest.name != name:
            raise Unusable("bad-bundle", f"the manifest of {manifest.name!r} stands under {name!r}", where=bundle)
        manifests[digest] = manifest
    return CedarPolicy(bundle, constitutions.parse(text), manifests)
