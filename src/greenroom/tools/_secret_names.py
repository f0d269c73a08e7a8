"""Secrets that only their surroundings tell: a name that says so, a vendor's name, an address, a header, a command.

What stands there has no form of its own, so every rule has a check: it must look generated, or chosen as a password.
"""

# ruff: noqa: E501 - a rule a line reads as a table

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenroom.tools import _secret_rule
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _secret_rule

rule = _secret_rule.rule
_VENDORS = (
    "abstractapi", "abuseipdb", "adafruit", "adobe", "adyen", "airbrake", "airtable", "airship", "algolia", "alienvault", "alpaca",
    "amplitude", "amazon", "anthropic", "apify", "appcenter", "appsflyer", "artifactory", "asana", "atlassian", "auth0", "autodesk",
    "aviationstack", "azure", "backblaze", "bamboohr", "beamer", "bannerbear", "betterstack", "binance", "bitbucket", "bitfinex",
    "bitly", "bitmex", "bittrex", "box", "braintree", "brandfetch", "browserstack", "bugsnag", "buildkite", "bunny",
    "buttercms", "calendly", "cartodb", "chargebee", "chatbot", "checkly", "circleci", "clarifai", "clearbit", "clickup",
    "clockify", "cloudflare", "cloudinary", "cloudsmith", "codacy", "codeclimate", "codecov", "cohere", "coinbase", "coinmarketcap",
    "confluent", "contentful", "contentstack", "convertkit", "copper", "courier", "coveralls", "databricks", "datadog", "deepgram",
    "deepl", "deepseek", "digitalocean", "discord", "disqus", "docusign", "doppler", "dropbox", "droneci", "drone", "duo", "dwolla",
    "dynatrace", "easypost", "elastic", "elevenlabs", "etherscan", "etsy", "eventbrite", "facebook", "fastly", "figma", "filestack",
    "finicity", "finnhub", "firebase", "flickr", "flutterwave", "fmp", "foursquare", "freshbooks", "freshdesk", "fullcontact",
    "geoapify", "geocodio", "github", "gitlab", "gitter", "gocardless", "google", "grafana", "graphcms", "groq", "guardian", "gumroad",
    "harness", "harvest", "hasura", "helpscout", "heroku", "honeybadger", "honeycomb", "hubspot", "hunter", "hugging", "ibm",
    "imgbb", "imgur", "infura", "instagram", "instamojo", "intercom", "ipdata", "ipgeolocation", "ipinfo", "ipstack", "jenkins", "jfrog",
    "jira", "jotform", "klaviyo", "kraken", "kucoin", "langchain", "launchdarkly", "lemonsqueezy", "linear", "linkedin", "lob",
    "locationiq", "logzio", "loggly", "lokalise", "looker", "mailchimp", "mailgun", "mailjet", "mailersend", "mandrill", "mapbox",
    "mapquest", "mattermost", "maxmind", "meraki", "messagebird", "metabase", "microsoft", "mistral", "mixpanel", "monday", "mux",
    "netlify", "newrelic", "new.relic", "newsapi", "nexmo", "ngrok", "notion", "nytimes", "okta", "onelogin", "onesignal", "openai",
    "opencage", "openweather", "opsgenie", "optimizely", "pagarme", "pagerduty", "paralleldots", "paypal", "paystack", "pendo", "percy",
    "perplexity", "pinata", "pinecone", "pipedrive", "plaid", "plivo", "polygon", "positionstack", "posthog", "postmark", "privateai",
    "prerender", "pubnub", "pusher", "qualtrics", "railway", "rapidapi", "razorpay", "recaptcha", "reddit", "redis", "replicate", "ringcentral",
    "rollbar", "salesforce", "sauce", "scaleway", "scraperapi", "scrapingbee", "segment", "sendbird", "sendgrid", "sendinblue", "sentry",
    "shodan", "shopify", "shutterstock", "signalwire", "sinch", "slack", "smartsheet", "snowflake", "snyk", "softlayer", "sonar",
    "sourcegraph", "splunk", "spotify", "squarespace", "stability", "storyblok", "strava", "stripe", "stytch", "sumologic", "sumo",
    "supabase", "surveymonkey", "tableau", "tavily", "teamgate", "telegram", "telnyx", "testingbot", "text.?magic", "ticketmaster",
    "todoist", "tomtom", "travis", "trello", "tumblr", "twilio", "twist", "twitch", "twitter", "typeform", "typetalk", "unsplash",
    "uploadcare", "uptimerobot", "vercel", "virustotal", "vonage", "voyage", "wakatime", "weatherstack", "webex", "webflow", "wepay",
    "wistia", "woocommerce", "wordpress", "wrike", "xero", "yandex", "yelp", "youtube", "zapier", "zendesk", "zenserp", "zeplin", "zerobounce",
    "zoho", "zoom", "zuora",
)  # fmt: skip

