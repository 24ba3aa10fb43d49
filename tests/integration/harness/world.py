"""A hub, Nextcloud's stand-in and an ExApp of raw bytes, set up for tests of who may do what.

The ExApp `sample` is known to Nextcloud alone and connected to directly. 127.0.0.1 is a trusted
proxy, so each request may come from an address of its own.
"""
import itertools

from .appapi import at, outcome
from .credentials import APP_TOKEN
from .wire import response

ROUTES = (("^/public", 0), ("^/guarded", 0, [401, 403]), ("^/user", 1), ("^/admin", 2), ("^/$", 0))
SETTINGS = {"HP_TRUSTED_PROXY_IPS": "127.0.0.1", "HP_SESSION_LIFETIME": "0"}

_numbers = itertools.count()


def new_address():
    """An address that no request came from yet."""
    number = next(_numbers)
    return f"198.18.{number // 250}.{number % 250 + 1}"


class World:
    """get() asks the hub as a client with an address of its own, unless `address` says another.
    kwargs are the stand-in's."""

    def __init__(self, site, settings=(), routes=ROUTES, apps=("sample",), certs=None, **kwargs):
        self.site = site
        self.origin = site.origin(response(b"served"))
        self.nc = site.nextcloud(**kwargs)
        self.routes = routes
        for name in apps:
            self.know(name)
        self.hub = site.hub(settings={**SETTINGS, **dict(settings)}, nextcloud=self.nc, certs=certs)

    def know(self, name, **kwargs):
        """Nextcloud knows an app of that name, at this world's ExApp."""
        return self.nc.add_app(name, **{"port": self.origin.port, "token": APP_TOKEN,
                                        "routes": self.routes, **kwargs})

    def get(self, path, *fields, app="sample", address=None, method="GET", body=b"", seconds=None):
        """A Response, or None: closed without an answer. path None: just /exapps/{app}."""
        return self.ask(f"/exapps/{app}{path or ''}", *fields, address=address, method=method,
                        body=body, seconds=seconds)

    def ask(self, target, *fields, address=None, method="GET", body=b"", seconds=None):
        return outcome(self.hub.http, target, at(address or new_address()), *fields, method=method,
                       body=body, seconds=seconds)

    def status(self, path, *fields, **kwargs):
        reply = self.get(path, *fields, **kwargs)
        return reply.status if reply else None

    def last(self):
        """The last request that the ExApp got."""
        return self.origin.requests[-1]

    def questions(self, kind=None, app=None):
        """How many times Nextcloud was asked."""
        return len(self.nc.asked(kind, app))

    def reset(self):
        """As at the start, but for what the hub remembers."""
        self.nc.broken, self.nc.delay, self.nc.maintenance = None, 0, False
        self.nc.forget()
        self.origin.answer, self.origin.lazy = response(b"served"), False
        self.origin.requests.clear()
