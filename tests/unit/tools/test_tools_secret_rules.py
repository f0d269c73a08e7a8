"""Every secret rule: what it finds, its near-misses, and that no rule is without a case here."""

from __future__ import annotations

import base64
import random
import re
import time

import pytest

from greenroom.tools import _secret_rule, _secrets

pytestmark = pytest.mark.slow

ALPHABETS = {
    "A": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
    "L": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "U": "ABCDEFGHJKLMNPQRSTUVWXYZ234567",
    "l": "abcdefghijklmnopqrstuvwxyz0123456789",
    "h": "0123456789abcdef",
    "d": "123456789",
}
FIELD = re.compile(r"\{([ALUlhd])(\d+)\}")
UUID = "{h8}-{h4}-{h4}-{h4}-{h12}"
BASIC = base64.b64encode(b"svc:Xq7mP2rTz9").decode()

FORMS = [
    ("adafruit-key", "aio_{A28}"),
    ("age-key", "AGE-SECRET-KEY-1" + "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L" + "QPZRY9X8GF2TVDW0S3JN54KHCE"),
    ("airtable-token", "pat{A14}.{h64}"),
    ("alibaba-key", "LTAI{A20}"),
    ("anthropic-key", "sk-ant-api03-{A95}"),
    ("apify-token", "apify_api_{A36}"),
    ("artifactory-key", "AKCp{A69}"),
    ("asana-token", "1/{d16}:{h32}"),
    ("atlassian-token", "ATATT3{A180}"),
    ("aws-appsync-key", "da2-{l26}"),
    ("aws-key-id", "AKIA{U16}"),
    ("aws-mws-key", "amzn.mws." + UUID),
    ("aws-secret-key", "aws_secret_access_key = {A40}"),
    ("aws-session-token", "IQoJb3JpZ2luX2{A200}"),
    ("azure-key", "{A43}AzFu{A8}=="),
    ("azure-refresh-token", "1.A{A60}.{A200}"),
    ("azure-sas", "https://x.blob.core.windows.net/c?sv=1&sig={A43}%3D"),
    ("azure-secret", "{A3}8Q~{A34}"),
    ("azure-storage-key", "account_key: {A86}=="),
    ("bedrock-key", "ABSK{A120}"),
    ("brevo-key", "xsmtpsib-{h64}-{A16}"),
    ("buildkite-token", "bkua_{h40}"),
    ("cerebras-key", "csk-{l48}"),
    ("circleci-token", "CCIPAT_{A22}_{h40}"),
    ("clojars-token", "CLOJARS_{h60}"),
    ("cloudflare-key", "cfut_{A40}{h8}"),
    ("contentful-token", "CFPAT-{A43}"),
    ("crates-token", "cio{A32}"),
    ("databricks-token", "dapi{h32}"),
    ("datadog-key", "ddapp_{A34}"),
    ("digitalocean-token", "dop_v1_{h64}"),
    ("discord-webhook", "https://discord.com/api/webhooks/{d18}/{A68}"),
    ("docker-auth", '"auth": "' + BASIC + '"'),
    ("dockerhub-token", "dckr_pat_{A27}"),
    ("doppler-token", "dp.pt.{A43}"),
    ("dropbox-token", "sl.{A140}"),
    ("duffel-token", "duffel_live_{A43}"),
    ("dynatrace-token", "dt0s01.{U24}.{U64}"),
    ("easypost-key", "EZAK{A54}"),
    ("elevenlabs-key", "sk_{h48}"),
    ("facebook-app-token", "{d15}|{A27}"),
    ("facebook-token", "EAACE{A150}"),
    ("figma-token", "figd_{A40}"),
    ("firebase-key", "AAAA{A7}:APA91b{A134}"),
    ("fireworks-key", "fw_{A24}"),
    ("flutterwave-key", "FLWSECK-{l32}-X"),
    ("flutterwave-secret", "FLWSECK_TEST-{h12}"),
    ("fly-token", "fo1_{A43}"),
    ("frameio-token", "fio-u-{A64}"),
    ("gems-password", "https://{h8}:{h8}@gems.contribsys.com/"),
    ("github-fine-grained", "github_pat_{A22}_{A59}"),
    ("github-token", "ghp_{A36}"),
    ("gitlab-token", "glpat-{A20}"),
    ("google-api-key", "AIza{A35}"),
    ("google-oauth", "GOCSPX-{A28}"),
    ("grafana-cloud-token", "glc_{A60}"),
    ("grafana-token", "glsa_{A32}_{h8}"),
    ("groq-key", "gsk_{A52}"),
    ("heroku-key", "HEROKU_API_KEY=" + UUID),
    ("hubspot-token", "pat-na1-" + UUID),
    ("huggingface-token", "hf_{L34}"),
    ("infracost-token", "ico-{A32}"),
    ("intra42-secret", "s-s4t2ud-{h64}"),
    ("keyed-identifier", "snyk_token: " + UUID),
    ("kubernetes-bootstrap-token", "kubeadm join --token={l6}.{l16}"),
    ("langfuse-key", "sk-lf-" + UUID),
    ("langsmith-key", "lsv2_pt_{h32}_{h10}"),
    ("launchdarkly-key", "sdk-" + UUID),
    ("linear-key", "lin_api_{A40}"),
    ("mailchimp-key", "{h32}-us12"),
    ("mailersend-key", "mlsn.{h64}"),
    ("mailgun-key", "key-{h32}"),
    ("mapbox-token", "sk.ey{A80}.{A22}"),
    ("neon-key", "napi_{l64}"),
    ("netlify-token", "nfp_{A36}"),
    ("newrelic-key", "NRAK-{U27}"),
    ("ngrok-key", "2{A26}_{A21}"),
    ("notion-token", "ntn_{d11}{A35}"),
    ("npm-legacy-token", "//registry.local/:_authToken=" + UUID),
    ("npm-token", "npm_{A36}"),
    ("nuget-key", "oy2{l43}"),
    ("nvidia-key", "nvapi-{A64}"),
    ("octopus-key", "API-{U26}"),
    ("okta-token", "okta: 00{A40}"),
    ("onepassword-key", "A3-{U6}-{U11}-{U5}-{U5}-{U5}"),
    ("onepassword-token", "ops_eyJ{A260}"),
    ("openai-key", "sk-{A20}T3BlbkFJ{A20}"),
    ("openrouter-key", "sk-or-v1-{h64}"),
    ("openshift-token", "sha256~{A43}"),
    ("password-hash", "root:$6$salted${A86}:19000:0"),
    ("paypal-braintree-token", "access_token$production${l16}${h32}"),
    ("paystack-key", "ak_live_{A30}"),
    ("percy-token", "web_{h64}"),
    ("perplexity-key", "pplx-{A48}"),
    ("pinecone-key", "pcsk_{A5}_{A63}"),
    ("planetscale-token", "pscale_tkn_{A43}"),
    ("posthog-key", "phx_{A43}"),
    ("postman-key", "PMAK-{h24}-{h34}"),
    ("prefect-token", "pnu_{A36}"),
    ("prefixed-key", "acme_live_{A40}"),
    ("private-jwk", '"d": "{A43}"'),
    ("pulumi-token", "pul-{h40}"),
    ("pypi-token", "pypi-AgEIcHlwaS5vcmc{A70}"),
    ("readme-key", "rdme_{l70}"),
    ("render-key", "rnd_{A28}"),
    ("replicate-token", "r8_{A37}"),
    ("resend-key", "re_{A8}_{A24}"),
    ("rubygems-key", "rubygems_{h48}"),
    ("salesforce-token", "00{A13}!{A96}"),
    ("sendgrid-key", "SG.{A22}.{A43}"),
    ("sendinblue-key", "xkeysib-{h64}-{A16}"),
    ("sentry-token", "sntrys_{A100}"),
    ("settlemint-token", "sm_pat_{A16}"),
    ("shippo-token", "shippo_live_{h40}"),
    ("shopify-token", "shpat_{h32}"),
    ("sidekiq-password", "BUNDLE_GEMS__CONTRIBSYS__COM={h8}:{h8}"),
    ("slack-token", "xoxb-{d12}-{d12}-{A24}"),
    ("slack-webhook", "https://hooks.slack.com/services/T{U9}/B{U9}/{A24}"),
    ("sonar-token", "squ_{h40}"),
    ("sourcegraph-token", "sgp_{h40}"),
    ("square-token", "sq0csp-{A43}"),
    ("stripe-key", "sk_live_{A24}"),
    ("stripe-webhook", "whsec_{A32}"),
    ("supabase-key", "sbp_{h40}"),
    ("tailscale-key", "tskey-auth-k{A8}CNTRL-{A32}"),
    ("tavily-key", "tvly-{A32}"),
    ("teams-webhook", "https://a.webhook.office.com/webhookb2/" + UUID + "@" + UUID + "/IncomingWebhook/{h32}/" + UUID),
    ("telegram-token", "{d10}:AA{A33}"),
    ("terraform-token", "{A14}.atlasv1.{A67}"),
    ("twilio-key", "SK{h32}"),
    ("twitter-token", "AAAAAAAAAAAAAAAAAAAAA{A80}"),
    ("typeform-token", "tfp_{A59}"),
    ("vault-token", "hvs.{A90}"),
    ("vercel-blob-token", "vercel_blob_rw_{A16}_{A30}"),
    ("vercel-token", "vcp_{A56}"),
    ("webhook-address", "https://chat.googleapis.com/v1/spaces/{A10}/messages?key={A39}"),
    ("wireguard-key", "PrivateKey = {A43}="),
    ("xai-key", "xai-{A80}"),
    ("yandex-key", "AQVN{A36}"),
]