_NOT = r"(?!(?i:[\w.-]{0,40}(?:public|authentic|author(?!i[sz])|csrf|xsrf|non_?match|page|next|cursor|cache|primary|foreign|partition|sort|dedup|idempot|credentials?_?ids?\b|secrets_?id|key_?ids?\b|etag)))"
_STRONG = (
    r"(?:(?:api|app|access|account|admin|auth|client|consumer|encryption|integration|license|master|private|secret|service|session|shared"
    r"|signing|storage|subscription|user|project|deploy|webhook)[_. -]?key|secret|token|passw(?:or)?d|passwd|passphrase|pwd|auth|credential"
    r"|bearer|skey|_pat\b|_pass\b|_pw\b|apikey)"
)
_NAME = rf"(?<![\w./+-]){_NOT}(?i:[\w.-]{{0,60}}?{_STRONG}s?\d?[\w.-]{{0,20}}?)"
_TYPE = r"(?:\s?:?\s?(?:string|str|String|char\[\]|&str))?"
_SIGN = r"[\"'\\]{0,3}\]?\s{0,3}[:=!?>|,(.~-]{0,4}\s{0,3}"
_QUOTE = r"(?:[rbuf]{0,2}[\"'`]{1,3}|\\\")"
_SCHEME = r"(?i:(?:Bearer|Token|SSWS|ApiKey)\s{1,2})?"
_AFTER = r"(?=[\s\"'`,;)<}\]&|\\]|$)"
_ELEMENT = r"(?i:(?:[\w.:-]{0,40}?(?:secret|token|passw(?:or)?d|passwd|passphrase|pwd|credential|api_?key|private_?key|access_?key))[\w.:-]{0,20})"


def _named(secret: str) -> bool:
    """A value that is given to a name: generated, whatever quotes it has."""
    if any(c in "{}()^" for c in secret) or secret.startswith("["):
        return False
    words = sum(part.isalpha() and len(part) >= 4 for part in re.split(r"[-_./]", secret))
    return _secret_rule.entropy(secret) >= 3.0 and (
        _secret_rule.generated(secret)
        or (words < 2 and _secret_rule.mixed(secret) and _secret_rule.entropy(secret) >= 3.5)
    )


def _either(secret: str) -> bool:
    """A value of a password's name: generated or chosen."""
    return _secret_rule.generated(secret) or _secret_rule.chosen(secret)


_OPEN = re.compile(
    rf"<{_ELEMENT}(?:\s[^<>]{{0,100}})?>\s*$|(?i:[\w.-]{{0,40}}?{_STRONG}s?[\w.-]{{0,20}})[\"']?\s{{0,3}}(?::\s{{0,3}}[|>][+-]?|[:=]?=\s{{0,3}}[(\\]|:)\s*$"
)
_ALONE = re.compile(r"^\s{0,40}[\"'`]?([A-Za-z0-9+/=_.~!@#$%^&*?:-]{16,300})[\"'`]?[,;)]?\s{0,10}$")


def continued(line: str, before: str) -> tuple[int, int] | None:
    """The columns of a secret that stands alone on its line, where the line above opens its element or assignment."""
    match = _ALONE.match(line)
    if match is None or not _OPEN.search(before[-300:]):
        return None
    secret = match[1]
    return (
        match.span(1)
        if _secret_rule.generated(secret)
        and not secret.startswith("eyJ")
        and not _secret_rule.is_stand_in(secret, generic=True)
        else None
    )


