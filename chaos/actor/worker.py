"""A worker on libzmq: the same as RunWorker, see worker.go.

The first argument is its configuration in JSON. Orders come as lines of JSON on
standard input, and what was accepted is told as lines of JSON on standard output.
It ends with its input.
"""
import json
import os
import random
import sys
import time
import zlib

import msgpack
import zmq


class Worker:
    def __init__(self, conf):
        self.conf = conf
        self.random = random.Random(conf["seed"])
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.PUSH)
        self.socket.setsockopt(zmq.LINGER, 1000)
        self.socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        self.socket.connect("ipc://" + conf["socket"])
        self.counts = {}
        self.paused = False
        self.input = b""

    def run(self):
        poller = zmq.Poller()
        poller.register(sys.stdin.fileno(), zmq.POLLIN)
        due = time.monotonic()
        while True:
            wait = max(0, due - time.monotonic())
            if dict(poller.poll(wait * 1000)):
                data = os.read(sys.stdin.fileno(), 65536)
                if not data:
                    return
                self.input += data
                while b"\n" in self.input:
                    line, self.input = self.input.split(b"\n", 1)
                    if not self.obey(json.loads(line)):
                        return
            if time.monotonic() < due:
                continue
            if not self.paused:
                self.publish(self.topic(), self.random.randint(1, self.conf["size"]))
            due = time.monotonic() + self.random.expovariate(self.conf["rate"])

    def obey(self, order):
        what = order["do"]
        if what == "pause":
            self.paused = True
        elif what == "go":
            self.paused = False
        elif what == "burst":
            for _ in range(order["n"]):
                if not self.publish(order["topic"], order["size"]):
                    break
        elif what == "quit":
            return False
        self.tell(kind="mark", at=time.monotonic_ns(), reason=order.get("id", ""))
        return True

    def topic(self):
        for topic in self.conf["topics"][:-1]:
            if self.random.random() < 0.5:
                return topic
        return self.conf["topics"][-1]

    def publish(self, topic, size):
        """Publishes one event, if there is room in the socket within a second."""
        n = self.counts.get(topic, 0) + 1
        key = "%s-%d" % (self.conf["name"], n)
        value = "x" * size
        event = {"table": "lport", "key": key, "action": "set", "value": value, "topic": topic}
        begin = time.monotonic_ns()
        if not self.socket.poll(1000, zmq.POLLOUT):
            return False
        try:
            self.socket.send_multipart([topic.encode(), msgpack.packb(event, use_bin_type=True)], zmq.NOBLOCK)
        except zmq.Again:
            return False
        self.counts[topic] = n
        total = zlib.crc32("\0".join([topic, "lport", key, "set", value]).encode())
        self.tell(kind="accept", at=begin, end=time.monotonic_ns(), publisher=self.conf["publisher"], topic=topic,
                  worker=self.conf["name"], n=n, sum=total)
        return True

    def tell(self, **what):
        os.write(1, (json.dumps(what, separators=(",", ":")) + "\n").encode())


if __name__ == "__main__":
    worker = Worker(json.loads(sys.argv[1]))
    worker.run()
    worker.socket.close()
    worker.context.term()
