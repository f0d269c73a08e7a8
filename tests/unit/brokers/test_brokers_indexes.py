"""One index a name: whatever several indexes say, and through proxy, authority and password of the person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from index_server import Index, Proxy, proxying, self_signed, serving
from test_brokers_fetch import wheel

from greenroom.brokers.fetch import Fetcher, Lock
from greenroom.brokers.indexes import Router, Source, Sources, normal, sources_of, with_own
from greenroom.brokers.settings import pip_environment, routed_environment
from greenroom.brokers.web import DEFAULT_INDEX, Listed, Web, certificates, shown
from greenroom.domain.settings import Values
from greenroom.domain.verdict import Held

PUBLIC, PRIVATE = "https://public.example/simple", "https://private.example/simple"


class Net:
    """A public and a private index with TLS and a proxy; `environment` is a person's who trusts their authority."""

    def __init__(self, tmp_path: Path, stack: ExitStack) -> None:
        self.home = tmp_path
        self.authority, pem = self_signed(tmp_path)
        for name in ("public", "private"):
            (tmp_path / name).mkdir()
        self.public = stack.enter_context(serving(Index(tmp_path / "public"), pem))
        self.private = stack.enter_context(serving(Index(tmp_path / "private", "ada:word"), pem))
        self.proxy: Proxy = stack.enter_context(proxying())

    def environment(self, **more: str) -> Mapping[str, str]:
        return {"HOME": str(self.home), "PIP_CONFIG_FILE": "/dev/null", "PIP_RETRIES": "0", **more}

    def fetch(self, names: list[str], own: Values | None = None, **more: str) -> Lock | Held:
        fetcher = Fetcher(python="3.11", environment=self.environment(**more), own=lambda: own or {})
        return fetcher(names, self.home / f"out{len(list(self.home.iterdir()))}")


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    with ExitStack() as stack:
        yield Net(tmp_path, stack)


def came(lock: Lock | Held) -> dict[str, tuple[str, str]]:
    """Version and index of each wheel by name."""
    assert isinstance(lock, Lock), lock
    return {item.name: (item.version, item.index) for item in lock.wheels}


@pytest.mark.slow
def test_a_name_of_the_private_index_is_never_asked_of_the_public_one(net: Net) -> None:
    """Dependency confusion: a higher version elsewhere is not seen, for what is asked and for what that needs."""
    wheel(net.home / "private", "corp_core", "1.0", ("corp_util", "helper"))
    wheel(net.home / "private", "corp_util", "1.0")
    wheel(net.home / "public", "corp_core", "99.0")
    wheel(net.home / "public", "corp_util", "99.0")
    wheel(net.home / "public", "helper", "2.0")
    lock = net.fetch(
        ["corp-core"],
        PIP_INDEX_URL=net.public.url,
        PIP_EXTRA_INDEX_URL=net.private.url,
        PIP_CERT=str(net.authority),
    )
    private = shown(net.private.url)
    assert came(lock) == {
        "corp-core": ("1.0", private),
        "corp-util": ("1.0", private),
        "helper": ("2.0", net.public.url),
    }
    assert net.public.names() == {"helper"}
    assert "word" not in str(lock)


@pytest.mark.slow
def test_proxy_authority_and_password_are_the_persons(net: Net) -> None:
    """Each index through the configured proxy by CONNECT, with the private authority; no other way is tried."""
    wheel(net.home / "private", "corp_core", "1.0")
    wheel(net.home / "public", "helper", "2.0")
    lock = net.fetch(
        ["corp-core", "helper"],
        {"index.names": {"corp-*": net.private.url}},
        PIP_INDEX_URL=net.public.url,
        HTTPS_PROXY=net.proxy.url,
        SSL_CERT_FILE=str(net.authority),
    )
    assert came(lock) == {"corp-core": ("1.0", shown(net.private.url)), "helper": ("2.0", net.public.url)}
    ports = {url.rpartition(":")[2].partition("/")[0] for url in (net.public.url, net.private.url)}
    assert {place.rpartition(":")[2] for place in net.proxy.tunnels} == ports
    assert net.private.names() == {"corp-core"}
    assert net.public.names() == {"helper"}


@pytest.mark.slow
def test_one_index_is_asked_by_pip_itself_in_the_same_way(net: Net) -> None:
    """The box's own index replaces all of pip's; proxy and authority of its file count."""
    wheel(net.home / "private", "corp_core", "1.0")
    own: Values = {
        "index.url": net.private.url,
        "index.certificate": str(net.authority),
        "index.proxy": net.proxy.url,
    }
    lock = net.fetch(["corp-core"], own, PIP_EXTRA_INDEX_URL=net.public.url, PIP_FIND_LINKS=str(net.home / "public"))
    assert came(lock) == {"corp-core": ("1.0", shown(net.private.url))}
    assert net.proxy.tunnels
    assert net.public.asked == []


@pytest.mark.slow
@pytest.mark.parametrize("own", [{}, {"index.names": {"x-*": "https://127.0.0.1:9/simple"}}])
def test_an_authority_that_is_not_trusted_ends_the_fetch(net: Net, own: Values) -> None:
    """Without the certificate nothing is fetched, and the person is told why."""
    wheel(net.home / "public", "helper", "2.0")
    held = net.fetch(["helper"], own, PIP_INDEX_URL=net.public.url)
    assert isinstance(held, Held)
    assert held.rule == "index-unreachable"
    assert net.public.asked == []


