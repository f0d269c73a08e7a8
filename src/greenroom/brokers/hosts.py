"""Which hosts a fetch would ask, and through what, from the person's own settings.

Names only, no credentials, and nothing is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

DEFAULT_INDEX = "https://pypi.org/simple"
DEFAULT_FILES = "files.pythonhosted.org"
"""Where the default index keeps its files."""
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
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
    for host in (host for value in _proxies(settings, environment) for host in _hosts(value)):
        found[host] = "proxy" if found.get(host, "proxy") == "proxy" else f"{found[host]}; proxy"
    return found


def proxies_of(settings: Mapping[str, str], environment: Mapping[str, str]) -> list[str]:
    """The proxies that a fetch would go through, as scheme, host and port: no user, no password."""
    found = []
    for value in _proxies(settings, environment):
        try:
            parts = urlsplit(value if "://" in value else f"http://{value}")
            port = f":{parts.port}" if parts.port else ""
        except ValueError:
            continue
        found += [f"{parts.scheme}://{parts.hostname}{port}"] if parts.hostname else []
    return list(dict.fromkeys(found))


def directories_of(settings: Mapping[str, str]) -> list[str]:
    """The places on this machine that a fetch would read packages from."""
    names = ["find-links"]
    if settings.get("no-index", "").lower() not in _YES:
        names = ["index-url", "extra-index-url", *names]
    found = []
    for place in (place for name in names for place in settings.get(name, "").split()):
        try:
            parts = urlsplit(place)
        except ValueError:
            continue
        if parts.scheme == "file":
            found.append(unquote(parts.path))
        elif not parts.scheme and not parts.netloc:
            found.append(place)
    return list(dict.fromkeys(found))


def _proxies(settings: Mapping[str, str], environment: Mapping[str, str]) -> list[str]:
    named = [value for name, value in sorted(environment.items()) if name.lower() in _PROXIES]
    return [value for value in (settings.get("proxy", ""), *named) if value.strip()]


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
