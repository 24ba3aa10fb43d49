"""What the integration tests stand on.

programs.py knows how the programs are started (options, environment, files, ready lines): the only
place that does. process.py watches a child from start to end. origin.py is the far side of the
hub: a server that keeps every byte it got and answers what a test scripts. client.py is the near
side. wire.py reads HTTP/1.1 strictly, for both. All waits have an end: `Deadline`.
"""
from .appapi import (appapi_fields, assert_hubs_own, at, basic_field, bearer_field, control, meta,
                     outcome, push, session_cookie, status)
from .client import RawClient, fetch
from .credentials import SECRETS, leaked
from .nextcloud import Nextcloud
from .origin import RawOrigin, Request
from .programs import (BUILD, Hub, SampleExApp, SocketFilter, TunnelClient, app, free_port,
                       program, program_is_sanitized, run_program)
from .wait import DEFAULT, Deadline, Overdue, wait_for
from .wire import Head, Response, Malformed, chunk, response

__all__ = [
    "BUILD", "DEFAULT", "Deadline", "Head", "Hub", "Malformed", "Nextcloud", "Overdue", "RawClient",
    "RawOrigin", "Request", "Response", "SECRETS", "SampleExApp", "SocketFilter", "TunnelClient", "app",
    "appapi_fields", "assert_hubs_own", "at", "basic_field", "bearer_field", "chunk", "control",
    "fetch", "free_port", "leaked", "meta", "outcome", "program", "program_is_sanitized", "push",
    "response", "run_program", "session_cookie", "status", "wait_for",
]
