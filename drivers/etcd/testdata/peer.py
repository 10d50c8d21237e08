"""A Dragonflow peer as far as etcd sees one: keys below /pubsub/, through the
HTTP gateway, with nothing but the standard library.

peer.py URL put TOPIC -       writes a body, which comes in hex by standard input
peer.py URL watch TOPIC COUNT prints "ready", then each body that comes, in hex
"""
import base64
import json
import sys
import urllib.request


def b64(data):
    return base64.b64encode(data).decode("ascii")


def post(url, path, message):
    request = urllib.request.Request(url + path, json.dumps(message).encode("utf-8"), {"Content-Type": "application/json"})
    return urllib.request.urlopen(request, timeout=20)


def main(url, verb, topic, argument):
    key = b64(b"/pubsub/" + topic.encode("utf-8"))
    if verb == "put":
        post(url, "/v3/kv/put", {"key": key, "value": b64(bytes.fromhex(sys.stdin.read()))}).read()
        return
    left = int(argument)
    for line in post(url, "/v3/watch", {"create_request": {"key": key}}):
        result = json.loads(line)["result"]
        if result.get("created"):
            print("ready", flush=True)
        for event in result.get("events", ()):
            if event.get("type", "PUT") == "PUT":
                print(base64.b64decode(event["kv"]["value"]).hex(), flush=True)
                left -= 1
        if left <= 0:
            return


main(*sys.argv[1:])
