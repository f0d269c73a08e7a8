"""The person's own package-index settings, as pip knows them: an allow-list of what concerns reaching an index.

Everything else that a pip configuration can say (targets, source builds, requirement files) is left behind.
Values may hold passwords: they are handed on in the environment, never in an argument list or a message.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Mapping

from greenroom.domain.errors import Unusable

ALLOWED = frozenset(
    {
        "index-url",
        "extra-index-url",
        "find-links",
        "no-index",
        "trusted-host",
        "cert",
        "client-cert",
        "proxy",
        "timeout",
        "default-timeout",
        "retries",
    }
)
_PASSED_ON = frozenset(
    {
        "all_proxy",
        "curl_ca_bundle",
        "ftp_proxy",
        "http_proxy",
        "https_proxy",
        "home",
        "no_proxy",
        "requests_ca_bundle",
        "ssl_cert_dir",
        "ssl_cert_file",
        "netrc",
        "tmpdir",
    }
)
_FIXED = {
    "PATH": "/usr/bin:/bin",
    "LC_ALL": "C.UTF-8",
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_NO_INPUT": "1",
    # What was fetched stays in the box: pip's cache would lie in the person's home directory, and outlive the box.
    "PIP_NO_CACHE_DIR": "1",
}
_SECTIONS = ("global", "download", ":env:")
MAX_SETTINGS_BYTES = 256 * 1024


def read_settings(environment: Mapping[str, str]) -> Mapping[str, str]:
    """The allowed settings of pip's files and environment, by pip's long option names without the dashes.

    Precedence is pip's own: files, then the section `download`, then variables; `~` is the person's home.
    Raises Unusable `pip-settings` when pip cannot read its configuration.
    """
    done = subprocess.run(
        [sys.executable, "-I", "-m", "pip", "config", "list", "--disable-pip-version-check"],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    if done.returncode != 0 or len(done.stdout) > MAX_SETTINGS_BYTES:
        raise Unusable("pip-settings", "pip cannot read its configuration", remedy="run `pip config list` and mend it")
    found = parse_settings(done.stdout.decode("utf-8", "replace"))
    for name in found.keys() & {"cert", "client-cert"}:
        found[name] = at_home(found[name], environment)
    if "find-links" in found:
        # White space divides them, in a file also the end of a line.
        found["find-links"] = " ".join(at_home(word, environment) for word in found["find-links"].split())
    return found


def at_home(path: str, environment: Mapping[str, str]) -> str:
    """`path` with `~` as the home that `environment` names, and `~NAME` as that user's."""
    home = environment.get("HOME", "")
    if home and (path == "~" or path.startswith("~/")):
        return home.rstrip("/") + path[1:]
    return os.path.expanduser(path)


def parse_settings(listing: str) -> dict[str, str]:
    """The allowed settings in the output of `pip config list`: lines of `section.name='value'`."""
    by_section: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for line in listing.splitlines():
        key, equals, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if equals and section in by_section and name in ALLOWED:
            by_section[section][name] = _text(value)
    merged: dict[str, str] = {}
    for section in _SECTIONS:
        merged |= by_section[section]
    if "default-timeout" in merged:
        merged["timeout"] = merged.pop("default-timeout")
    return merged


def pip_environment(environment: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """The small environment that pip runs in: proxies and certificates, the settings, no configuration file."""
    passed = {name: value for name, value in environment.items() if name.lower() in _PASSED_ON}
    surroundings = {name.lower(): value for name, value in environment.items()}
    if "cert" not in settings and surroundings.get("ssl_cert_file"):
        settings = {**settings, "cert": surroundings["ssl_cert_file"]}
    given = {f"PIP_{name.upper().replace('-', '_')}": value for name, value in settings.items()}
    return passed | given | _FIXED


def routed_environment(environment: Mapping[str, str], index: str) -> dict[str, str]:
    """The environment of a pip whose only index is on loopback: it needs nobody's proxy, certificate or password."""
    places = {name: value for name, value in environment.items() if name.lower() in ("home", "tmpdir")}
    given = {"PIP_INDEX_URL": index, "PIP_RETRIES": "0", "PIP_TIMEOUT": "120"}
    return places | given | _FIXED | {"NO_PROXY": "127.0.0.1"}


def _text(value: str) -> str:
    try:
        found = ast.literal_eval(value.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return value.strip()
    return found if isinstance(found, str) else str(found)