NAMED = [
    ("address-with-password", "postgres://svc:{A14}x7@db.internal/app"),
    ("assigned-password", 'db_password = "Xq7!mPz{d3}"'),
    ("assigned-password", "DB_PASSWORD=Xq7mPz{d3}Rt"),
    ("assigned-password", "  password: tr7!{l8}#"),
    ("assigned-secret", 'client_secret = "{A32}"'),
    ("assigned-secret", "clientToken := `{A32}`"),
    ("assigned-secret", 'conf["api_key"] = "Bearer {A32}"'),
    ("assigned-secret", "using token {h40} now"),
    ("assigned-secret", 'if api_key == "{A32}":'),
    ("assigned-secret", '\\"access_token\\": \\"{A32}\\"'),
    ("authorization-header", "Authorization: Bearer {A40}"),
    ("command-password", "sshpass -p '{A20}' ssh host"),
    ("connection-string", "Server=db;User Id=app;Password=Xq7!mPz{d3};Encrypt=yes"),
    ("curl-header", "curl -H 'X-Api-Key: {A32}' https://api.internal"),
    ("curl-user", "curl -u 'svc:{A16}x7' https://api.internal"),
    ("keyed-value", "ENGINE_LICENSE: {A32}"),
    ("netrc-password", "machine api.internal login svc password {A20}"),
    ("query-secret", "https://api.internal/v1?key={A32}&page=2"),
    ("secret-attribute", '<add key="DbPassword" value="Xq7!mPz{d3}" />'),
    ("secret-element", "<password>Xq7!mPz{d3}</password>"),
    ("secret-element", "<apiToken>{A32}</apiToken>"),
    ("vendor-secret", "algolia {A32}"),
    ("vendor-secret", "lobSender = '{A32}'"),
]
OTHERS = {"private-key", "putty-key", "discord-token", "json-web-token"}
NEAR_MISSES = [
    "GlobalAlloc = ctypes.windll.kernel32.GlobalAlloc_2x8Qz71mPa",
    "private_key: x25519.X25519PrivateKey",
    '    private_key: "ed25519.Ed25519PrivateKey | None" = None',
    '("auth", "0006_require_contenttypes_0002"),',
    '"password1": "FORBIDDEN_VALUE2",',
    '"schema_author_name_1fbc5617_like",',
    '_HEX_PAT = "[0-9A-Fa-f]{1,4}"',
    '<link href="https://cdn.local/assets/github-f70e4783e00fd4884a9e5e651a43933c9881caa8.css" />',
    '"integrity": "sha512-' + "qXb7Zr9Kp2Lm4Nt6" * 5 + 'qXb7Zr==",',
    'credentialsId: "29f63271-dc2f-4734-8221-5b31b5169bac"',
    "public_key = 9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit",
    "csrf_token=Mj2qykJO5rELyHgezQ69nzUX0i3OH67V7eUrLfpuyOux",
    "wgs84_auth = SpatialReference(4326, axis_order=AxisOrder.AUTHORITY)",
    '"PHPSESSID": "0a539d42abc001cdc762809248d4beed",',
    "pkg/github_token.py,sha256=Zr9Kp2Lm4Nt6qXb7Zr9Kp2Lm4Nt6qXb7Zr9Kp2Lm4Nt,120",
    "pkg/notes.py,sha256=zr9_kp2lm4nt6qxb7zr9kp2lm4nt6qxb7zr9kp2lm4n,120",
    'stored = "$2b$12$Zr9Kp2Lm4Nt6qXb7Zr9Kp2Lm4Nt6qXb7Zr9Kp2Lm4Nt6qXb7Zr9Kp"',
    "<password></password>",
    "<password>secret</password>",
    "<password>${db.password}</password>",
    "token = request.headers.get('x-token-2024')",
    "https://github.com/a/b/commit/88aa1c897dfe2ee4aa987e4a56f2ba1344a17238",
    "password: Optional[str] = None  # 2023",
    "url?page_token=2&sort=asc",
    "key = sorted_keys[index2].lower()",
    "client_id = 812345678901-apps.googleusercontent.com",
    "MTAyOTQ4MTN5OTU5MTDwMEcxNg.GSwJyi.short",
]


