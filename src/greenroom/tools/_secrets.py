"""Rules that find secrets in text: fixed formats first, then keys assigned to names that say what they are.

A rule is a pattern with the part that is secret as group 1, words without which it is not tried, the least entropy,
and, where the format carries one, a check. Formats with a checksum (GitHub, npm, Grafana) are reported whatever their
entropy when it is right, and are still reported by form when it is not. Findings name the rule, never the secret.
"""

# ruff: noqa: E501 - a rule a line reads as a table

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

MAX_LINE = 20_000
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One kind of secret; `words` are lower case, one must be in the line."""

    name: str
    pattern: re.Pattern[str]
    words: tuple[str, ...]
    entropy: float = 0.0
    check: Callable[[str], bool] | None = None
    proof: Callable[[str], bool] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One secret: the rule, the line, the columns of the secret, and whether a checksum proves it."""

    rule: str
    line: int
    start: int
    end: int
    proven: bool


def scan(text: str) -> Iterator[Found]:
    """The secrets of a text, by line; each stretch of text is reported once, by the first rule that finds it."""
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) >= 12:
            yield from scan_line(line[:MAX_LINE], number)


def scan_line(line: str, number: int) -> Iterator[Found]:
    """The secrets of one line."""
    lower = line.lower()
    taken: list[tuple[int, int]] = []
    for rule in RULES:
        if not any(word in lower for word in rule.words):
            continue
        for match in rule.pattern.finditer(line):
            start, end = match.span(1)
            if any(start < right and left < end for left, right in taken):
                continue
            proven = rule.proof is not None and rule.proof(match[1])
            if proven or _counts(rule, match[1]):
                taken.append((start, end))
                yield Found(rule=rule.name, line=number, start=start, end=end, proven=proven)


def entropy(text: str) -> float:
    """Shannon entropy in bits a character."""
    total = len(text)
    return -sum(n / total * math.log2(n / total) for n in Counter(text).values()) if total else 0.0


def _counts(rule: Rule, secret: str) -> bool:
    if rule.entropy and entropy(secret) < rule.entropy:
        return False
    if _placeholder(secret, generic=rule.check is not None):
        return False
    return rule.check is None or rule.check(secret)


_PLACEHOLDER = re.compile(r"example|x{5,}|\*{3,}|\.{3,}|0{6,}|#{4,}|here$|<[^>]*>|\$\{|\{\{|%\(", re.IGNORECASE)
_WORDS = re.compile(
    r"changeme|change[-_]me|placeholder|redacted|dummy|sample|your[-_]|my[-_]?secret|insert[-_]|replace[-_]|fake|foobar"
    r"|not[-_]?a?[-_]?real|abcdefghij|0123456789|1234567890|deadbeef",
    re.IGNORECASE,
)


def _placeholder(secret: str, *, generic: bool) -> bool:
    """Words and runs that people write where a secret would stand; a fixed format needs plainer ones."""
    return bool(_PLACEHOLDER.search(secret) or (generic and _WORDS.search(secret))) or len(set(secret)) <= 4


def _crc_base62(token: str) -> bool:
    """GitHub's and npm's form: a prefix, 30 characters, and their CRC-32 in base 62."""
    body = token.split("_", 1)[-1]
    if len(body) != 36 or not body.isalnum() or not body.isascii():
        return False
    number, digits = zlib.crc32(body[:30].encode("ascii")), ""
    while number:
        number, rest = divmod(number, 62)
        digits = _BASE62[rest] + digits
    return body[30:] == digits.rjust(6, "0")


def _crc_hex(token: str) -> bool:
    """Grafana's form: what stands before the last underscore, then its CRC-32 in hex."""
    body, _, checksum = token.rpartition("_")
    try:
        return int(checksum, 16) == zlib.crc32(body.encode("ascii"))
    except ValueError:
        return False


