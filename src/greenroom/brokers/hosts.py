"""Which hosts a fetch would ask, from the person's own settings: names only, no credentials, and nothing is asked."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

DEFAULT_INDEX = "https://pypi.org/simple"
DEFAULT_FILES = "files.pythonhosted.org"
"""Where the default index keeps its files."""
_YES = ("1", "true", "yes", "on")


def hosts_of(settings: Mapping[str, str], environment: Mapping[str, str]) -> Mapping[str, str]:
    """Host to what it would be asked for. Places on this machine are no hosts.

    `settings` are pip's, by long option names without the dashes; the proxies are those of `environment`.
    """
    found: dict[str, str] = {}
    if settings.get("no-index", "").lower() not in _YES:
        index = settings.get("index-url", DEFAULT_INDEX)
        found |= dict.fromkeys(_hosts(index), "package index")
        found |= {DEFAULT_FILES: "files of the package index"} if index.rstrip("/") == DEFAULT_INDEX else {}
        found |= dict.fromkeys(_hosts(settings.get("extra-index-url", "")), "further package index")
    found |= dict.fromkeys(_hosts(settings.get("find-links", "")), "links to packages")
    proxies = [settings.get("proxy", "")]
    proxies += [value for name, value in environment.items() if name.lower() in ("http_proxy", "https_proxy")]
    return found | {host: "proxy" for value in proxies for host in _hosts(value)}


def _hosts(urls: str) -> list[str]:
    """The hosts of URLs that are divided by white space; that of a proxy may stand without a scheme."""
    found = []
    for url in urls.split():
        try:
            parts = urlsplit(url if "://" in url or url.startswith("/") else f"//{url}")
            host = parts.hostname if parts.scheme != "file" else None
        except ValueError:
            continue
        found += [host] if host else []
    return found
