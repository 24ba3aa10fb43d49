"""What of two containers, or two answers, has to be the same: all but names of the moment."""
import json
import re

MARKS = [(re.compile(pattern), mark) for pattern, mark in (
    (r"[0-9a-f]{64}", "<id>"), (r"\b[0-9a-f]{12}\b", "<short id>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
    (r"127\.0\.0\.1:\d+->", "<from>"), (r'"Pid": ?\d+', '"Pid": <pid>'))]


def alike(text):
    """The text without what differs from one container, and one moment, to the next."""
    for pattern, mark in MARKS:
        text = pattern.sub(mark, text)
    return text


def without_empty(value):
    """Docker tells an empty list or object where it was given one, and null where nothing was."""
    if isinstance(value, dict):
        return {key: without_empty(row) for key, row in value.items()} or None
    if isinstance(value, list):
        return [without_empty(row) for row in value] or None
    return value


def alike_document(document):
    """The same of an inspected container, or of whatever else was JSON: as text. An engine tells
    the mounts of a container in any order."""
    if isinstance(document, dict) and document.get("Mounts"):
        document = {**document, "Mounts": sorted(document["Mounts"],
                                                 key=lambda mount: mount["Destination"])}
    return alike(json.dumps(without_empty(document), indent=1))


def hide_environment(document):
    """Takes the values of the environment out of an inspected container, as the filter does."""
    document["Config"]["Env"] = [row.partition("=")[0] + "=<hidden>"
                                 for row in document["Config"]["Env"]]
    return document