def _jwt(token: str) -> bool:
    """The first part of a JSON web token decodes to a header with an algorithm (RFC 7519)."""
    head = token.split(".", 1)[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return False
    return isinstance(header, dict) and "alg" in header


def _aws_id(key: str) -> bool:
    return not key.endswith("EXAMPLE")


def _mixed(secret: str) -> bool:
    """What a generator made has digits and letters, and is no identifier, path, address or version."""
    has_digit, has_letter = any(c.isdigit() for c in secret), any(c.isalpha() for c in secret)
    if (
        not (has_digit and has_letter)
        or secret.count("/") > 2
        or "://" in secret
        or secret.startswith(("./", "/", "$"))
    ):
        return False
    parts = [part for part in re.split(r"[-_./+=:]", secret) if part]
    words = [part for part in parts if part.isalpha() and (part.islower() or part.isupper() or part.istitle())]
    return len(words) * 2 <= len(parts)


def _header(secret: str) -> bool:
    """What a header carries in place of a password: generated, whatever its form."""
    return any(c.isdigit() for c in secret) or any(c in "=~+/" for c in secret)


def _password(secret: str) -> bool:
    """The password of an address, not a variable, a placeholder or a word that says what stands there."""
    plain = {
        "password",
        "passwd",
        "pass",
        "pwd",
        "secret",
        "token",
        "user",
        "test",
        "admin",
        "root",
        "postgres",
        "guest",
    }
    lower = secret.lower()
    if lower in plain or any(lower in (word + "1", word + "123", word * 2) for word in plain):
        return False
    mixed = any(c.isdigit() for c in secret) and any(c.isalpha() for c in secret)
    chosen = mixed or (len(secret) >= 10 and entropy(secret) >= 3.0)
    return chosen and not re.search(r"[{}$<>%*]|^:|^\w*pass(?:word)?$", secret) and entropy(secret) >= 2.0


def _rule(
    name: str, pattern: str, *words: str, flags: int = 0, entropy: float = 0.0, **more: Callable[[str], bool]
) -> Rule:
    return Rule(name=name, pattern=re.compile(pattern, flags), words=words, entropy=entropy, **more)


_END = r"(?![A-Za-z0-9_-])"
_KEYED = r"[\w.\- \[\]\"']{0,30}?(?:\"|')?\]?\s{0,3}(?:[:=]{1,3}>?|=>|,|\|\|)\s{0,3}(?:[rbuf]{0,2}[\"'`]{1,3})?"


def _keyed(vendor: str, value: str) -> str:
    """`vendor` in a name, an assignment, then `value`."""
    return rf"(?i:{vendor}){_KEYED}({value})(?![A-Za-z0-9_=-])"


_VENDORS = (
    "adobe", "algolia", "asana", "beamer", "bitbucket", "bittrex", "codecov", "cohere", "coinbase", "confluent", "contentful",
    "datadog", "droneci", "etsy", "fastly", "finicity", "finnhub", "flickr", "freshbooks", "gitter", "gocardless", "hubspot",
    "intercom", "jira", "kraken", "kucoin", "launchdarkly", "linkedin", "lob", "mapbox", "mattermost", "messagebird", "netlify",
    "nytimes", "plaid", "privateai", "sendbird", "snyk", "sourcegraph", "squarespace", "sumo", "travis", "trello", "twitch",
    "twitter", "zendesk",
)  # fmt: skip

RULES: tuple[Rule, ...] = (
    _rule("private-key", r"(-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----)(?!-----END)", "-----begin"),
    _rule("putty-key", r"(PuTTY-User-Key-File-\d: \S+)", "putty-user-key-file"),
    _rule("age-key", r"(AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58})", "age-secret-key-1"),
    _rule("github-token", rf"\b(gh[pousr]_[A-Za-z0-9]{{36}}){_END}", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", entropy=3.0, proof=_crc_base62),
    _rule("github-fine-grained", rf"\b(github_pat_[A-Za-z0-9]{{22}}_[A-Za-z0-9]{{59}}){_END}", "github_pat_", entropy=3.0),
    _rule("github-fine-grained", rf"\b(github_pat_\w{{82}}){_END}", "github_pat_", entropy=3.0),
    _rule("npm-token", rf"\b(npm_[A-Za-z0-9]{{36}}){_END}", "npm_", entropy=2.0, proof=_crc_base62),
    _rule("pypi-token", rf"\b(pypi-AgE(?:IcHlwaS5vcmc|NdGVzdC5weXBpLm9yZw)[\w-]{{50,1000}}){_END}", "pypi-age", entropy=3.0),
    _rule("aws-key-id", r"\b((?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16})\b", "a3t", "akia", "asia", "abia", "acca", entropy=3.0, check=_aws_id),
    _rule("aws-secret-key", _keyed(r"aws.{0,20}(?:secret|key|token)|secret_?access_?key", r"[A-Za-z0-9/+]{40}"), "aws", "secretaccesskey", "secret_access_key", entropy=4.0),
    _rule("gitlab-token", rf"\b((?:glpat|gldt|glrt|glcbt|glptt|glft|glagent|glsoat|gloas|glimt)-[\w-]{{20,64}}){_END}", "gl", entropy=3.0),
    _rule("slack-token", rf"\b(xox[abpors]-\d{{8,14}}-[A-Za-z0-9-]{{10,150}}|xoxe[.-](?:xox[bp]-)?\d-[A-Za-z0-9]{{100,250}}|xapp-\d-[A-Z0-9]+-\d+-[a-z0-9]+){_END}", "xox", "xapp-", entropy=2.5),
    _rule("slack-token", rf"\b(xox[aosr]-(?:\d-)?[A-Za-z0-9]{{8,48}}){_END}", "xoxa-", "xoxo-", "xoxs-", "xoxr-", entropy=2.5),
    _rule("slack-webhook", r"(hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{43,60})", "hooks.slack.com", entropy=3.0),
    _rule("teams-webhook", r"(\w+\.webhook\.office\.com/webhookb2/[0-9a-f-]{36}@[0-9a-f-]{36}/IncomingWebhook/[0-9a-f]{32}/[0-9a-f-]{36})", "webhook.office.com"),
    _rule("discord-webhook", r"(discord(?:app)?\.com/api/webhooks/\d{17,20}/[\w-]{60,70})", "/api/webhooks/"),
    _rule("discord-token", r"\b([MNO][A-Za-z\d_-]{23,25}\.[\w-]{6}\.[\w-]{27,38})\b", "discord", "token", "bot", entropy=4.0),
    _rule("stripe-key", rf"\b((?:sk|rk)_(?:live|test|prod)_[A-Za-z0-9]{{10,99}}){_END}", "k_live_", "k_test_", "k_prod_", entropy=2.0),
    _rule("stripe-webhook", rf"\b(whsec_[A-Za-z0-9+/]{{32,64}}){_END}", "whsec_", entropy=3.0),
    _rule("google-api-key", rf"\b(AIza[\w-]{{35}}){_END}", "aiza", entropy=3.0),
    _rule("google-oauth", r"\b(GOCSPX-[\w-]{28}|ya29\.[\w-]{40,300})", "gocspx-", "ya29.", entropy=3.0),
    _rule("openai-key", r"\b(sk-(?:(?:proj|svcacct|admin)-[\w-]{20,90}T3BlbkFJ[\w-]{20,90}|[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}))", "t3blbkfj", entropy=3.0),
    _rule("anthropic-key", r"\b(sk-ant-(?:api|admin)\d\d-[\w-]{80,110})", "sk-ant-", entropy=3.0),
    _rule("huggingface-token", rf"\b((?:hf|api_org)_[A-Za-z]{{34}}){_END}", "hf_", "api_org_", entropy=2.5),
    _rule("perplexity-key", rf"\b(pplx-[A-Za-z0-9]{{48}}){_END}", "pplx-", entropy=3.5),
    _rule("sendgrid-key", rf"\b(SG\.[\w-]{{20,24}}\.[\w-]{{39,50}}){_END}", "sg.", entropy=3.0),
    _rule("mailgun-key", rf"\b(key-[0-9a-f]{{32}}){_END}", "key-", entropy=3.0),
    _rule("mailchimp-key", rf"\b([0-9a-f]{{32}}-us\d\d?){_END}", "-us", entropy=3.0),
    _rule("sendinblue-key", r"\b(xkeysib-[0-9a-f]{64}-[A-Za-z0-9]{16})", "xkeysib-", entropy=2.5),
    _rule("twilio-key", rf"\b(SK[0-9a-fA-F]{{32}}){_END}", "sk", entropy=3.0),
    _rule("telegram-token", _keyed(r"telegram|\bbot|token", r"\d{8,10}:AA[\w-]{33}"), "telegram", "bot", "token"),
    _rule("digitalocean-token", rf"\b(do[opr]_v1_[0-9a-f]{{64}}){_END}", "_v1_", entropy=3.0),
    _rule("shopify-token", rf"\b(shp(?:at|ca|pa|ss)_[0-9a-fA-F]{{32}}){_END}", "shp", entropy=2.0),
    _rule("square-token", rf"\b((?:EAAA|sq0[a-z]{{3}}-)[\w-]{{22,60}}){_END}", "eaaa", "sq0", entropy=3.5),
    _rule("databricks-token", rf"\b(dapi[0-9a-f]{{32}}(?:-\d)?){_END}", "dapi", entropy=3.0),
    _rule("vault-token", rf"\b(hv[sbr]\.[\w-]{{24,300}}){_END}", "hvs.", "hvb.", "hvr.", entropy=3.5),
    _rule("terraform-token", r"\b([A-Za-z0-9]{14}\.atlasv1\.[\w=-]{60,70})", ".atlasv1.", entropy=3.5),
    _rule("grafana-token", rf"\b(glsa_[A-Za-z0-9]{{32}}_[0-9A-Fa-f]{{8}}){_END}", "glsa_", entropy=3.0, proof=_crc_hex),
    _rule("grafana-cloud-token", r"\b(glc_[A-Za-z0-9+/]{32,400}={0,2})", "glc_", entropy=3.0),
    _rule("doppler-token", rf"\b(dp\.(?:pt|st|ct|scim|audit|sa)\.[A-Za-z0-9]{{40,44}}){_END}", "dp.", entropy=2.0),
    _rule("postman-key", rf"\b(PMAK-[0-9a-fA-F]{{24}}-[0-9a-fA-F]{{34}}){_END}", "pmak-", entropy=3.0),
    _rule("linear-key", rf"\b(lin_api_[A-Za-z0-9]{{40}}){_END}", "lin_api_", entropy=2.0),
    _rule("notion-token", rf"\b(ntn_\d{{11}}[A-Za-z0-9]{{35}}|secret_[A-Za-z0-9]{{43}}){_END}", "ntn_", "secret_", entropy=4.0),
    _rule("newrelic-key", rf"\b(NRAK-[A-Z0-9]{{27}}|NRII-[\w-]{{32}}|NRJS-[0-9a-f]{{19}}){_END}", "nra", "nri", "nrj", entropy=3.0),
    _rule("pulumi-token", rf"\b(pul-[0-9a-f]{{40}}){_END}", "pul-", entropy=2.0),
    _rule("planetscale-token", rf"\b(pscale_(?:tkn|pw|oauth)_[\w=.-]{{32,64}}){_END}", "pscale_", entropy=3.0),
    _rule("rubygems-key", rf"\b(rubygems_[0-9a-f]{{48}}){_END}", "rubygems_", entropy=2.0),
    _rule("dockerhub-token", rf"\b(dckr_(?:pat|oat)_[\w-]{{27,36}}){_END}", "dckr_", entropy=3.0),
    _rule("atlassian-token", rf"\b(ATATT3[A-Za-z0-9_=-]{{100,250}}){_END}", "atatt3", entropy=3.5),
    _rule("airtable-token", rf"\b(pat[A-Za-z0-9]{{14}}\.[0-9a-f]{{64}}){_END}", "pat", entropy=3.0),
    _rule("adafruit-key", rf"\b(aio_[A-Za-z0-9]{{28}}){_END}", "aio_", entropy=3.0),
    _rule("alibaba-key", rf"\b(LTAI[A-Za-z0-9]{{17,21}}){_END}", "ltai", entropy=3.0),
    _rule("azure-secret", r"(?<![\w~.])([A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.-]{31,34})(?![\w~.])", "q~", entropy=3.0),
    _rule("azure-storage-key", r"(?i:AccountKey=)([A-Za-z0-9+/]{86}==)", "accountkey=", entropy=4.0),
    _rule("cloudflare-key", r"\b(v1\.0-[0-9a-f]{24}-[0-9a-f]{146})", "v1.0-", entropy=2.0),
    _rule("facebook-token", rf"\b(EAA[MC][A-Za-z0-9]{{100,300}}){_END}", "eaam", "eaac", entropy=4.0),
    _rule("flutterwave-key", rf"\b(FLW(?:PUBK|SECK)_TEST-[0-9a-hA-H]{{32}}-X){_END}", "flw", entropy=2.0),
    _rule("fly-token", r"\b(fo1_[\w-]{43}|fm[12][ar]?_[A-Za-z0-9+/]{100,500}={0,3})", "fo1_", "fm1", "fm2", entropy=4.0),
    _rule("dynatrace-token", r"\b(dt0c01\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{64})", "dt0c01.", entropy=4.0),
    _rule("duffel-token", rf"\b(duffel_(?:test|live)_[\w=-]{{43}}){_END}", "duffel_", entropy=2.0),
    _rule("easypost-key", rf"\b(EZ[AT]K[A-Za-z0-9]{{54}}){_END}", "ezak", "eztk", entropy=2.0),
    _rule("frameio-token", rf"\b(fio-u-[\w=-]{{64}}){_END}", "fio-u-", entropy=3.0),
    _rule("readme-key", rf"\b(rdme_[a-z0-9]{{70}}){_END}", "rdme_", entropy=2.0),
    _rule("sentry-token", r"\b(sntry[su]_[A-Za-z0-9+/=_]{60,400})", "sntry", entropy=3.0),
    _rule("shippo-token", rf"\b(shippo_(?:live|test)_[0-9a-f]{{40}}){_END}", "shippo_", entropy=2.0),
    _rule("typeform-token", rf"\b(tfp_[\w.=-]{{59}}){_END}", "tfp_", entropy=2.0),
    _rule("prefect-token", rf"\b(pnu_[A-Za-z0-9]{{36}}){_END}", "pnu_", entropy=2.0),
    _rule("infracost-token", r"(?<![\w.])(ico-[A-Za-z0-9]{32})(?![\w.-])", "ico-", entropy=3.0),
    _rule("clojars-token", r"\b(CLOJARS_[a-z0-9]{60})", "clojars_", entropy=2.0),
    _rule("dropbox-token", rf"\b(sl\.[A-Za-z0-9=_-]{{130,200}}){_END}", "sl.", entropy=3.5),
    _rule("artifactory-key", rf"\b(AKCp[A-Za-z0-9]{{69}}|cmVmd[A-Za-z0-9]{{59}}){_END}", "akcp", "cmvmd", entropy=4.5),
    _rule("octopus-key", rf"\b(API-[A-Z0-9]{{26}}){_END}", "api-", entropy=3.0),
    _rule("okta-token", _keyed(r"(?<![a-z])okta", r"00[\w=-]{40}"), "okta", entropy=4.0),
    _rule("yandex-key", rf"\b(AQVN[\w-]{{35,38}}|YC[\w-]{{38}}|t1\.[A-Z0-9a-z_-]+={{0,2}}\.[A-Z0-9a-z_-]{{86}}={{0,2}}){_END}", "aqvn", "yc", "t1.", entropy=3.8),
    _rule("heroku-key", _keyed(r"heroku", r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"), "heroku", entropy=3.0),
    _rule("heroku-key", rf"\b(HRKU-AA[\w-]{{58}}){_END}", "hrku-", entropy=4.0),
    _rule("onepassword-token", r"\b(ops_eyJ[A-Za-z0-9+/]{250,}={0,3})", "ops_eyj"),
    _rule("onepassword-key", r"\b(A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5})\b", "a3-", entropy=3.5),
    _rule("sourcegraph-token", rf"\b(sgp_(?:(?:[0-9a-fA-F]{{16}}|local)_)?[0-9a-fA-F]{{40}}){_END}", "sgp_", entropy=3.0),
    _rule("bedrock-key", r"\b(ABSK[A-Za-z0-9+/]{109,269}={0,2}|bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t[\w+/=]{0,400})", "absk", "bedrock-api-key-"),
    _rule("facebook-app-token", r"\b(\d{15,16}(?:\||%)[\w-]{27,40})(?![\w-])", "|", "%", entropy=3.0),
    _rule("intra42-secret", rf"\b(s-s4t2(?:ud|af)-[0-9a-f]{{64}}){_END}", "s-s4t2", entropy=3.0),
    _rule("settlemint-token", rf"\b(sm_(?:pat|aat|sat)_[A-Za-z0-9]{{16}}){_END}", "sm_", entropy=3.0),
    _rule("flutterwave-secret", rf"\b(FLWSECK_TEST-[0-9a-hA-H]{{12}}){_END}", "flwseck", entropy=2.0),
    _rule("gems-password", r"://([0-9a-f]{8}:[0-9a-f]{8})@(?:gems|enterprise)\.contribsys\.com", "contribsys.com"),
    _rule("keyed-identifier", _keyed(r"snyk|heroku|kraken|asana|lob", r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"), "snyk", "heroku", entropy=3.0),
    _rule("keyed-identifier", _keyed(r"sonar", r"(?:squ_|sqp_|sqa_)?[A-Za-z0-9=_-]{40}"), "sonar", entropy=3.0),
    _rule("json-web-token", r"\b(ey[A-Za-z0-9_-]{15,}\.ey[A-Za-z0-9_/-]{15,}\.(?:[\w/-]{10,}={0,2})?)", "ey", entropy=3.0, check=_jwt),
    _rule("address-with-password", r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s:/@\"'`?#]{1,100}:([^\s:/@\"'`?#]{3,100})@[\w.-]+", "://", check=_password),
    _rule("authorization-header", r"(?i:authorization\W{1,6}(?:bearer|basic|token)\s+)([A-Za-z0-9+/=_.~-]{16,400})", "authorization", entropy=3.2, check=_mixed),
    _rule("curl-user", r"\bcurl\b.{0,200}?(?:-u|--user)[\s=]+[\"']{0,2}[^\s:\"']{0,100}[\"']?:[\"']?([^\s\"':]{6,100})", "curl", entropy=2.8, check=_mixed),
    _rule("curl-user", r"\bcurl\b.{0,200}?(?:-u|--user)[\s=]+[\"']?([^\s\"':]{8,100}):[\"']", "curl", entropy=2.8, check=_mixed),
    _rule("curl-header", r"\bcurl\b.{0,300}?(?:-H|--header)\s+[\"'](?i:authorization|(?:x-)?api-?(?:key|token)|(?:x-)?(?:auth-)?token):\s{0,3}(?:[A-Za-z-]{3,12}\s+)?([\w=~@.+/-]{8,400})", "curl", entropy=2.75, check=_header),
    _rule(
        "assigned-secret",
        r"(?i:(?<![a-z])|(?<=_))(?!(?i:[\w.-]{0,20}(?:public|csrf|xsrf|non_?match|page|next|cursor|cache|credentials?_?ids?\b)))(?i:[\w.-]{0,40}?(?:api[_.-]?key|access[_.-]?key|secret|token|passw(?:or)?d|passwd|auth|credential|private[_.-]?key|client[_.-]?key"
        r"|encryption[_.-]?key|signing[_.-]?key|pwd)s?[\w.-]{0,20}?)(?:[\"']\]?)?\s{0,3}(?:=|:|:=|=>|,|\|\|?=)\s{0,3}(?:[rbuf]{0,2}[\"'`]{1,3})"
        r"([A-Za-z0-9+/=_.~!@#$%^&*-]{10,150})[\"'`]",
        "key", "secret", "token", "passw", "auth", "credential", "pwd", entropy=3.5, check=_mixed,
    ),
    _rule(
        "assigned-secret",
        r"(?:^|[\s;,{(])(?i:(?:export\s+|set\s+)?[A-Z0-9_.-]{0,40}(?:api_?key|access_?key|secret|token|passwd|password|auth_?token|private_?key|signing_?key)s?)\s?(?:=|:)\s?"
        r"([A-Za-z0-9+/=_.~-]{16,150})\s*$",
        "key", "secret", "token", "passw", entropy=3.6, check=_mixed,
    ),
    _rule("vendor-secret", _keyed("|".join(_VENDORS), r"[A-Za-z0-9_=.-]{20,100}"), *_VENDORS, entropy=3.3, check=_mixed),
)  # fmt: skip
