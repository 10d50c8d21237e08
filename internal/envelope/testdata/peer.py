# Reads bodies in hex, one a line; prints a verdict on each, see python_test.go.
import json
import sys

import msgpack

TEXT = ("table", "key", "action", "value", "topic")
NUMBER = ("epoch", "seq", "version")
MAX_DEPTH = 32


class Pairs(list):
    """A map with its duplicates."""


def depth(value):
    if isinstance(value, Pairs):
        value = [v for _, v in value]
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


def text(value):
    """The text of a str or bin, or None."""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return None
    return value if isinstance(value, str) else None


def number(value):
    return type(value) is int and value >= 0


def judge(body):
    """Whether Decode, and whether Renumber, must accept the body."""
    top = msgpack.unpackb(body, object_pairs_hook=Pairs)
    if not isinstance(top, Pairs):
        return False, False
    seen = {}
    for name, value in top:
        name = text(name)
        if name in TEXT or name in NUMBER:
            if name in seen:
                return False, False
            seen[name] = value
        if depth(value) > MAX_DEPTH:
            return False, False
    for name in TEXT:
        if name not in seen:
            return False, False
        if seen[name] is not None and text(seen[name]) is None:
            return False, False
    if not seen["action"] or not number(seen.get("version", 0)):
        return False, False
    return number(seen.get("epoch", 0)) and number(seen.get("seq", 0)), True


for line in sys.stdin:
    body = bytes.fromhex(line.strip())
    out = {"error": "", "event": {}, "decode": False, "renumber": False}
    try:
        event = msgpack.unpackb(body)
        out["decode"], out["renumber"] = judge(body)
        if isinstance(event, dict):
            out["event"] = {k: repr(v) if isinstance(v, bytes) else v
                            for k, v in event.items()
                            if (k in TEXT or k in NUMBER) and not isinstance(v, (list, dict, tuple, msgpack.Timestamp))}
    except Exception as e:
        out["error"] = "%s: %s" % (type(e).__name__, e)
    print(json.dumps(out))
