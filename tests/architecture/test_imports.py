"""Who may import what, beyond the contracts between rooms; of each module only the import statements are parsed."""

from __future__ import annotations

import ast
import contextlib
import functools
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import greenroom

ROOT = Path(greenroom.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
STATEMENT = re.compile(r"^[ \t]*(?:from[ \t]+\S+[ \t]+import[ \t]*(?:\([^)]*\)|[^\n]*)|import[ \t]+[^\n]*)", re.M)
BY_NAME = re.compile(r"(?:__import__|import_module)\([ \t\n]*[\"']([\w.]+)[\"']")
DURABLE = "greenroom.pipeline.durable"
UNTRUSTED = ("greenroom.agents", "greenroom.tools", "greenroom.testing")
"""What thinks, what only sandboxes start, and what tests use; a door may import agents no more than a guard may."""
WIRES = ("greenroom.bootstrap.configuration", "greenroom.bootstrap.foresee", "greenroom.bootstrap.parts")
MODELS = frozenset(
    {"accelerate", "anthropic", "cohere", "ctransformers", "diffusers", "dspy", "groq", "haystack", "huggingface_hub"}
    | {"instructor", "jax", "keras", "langchain", "langchain_core", "langgraph", "litellm", "llama_cpp", "llama_index"}
    | {"mistralai", "mlx", "ollama", "onnxruntime", "openai", "outlines", "peft", "pydantic_ai", "safetensors"}
    | {"semantic_kernel", "sentence_transformers", "sklearn", "smolagents", "spacy", "tensorflow", "tiktoken"}
    | {"tokenizers", "torch", "transformers", "vertexai", "vllm"}
)


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> Iterator[str]:
    """Every module that a module imports, wherever in it: also by name, and those behind `from package import`."""
    package = module_of(path) if path.name == "__init__.py" else module_of(path).rpartition(".")[0]
    text = path.read_text()
    yield from BY_NAME.findall(text)
    for found in STATEMENT.findall(text):
        with contextlib.suppress(SyntaxError):  # prose that begins so
            for node in ast.parse(found.strip()).body:
                if isinstance(node, ast.Import):
                    yield from (alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
                    base = ".".join([*above, *([node.module] if node.module else [])])
                    yield from (base, *(f"{base}.{alias.name}" for alias in node.names))


@functools.cache
def imports() -> dict[str, frozenset[str]]:
    return {module_of(path): frozenset(imported(path)) for path in MODULES}


def within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def importers(*packages: str) -> set[str]:
    """The modules that import something of `packages`, but for those packages themselves."""
    return {
        module
        for module, names in imports().items()
        if not within(module, packages) and any(within(name, packages) for name in names)
    }


def test_only_durable_imports_dbos() -> None:
    """What carries runs can be another one tomorrow."""
    assert importers("dbos") == {DURABLE}


def test_rescue_needs_nothing_but_the_standard_library() -> None:
    """It has to start where nothing that was installed does."""
    foreign = {name for name in imports()["greenroom.rescue"] if name.partition(".")[0] not in sys.stdlib_module_names}
    assert foreign == set()


def test_nothing_imports_the_bodies_of_tools() -> None:
    """Sandboxes start them; whoever imports one runs it outside of every wall."""
    assert importers("greenroom.tools") == set()


def test_agents_are_imported_where_the_house_is_put_together_and_nowhere_else() -> None:
    """What decides never imports what thinks."""
    assert {name for name in importers("greenroom.agents") if not within(name, ("greenroom.testing",))} == set(WIRES)


def test_only_tests_import_the_fakes() -> None:
    """A fake in the product would be a wall of paper."""
    assert importers("greenroom.testing") == set()


def test_no_model_library_on_the_trusted_side() -> None:
    """No room but `agents` may have one: what decides is not a model, and loads none."""
    found = {
        module: sorted(name for name in names if name.partition(".")[0] in MODELS)
        for module, names in imports().items()
        if not within(module, UNTRUSTED)
    }
    assert {module: names for module, names in found.items() if names} == {}


def test_no_refusal_is_made_of_an_error_without_a_remedy() -> None:
    """`error.remedy` may be empty: `domain.refusals` alone reads it, and the wire, which hands it on as it is."""
    readers = {module_of(path) for path in MODULES if "error.remedy" in path.read_text()}
    assert readers == {"greenroom.domain.refusals", "greenroom.wire.rpc"}


NETWORK = (
    "aiohttp",
    "ftplib",
    "http",
    "httpx",
    "imaplib",
    "poplib",
    "requests",
    "smtplib",
    "urllib.request",
    "urllib3",
)
ADDRESSES = re.compile(r"\b(AF_INET6?|create_connection|create_server|getaddrinfo|gethostby\w+|getfqdn|TCPServer)\b")


def test_only_brokers_can_reach_a_network() -> None:
    """No other module of the product imports a client, resolves a name, or makes a socket that is not a local one."""
    product = {module: path for path in MODULES if not within(module := module_of(path), ("greenroom.brokers",))}
    assert {name for name in importers(*NETWORK) if not within(name, ("greenroom.brokers",))} == set()
    named = {module: ADDRESSES.findall(path.read_text()) for module, path in product.items()}
    # The self-check tries the walls: on loopback, from inside a cell.
    assert {module for module, names in named.items() if names} == {"greenroom.sandbox.checks_walls"}
