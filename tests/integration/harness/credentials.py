"""Every secret that tests use, so that one look at a log tells whether any of them got there.

What is secret stands here and is imported from here; leaked() knows the forms in which it travels:
as it is, and in the base64 of `Basic` credentials and AUTHORIZATION-APP-API. app_token() makes more.
"""
import base64
import hashlib
import hmac

SHARED_KEY = "integration-test-key"
WRONG_KEY = "not-the-shared-key-0b7e"
APP_TOKEN = "app-token-of-sample-7d1c"
OTHER_TOKEN = "app-token-of-other-52aa"
RECORDED_KEY = "some_very_secure_password"
# Of listeners of the socket filter, and of Nextcloud's Docker Socket Proxy that it stands in for.
FILTER_USER, FILTER_PASSWORD = "monitor", "filter-pass:with-colon-19e2"
DSP_USER, DSP_PASSWORD = "app_api_haproxy_user", "dsp \"pass\\ wörd-83cd"

# user: password, as the stand-in for Nextcloud knows them from its start
PASSWORDS = {"alice": "alice-test-pass-1", "bob": "bob-test-pass-1", "admin": "admin-test-pass-1",
             "carol": "carol-disabled-pass-1", "tessa": "tessa-two-factor-pass-1"}
WRONG_PASSWORD = "wrong-pw-1"
APP_PASSWORDS = {"app-password-of-bob-9c31": "bob", "app-password-of-tessa-44d0": "tessa"}
GARBAGE_BEARER = "garbage-bearer-61fe"
# passphrase and session id of a browser: `session_cookie` puts them into a Cookie field
SESSIONS = {"alice": ("passphrase-of-alice-a81c", "session-of-alice-e2f7"),
            "bob": ("passphrase-of-bob-3d90", "session-of-bob-55b1"),
            "admin": ("passphrase-of-admin-c64e", "session-of-admin-1a0d")}
# What stands in every value of a Set-Cookie field of the stand-in: no client and no later request
# may ever show it.
NEW_COOKIE = "cookie-set-by-nextcloud"

SECRETS = [FILTER_PASSWORD, DSP_PASSWORD, SHARED_KEY, WRONG_KEY, APP_TOKEN, OTHER_TOKEN, RECORDED_KEY, WRONG_PASSWORD,
           GARBAGE_BEARER, NEW_COOKIE, *PASSWORDS.values(), *APP_PASSWORDS,
           *(value for pair in SESSIONS.values() for value in pair),
           "hush-cookie", "aHVzaC1hdXRo", "hush-key"]


def basic(user, password):
    """The value of an Authorization field."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def app_authorization(token, user=""):
    """The value of AUTHORIZATION-APP-API."""
    return base64.b64encode(f"{user}:{token}".encode()).decode()


_signatures = set()


def app_token(container, appid, port, key=SHARED_KEY):
    """What one ExApp logs in with at the tunnel port; its signature is a secret from now on."""
    said = "\0".join(("exapp", container, appid, str(port)))
    mac = hmac.new(key.encode(), said.encode(), hashlib.sha256).digest()
    signature = base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
    _signatures.add(signature.encode())
    return f"{container}~{appid}~{port}~{signature}"


def _forms():
    for secret in SECRETS:
        yield secret.encode()
    for user in ("", *PASSWORDS, "nobody"):
        for secret in (APP_TOKEN, OTHER_TOKEN, WRONG_PASSWORD, *PASSWORDS.values(), *APP_PASSWORDS):
            yield app_authorization(secret, user).encode()
    for user, secret in ((FILTER_USER, FILTER_PASSWORD), (DSP_USER, DSP_PASSWORD)):
        yield app_authorization(secret, user).encode()


FORMS = sorted(set(_forms()))


def leaked(text):
    """The secrets in these bytes."""
    return [form.decode() for form in (*FORMS, *sorted(_signatures)) if form in text]