def made(spec: str, seed: int) -> str:
    """The line of `spec` with its fields filled as a generator of keys fills them."""
    chance = random.Random(seed)
    return FIELD.sub(lambda field: "".join(chance.choices(ALPHABETS[field[1]], k=int(field[2]))), spec)


def names(line: str) -> list[str]:
    """The rules that find something in a line."""
    return [found.rule for found in _secrets.scan_line(line, 1)]


def case_ids(cases: list[tuple[str, str]]) -> list[str]:
    return [f"{rule}-{number}" for number, (rule, _) in enumerate(cases)]


@pytest.mark.parametrize(("rule", "spec"), FORMS + NAMED, ids=case_ids(FORMS + NAMED))
def test_each_rule_finds_its_secrets(rule: str, spec: str) -> None:
    """Of 40 secrets made in its form, a rule (or a more general one) finds nearly all, and it finds some itself."""
    found = [names(made(spec, seed)) for seed in range(40)]
    assert sum(bool(each) for each in found) >= 34
    assert sum(rule in each for each in found) >= 20


@pytest.mark.parametrize(("rule", "spec"), FORMS, ids=case_ids(FORMS))
def test_a_form_cut_short_is_not_that_form(rule: str, spec: str) -> None:
    """A near-miss, each long field three characters long, is none of the rule's own."""
    cut = FIELD.sub(lambda field: "{" + field[1] + "3}" if int(field[2]) > 5 else field[0], spec)
    if cut == spec:
        cut = spec[: len(spec) // 2]
    assert all(rule not in names(made(cut, seed)) for seed in range(20))


@pytest.mark.parametrize(("rule", "spec"), FORMS + NAMED, ids=case_ids(FORMS + NAMED))
def test_a_stand_in_is_no_secret(rule: str, spec: str) -> None:
    """The same line with what people write in place of a secret is quiet."""
    if FIELD.search(spec):
        line = FIELD.sub(lambda field: ("x" if field[1] in "ALl" else "X" if field[1] == "U" else "0") * 40, spec)
        assert names(line) == []
    assert names("<" + rule + ">") == []


@pytest.mark.parametrize("line", NEAR_MISSES)
def test_near_misses_are_quiet(line: str) -> None:
    """Lines of real releases, or like them, that look like a secret to a careless rule."""
    assert names(line) == []


def test_every_rule_has_a_case() -> None:
    """No rule is in the table without a case above; those with more to a form have their own tests."""
    assert {rule.name for rule in _secrets.RULES} == {rule for rule, _ in FORMS + NAMED} | OTHERS


def test_a_key_file_begins_with_its_line() -> None:
    """The first line of a private key or of a PuTTY key is enough."""
    assert names("PuTTY-User-Key-File-3: ssh-ed25519") == ["putty-key"]
    assert names("-----BEGIN EC PRIVATE KEY-----") == ["private-key"]
    assert names("-----BEGIN PUBLIC KEY-----") == []
    assert names("-----BEGIN PRIVATE KEY-----END PRIVATE KEY") == ["private-key"]


def test_a_discord_token_begins_with_a_number() -> None:
    """Three parts of the right length are a token when the first is the number of an account in base 64."""
    account = base64.b64encode(b"198622483471925248").decode().rstrip("=")
    assert names(f"{account}.{made('{A6}.{A27}', 1)}") == ["discord-token"]
    assert names(f"Mxq{account[3:]}.{made('{A6}.{A27}', 1)}") == []


def test_a_json_web_token_has_a_header_and_a_signature() -> None:
    """What decodes to no header is none, and without a signature it opens nothing."""
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
    assert names(f"{head}.ey{made('{A40}.{A43}', 1)}") == ["json-web-token"]
    assert names(f"{head}.ey{made('{A40}', 1)}") == []
    assert names(f"eyx{head[3:]}.ey{made('{A40}.{A43}', 1)}") == []


@pytest.mark.parametrize(
    ("before", "line", "found"),
    [
        ("<apiToken>", "    {A32}", True),
        ("api_key: >-", "  {A32}", True),
        ("SECRET_TOKEN = (", '    "{A32}"', True),
        ("<title>", "    {A32}", False),
        ("api_key: >-", "  get_the_token_from_vault2", False),
        ("api_key: >-", "  {A32} and more words", False),
        ("", "    {A32}", False),
    ],
)
def test_a_value_on_the_next_line_is_found(before: str, line: str, found: bool) -> None:
    """A value alone on its line belongs to the element or assignment that the line above opens."""
    shown = made(line, 5)
    assert [each.rule for each in _secrets.scan_line(shown, 2, before)] == (["assigned-secret"] if found else [])
    assert [each.line for each in _secrets.scan(f"{before}\n\n{shown}\n")] == ([3] if found else [])


@pytest.mark.parametrize("alphabet", ["A", "l", "h"])
def test_what_a_generator_made_is_told_from_words(alphabet: str) -> None:
    """Nine of ten random values of 24 characters look generated; words, versions, dates and paths do not."""
    values = [made("{" + alphabet + "24}", seed) for seed in range(300)]
    assert sum(map(_secret_rule.generated, values)) >= 270
    for words in ("get_user_password_2", "2024-03-10T06:58:25Z", "path/to/some/file2/here", "1.2.3rc4-py3-none-any"):
        assert not _secret_rule.generated(words)


HOSTILE = ["a", "key=", "token:", "secret_", "://a:", "sk-", "x " * 3, "<password>", "password ", "Aa1", "eyJ.", "0/1:"]


@pytest.mark.parametrize("rule", _secrets.RULES, ids=[f"{rule.name}-{n}" for n, rule in enumerate(_secrets.RULES)])
def test_every_pattern_is_bounded_in_time(rule: _secret_rule.Rule) -> None:
    """Each pattern alone, on the longest line that is read, made of pieces that could slow it down."""
    pieces = [
        *HOSTILE,
        *rule.words[:8],
        *(word + "=" for word in rule.words[:3]),
        *(word + "_" for word in rule.words[:3]),
    ]
    for piece in pieces:
        line = (piece * _secrets.MAX_LINE)[: _secrets.MAX_LINE]
        began = time.process_time()
        for _ in rule.pattern.finditer(line):
            pass
        assert time.process_time() - began < 1, piece