@pytest.mark.slow
def test_an_index_that_is_down_is_not_passed_over(net: Net) -> None:
    """A private index that does not answer cannot be stood in for by the public one."""
    wheel(net.home / "public", "corp_core", "99.0")
    held = net.fetch(
        ["corp-core"],
        PIP_INDEX_URL=net.public.url,
        PIP_EXTRA_INDEX_URL="https://127.0.0.1:9/simple",
        PIP_CERT=str(net.authority),
    )
    assert isinstance(held, Held)
    assert (held.rule, held.where) == ("index-unreachable", "127.0.0.1")
    assert net.public.asked == []


@pytest.mark.slow
def test_local_directories_come_before_indexes(net: Net, tmp_path: Path) -> None:
    """A name that a person's own directory has is not looked for elsewhere."""
    (tmp_path / "mine").mkdir()
    wheel(tmp_path / "mine", "helper", "1.0")
    wheel(net.home / "public", "helper", "2.0")
    wheel(net.home / "public", "other", "3.0")
    lock = net.fetch(
        ["helper", "other"],
        PIP_INDEX_URL=net.public.url,
        PIP_FIND_LINKS=str(tmp_path / "mine"),
        PIP_CERT=str(net.authority),
    )
    assert came(lock) == {"helper": ("1.0", (tmp_path / "mine").as_uri()), "other": ("3.0", net.public.url)}


class Pages(Web):
    """An index that answers from a table, and remembers what was asked."""

    def __init__(self, pages: Mapping[str, list[Listed]]) -> None:
        super().__init__({})
        self.pages, self.seen = pages, list[str]()

    def listed(self, page: str) -> list[Listed] | None:
        self.seen.append(page)
        return self.pages.get(page)


def path_of(router: Router, rest: str) -> str:
    return f"/{router._word}{rest}"


def test_a_router_answers_only_behind_its_word() -> None:
    """Others on this machine cannot read a private index through it."""
    pages = Pages({f"{PUBLIC}/six/": [Listed(url="https://f/six-1-py3-none-any.whl", requires_python=">=3.8")]})
    router = Router(pages, sources_of({"index-url": PUBLIC, "extra-index-url": PRIVATE}, {}))
    assert router.page("/simple/six/") is None
    assert router.page("/wrong/simple/six/") is None
    page = router.page(path_of(router, "/simple/Six/"))
    assert page is not None
    assert b"six-1-py3-none-any.whl" in page
    assert b"&gt;=3.8" in page
    assert pages.seen == [f"{PRIVATE}/six/", f"{PUBLIC}/six/"]
    assert router.file(path_of(router, "/files/0/six-1-py3-none-any.whl")) is not None
    assert router.file("/files/0/six-1-py3-none-any.whl") is None
    assert router.file(path_of(router, "/files/7/x")) is None


def test_a_router_lists_wheels_only_and_escapes_what_an_index_says() -> None:
    """A hostile page cannot write a page of ours."""
    evil = Listed(url='https://f/six-1-py3-none-any"><a href="x.whl', requires_python='"><b>', sha256="nonsense")
    pages = Pages({f"{PUBLIC}/six/": [Listed(url="https://f/six-1.tar.gz"), evil]})
    page = (router := Router(pages, Sources(ordered=(Source(url=PUBLIC),)))).page(path_of(router, "/simple/six/"))
    assert page is not None
    assert b"tar.gz" not in page
    assert page.count(b"<a ") == 1
    assert b"<b>" not in page


def test_one_place_needs_no_router() -> None:
    """pip's usual index, one index, or one directory without an index."""
    assert sources_of({}, {}).single == Source(url=DEFAULT_INDEX)
    assert sources_of({"no-index": "1", "find-links": "/w", "extra-index-url": PRIVATE}, {}).single == Source(
        url="file:///w", links=True
    )
    assert sources_of({"extra-index-url": PRIVATE}, {}).single is None
    assert sources_of(with_own({"extra-index-url": PRIVATE}, {"index.url": PUBLIC}), {}).single == Source(url=PUBLIC)


@given(st.lists(st.sampled_from(["a-*", "*-b", "c", "A_b"]), unique=True), st.from_regex(r"\A[a-c]([-_.][a-c]){0,3}\Z"))
def test_a_name_that_a_pattern_has_is_looked_for_there_alone(patterns: list[str], name: str) -> None:
    """Routes are exclusive, whatever the spelling; the first that fits counts."""
    own: Values = {"index.names": {pattern: f"https://{n}.example" for n, pattern in enumerate(patterns)}}
    found = sources_of({"index-url": PUBLIC}, own).of(normal(name))
    assert (len(found) == 1 and found[0].url != PUBLIC) or found == (Source(url=PUBLIC),)
    assert found == sources_of({"index-url": PUBLIC}, own).of(normal(name.replace("_", "-").replace(".", "-")))


def test_environments_carry_certificates_and_leave_passwords() -> None:
    """SSL_CERT_FILE counts where pip has no setting of its own; a routed pip gets neither proxy nor password."""
    person = {"SSL_CERT_FILE": "/ca.pem", "HTTPS_PROXY": "http://u:p@proxy:1", "HOME": "/h"}
    assert pip_environment(person, {})["PIP_CERT"] == "/ca.pem"
    assert pip_environment(person, {"cert": "/own.pem"})["PIP_CERT"] == "/own.pem"
    assert "u:p" not in str(routed_environment(person, "http://127.0.0.1:1/w/simple"))
    assert certificates({}, {"requests_ca_bundle": "/r"}) == "/r"
    assert shown("https://u:p@h:1/simple/?q=1#f") == "https://h:1/simple"
