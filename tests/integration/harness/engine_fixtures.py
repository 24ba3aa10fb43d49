"""Fixtures for tests with engines that may be told to fail. conftest.py takes them in.

A test file defines `file_engines`, the Engines of engine_calls.py for the whole file.
"""
import pytest

from .appapi import control


@pytest.fixture
def engines(file_engines):
    """The file's engines, as new. Afterwards they are well again and the hub still answers."""
    file_engines.furnish()
    yield file_engines
    for engine in file_engines.engines:
        engine.heal()
    assert control(file_engines.hub, "GET", "/heartbeat").status == 200


@pytest.fixture
def local(engines):
    return engines.local


@pytest.fixture(params=["local", "tunnel"])
def way(engines, request):
    """Each test runs twice: with the hub's own engine, and with the one behind a tunnel client."""
    return engines.ways[request.param]