NAMED: tuple[_secret_rule.Rule, ...] = (
    rule("address-with-password", r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s:/@\"'`?#]{0,100}:([^\s:/@\"'`?#]{3,100})@[\w.-]+", "://", check=_secret_rule.password),
    rule("authorization-header", r"(?i:authorization\W{1,6}(?:[a-z-]{3,12}\s+)?)([A-Za-z0-9+/=_.~:-]{16,400})", "authorization", entropy=3.2, check=_secret_rule.mixed),
    rule("curl-user", r"\bcurl\b.{0,200}?(?:-u|--user)[\s=]+[\"']{0,2}[^\s:\"']{0,100}[\"']?:[\"']?([^\s\"':]{6,100})", "curl", entropy=2.8, check=_secret_rule.mixed),
    rule("curl-user", r"\bcurl\b.{0,200}?(?:-u|--user)[\s=]+[\"']?([^\s\"':]{8,100}):[\"']", "curl", entropy=2.8, check=_secret_rule.mixed),
    rule("curl-header", r"\bcurl\b.{0,300}?(?:-H|--header)\s+[\"'](?i:authorization|(?:x-)?api-?(?:key|token)|(?:x-)?(?:auth-)?token):\s{0,3}(?:[A-Za-z-]{3,12}\s+)?([\w=~@.+/-]{8,400})", "curl", entropy=2.75, check=_secret_rule.header),
    rule("connection-string", r"(?i:[;,\s\"'](?:password|pwd)\s?=\s?)([^\s;,\"'<>]{6,100})(?=[;,\"'])", "password", "pwd", check=_secret_rule.chosen),
    rule("command-password", r"(?:\bsshpass\s+-p\s?|\bmysql(?:dump|admin)?\b.{0,100}?\s-p|\bdocker\s+login\b.{0,150}?\s(?:-p|--password)[\s=]|\s--?(?:password|passwd|pass)[\s=])[\"']?([^\s\"'<>$({]{6,100})", "sshpass", "mysql", "docker", "passw", "-pass", check=_either),
    rule("netrc-password", r"\bmachine\s+\S{1,100}\s+login\s+\S{1,100}\s+password\s+(\S{6,200})", "machine", check=_either),
    rule("secret-element", rf"<{_ELEMENT}(?:\s[^<>]{{0,100}})?>\s{{0,3}}(?:\{{?(?:[\w.-]{{1,40}}\s){{0,3}})?([^\s<>{{}}]{{6,300}}?)\s?\}}?\s{{0,3}}</", "</", check=_either),
    rule("secret-attribute", r"(?i:(?:key|name)\s?=\s?[\"'][\w.:-]{0,40}(?:secret|token|passw(?:or)?d|pwd|api_?key)[\w.:-]{0,20}[\"']\s{1,4}value\s?=\s?[\"'])([^\s\"'<>]{8,300})", "value", check=_either),
    rule("query-secret", r"[?&](?i:(?:api[_-]?|access[_-]?|auth[_-]?|secret[_-]?|client[_-]?|app[_-]?|token)?(?:key|token|secret|auth|appid|password|signature))=([A-Za-z0-9_.~%+/-]{16,300})", "?", "&", entropy=3.2, check=_secret_rule.generated),
    rule("assigned-secret", rf"{_NAME}{_TYPE}{_SIGN}{_QUOTE}\s?{_SCHEME}([^\s\"'`<>\\]{{10,300}}?)\s?(?:[\"'`]|\\\")", "key", "secret", "token", "passw", "auth", "credential", "pwd", "bearer", "_pat", "_pass", "_pw", check=_named),
    rule("assigned-password", r"(?i:(?<![\w.-])[\w.-]{0,50}?(?:passw(?:or)?d|passwd|passphrase|pwd|_pass)[\w.-]{0,10}?)[\"']?\]?\s{0,3}(?::=|=>|[:=]{1,3}|,)\s{0,3}(?:[rbu]?[\"'`])([^\s\"'`<>]{8,100})[\"'`]", "passw", "passphrase", "pwd", "_pass", check=_secret_rule.chosen),
    rule("assigned-password", r"^\s{0,20}(?:export\s|set\s|-e\s|ENV\s)?[A-Z0-9_]{0,40}(?:PASSWORD|PASSWD|PASSPHRASE|_PASS|PWD)[A-Z0-9_]{0,20}\s?[:=]\s?([^\s\"'`<>,;]{8,100})\s{0,10}$", "passw", "passphrase", "pwd", "_pass", check=_secret_rule.chosen),
    rule("assigned-password", r"^\s{0,20}[\w.-]{0,40}(?i:passw(?:or)?d|passwd|passphrase|pwd)\s{0,3}[:=]\s{0,3}(?=[^\s\"'`]{0,99}[!@#$%^&*?+~])([^\s\"'`<>,;]{8,100})\s{0,10}$", "passw", "passphrase", "pwd", check=_secret_rule.chosen),
    rule("assigned-password", r"(?i:identified\s+by|convertto-securestring(?:\s+-string)?|net\s+user\s+\S{1,60})\s+[\"']?([^\s\"'`<>,;]{8,100})", "identified", "convertto-securestring", "net user", check=_secret_rule.chosen),
    rule("assigned-secret", rf"{_NAME}{_TYPE}(?:{_SIGN}|\s(?:is|to)\s){_SCHEME}([A-Za-z0-9+/=_.~%!@#$^&*?-]{{16,300}}){_AFTER}", "key", "secret", "token", "passw", "auth", "credential", "pwd", "bearer", "_pat", "_pass", "_pw", entropy=3.0, check=_secret_rule.generated),
    rule("vendor-secret", rf"(?:(?<![A-Za-z])|(?<=_))(?i:{'|'.join(_VENDORS)})(?![a-z])[\w.-]{{0,30}}[\"']?\]?(?:\s{{0,3}}[:=!?>|,(]{{1,4}}\s{{0,3}}|\s-?\s?){_QUOTE}?{_SCHEME}([A-Za-z0-9_=.+/~-]{{16,300}}){_AFTER}", *(v.split(".")[0] for v in _VENDORS), entropy=3.2, check=_secret_rule.generated),
    rule("keyed-value", rf"(?<![\w./+-]){_NOT}(?i:[\w.-]{{0,50}}?(?:key|(?<![a-z])sid|hmac|webhook|license|pass|hash_?salt|salt|nonce))[\"']?\]?{_TYPE}\s{{0,3}}(?::=|=>|[:=]{{1,3}})\s{{0,3}}{_QUOTE}?([A-Za-z0-9+/=_.~-]{{20,300}}){_AFTER}", "key", "sid", "hmac", "webhook", "license", "pass", "salt", entropy=3.3, check=_secret_rule.generated),
)  # fmt: skip
