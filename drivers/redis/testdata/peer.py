"""A Dragonflow peer as far as Redis sees one, with Debian's python3-redis.

peer.py HOST PORT publish CHANNEL    publishes a body, which comes in hex by standard input
peer.py HOST PORT subscribe CHANNEL COUNT
                                     prints "ready", then each event that comes, decoded, as JSON; no beacons
"""
import json
import sys

import msgpack
import redis


def main(host, port, verb, channel, count="0"):
    client = redis.Redis(host=host, port=int(port), socket_timeout=20)
    if verb == "publish":
        print(client.publish(channel, bytes.fromhex(sys.stdin.read())))
        return
    peer = client.pubsub()
    peer.subscribe(channel)
    left = int(count)
    for message in peer.listen():
        if message["type"] == "subscribe":
            print("ready", flush=True)
        if message["type"] != "message":
            continue
        event = msgpack.unpackb(message["data"], raw=False)
        if event["action"] == "beacon":
            continue
        print(json.dumps({key: event[key] for key in ("table", "key", "action", "value", "topic")}), flush=True)
        left -= 1
        if left <= 0:
            return


main(*sys.argv[1:])
