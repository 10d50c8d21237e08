"""A node on libzmq: what RunNode does without churn, see node.go.

The first argument is its configuration in JSON. Orders come as lines of JSON on
standard input, and what it sees is told as lines of JSON on standard output. It
ends with its input.
"""
import json
import os
import sys
import time
import zlib

import msgpack
import zmq

# How long after it connected a subscription counts: SUB is told of nothing.
SETTLED = 1.5


class Node:
    def __init__(self, conf):
        self.conf = conf
        self.topics = set(conf["topics"])
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.SUB)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RECONNECT_IVL, 100)
        self.socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
        self.input = b""
        self.tell(kind="open", node=conf["node"], unnumbered=True)
        for topic in self.topics:
            self.tell(kind="subscribe", topic=topic)
            self.socket.setsockopt(zmq.SUBSCRIBE, topic.encode())
        for uri in conf["connect"][0]:
            self.socket.connect(uri)
        self.settles = time.monotonic() + SETTLED

    def run(self):
        poller = zmq.Poller()
        poller.register(sys.stdin.fileno(), zmq.POLLIN)
        poller.register(self.socket, zmq.POLLIN)
        while True:
            ready = dict(poller.poll(100))
            if self.socket in ready:
                self.receive()
            if self.settles and time.monotonic() > self.settles:
                self.settles = 0
                for topic in self.topics:
                    self.tell(kind="subscribed", topic=topic)
            if sys.stdin.fileno() in ready:
                data = os.read(sys.stdin.fileno(), 65536)
                if not data:
                    return
                self.input += data
                while b"\n" in self.input:
                    line, self.input = self.input.split(b"\n", 1)
                    order = json.loads(line)
                    if order["do"] == "quit":
                        return
                    self.tell(kind="mark", reason=order.get("id", ""))

    def receive(self):
        topic, body = (part.decode() if i == 0 else part for i, part in enumerate(self.socket.recv_multipart()))
        if topic not in self.topics:
            return  # it begins with one that is held
        event = msgpack.unpackb(body, raw=False)
        if event["action"] == "sync":
            self.tell(kind="resync", topic=topic)
            return
        worker, _, n = event["key"].partition("-")
        text = "\0".join([topic, event["table"], event["key"], event["action"], event["value"]])
        self.tell(kind="event", topic=topic, worker=worker, n=int(n), sum=zlib.crc32(text.encode()))

    def tell(self, **what):
        what.update(at=time.monotonic_ns(), session=self.conf["name"])
        os.write(1, (json.dumps(what, separators=(",", ":")) + "\n").encode())


if __name__ == "__main__":
    node = Node(json.loads(sys.argv[1]))
    node.run()
    node.tell(kind="closed")
