"""A ZeroMQ peer as Dragonflow's processes are: libzmq, and bodies in msgpack.

The first argument is a JSON object: the socket's type, where it connects or
binds, its options. Orders come as lines of JSON on standard input, and whatever
happens is told as lines of JSON on standard output. It ends with its input.
"""
import json
import os
import sys

import msgpack
import zmq
from zmq.utils.monitor import parse_monitor_message


def tell(**what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def body(event, form):
    """The body of an event, as a new or as an old msgpack writes it."""
    return msgpack.packb(event, use_bin_type=form == "new")


def text(value):
    """Text, of bytes that may be anything."""
    return value.decode("utf-8", "backslashreplace")


class Stream:
    """Events on their way: numbered, of one worker."""

    def __init__(self, order):
        self.order = order
        self.next = order.get("first", 0)
        self.end = self.next + order["count"] if "count" in order else None
        self.every = order.get("every", 0)  # ms; 0: as fast as it can

    def frames(self):
        o, i = self.order, self.next
        # Every fourth is larger than what a short form can say.
        value = json.dumps({"id": i, "data": "x" * (300 if i % 4 == 0 else 20)})
        event = {"table": "lport", "key": "%s-%d" % (o["worker"], i), "action": "set", "value": value, "topic": o["topic"]}
        return [o["topic"].encode(), body(event, o.get("form", "new"))]


class Peer:
    def __init__(self, conf):
        self.context = zmq.Context()
        self.socket = self.context.socket(getattr(zmq, conf["type"]))
        self.receives = conf["type"] in ("SUB", "PULL")
        self.keys = conf.get("keys", False)
        self.linger = conf.get("linger", -1)
        for name, value in conf.get("options", {}).items():
            self.socket.setsockopt(getattr(zmq, name), value)
        for topic in conf.get("topics", []):
            self.socket.setsockopt(zmq.SUBSCRIBE, topic.encode())
        self.monitor = None
        if conf.get("monitor"):
            self.monitor = self.socket.get_monitor_socket()
        for uri in conf.get("connect", []):
            self.socket.connect(uri)
        where = ""
        if "bind" in conf:
            self.socket.bind(conf["bind"])
            where = self.socket.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()
        self.stream = None
        self.input = b""
        tell(ready=where, libzmq=zmq.zmq_version())

    def run(self):
        poller = zmq.Poller()
        poller.register(sys.stdin.fileno(), zmq.POLLIN)
        if self.monitor:
            poller.register(self.monitor, zmq.POLLIN)
        while True:
            want = zmq.POLLIN if self.receives else 0
            paced = self.stream and self.stream.every
            if self.stream and not paced:
                want |= zmq.POLLOUT
            poller.register(self.socket, want)  # 0 unregisters
            ready = dict(poller.poll(self.stream.every if paced else None))
            if sys.stdin.fileno() in ready and not self.orders():
                return
            if self.monitor in ready:
                message = parse_monitor_message(self.monitor.recv_multipart())
                tell(monitor=zmq.Event(message["event"]).name)
            if ready.get(self.socket, 0) & zmq.POLLIN:
                self.receive()
            if self.stream and (self.stream.every or ready.get(self.socket, 0) & zmq.POLLOUT):
                self.send(20 if self.stream.every else 200)

    def orders(self):
        """Carries out what standard input says; false at its end."""
        data = os.read(sys.stdin.fileno(), 65536)
        self.input += data
        while b"\n" in self.input:
            line, self.input = self.input.split(b"\n", 1)
            self.order(json.loads(line))
        return bool(data)

    def order(self, order):
        what = order["do"]
        if what == "subscribe":
            self.socket.setsockopt(zmq.SUBSCRIBE, order["topic"].encode())
        elif what == "unsubscribe":
            self.socket.setsockopt(zmq.UNSUBSCRIBE, order["topic"].encode())
        elif what == "send":
            self.stream = Stream(order)
        elif what == "stop":
            tell(sent=self.stream.next if self.stream else 0)
            self.stream = None
        elif what == "raw":
            self.socket.send_multipart([bytes.fromhex(f) for f in order["frames"]])

    def send(self, most):
        """Sends what the socket takes, up to so many."""
        s = self.stream
        for _ in range(most):
            if s.next == s.end:
                tell(sent=s.next)
                self.stream = None
                return
            try:
                self.socket.send_multipart(s.frames(), zmq.NOBLOCK)
            except zmq.Again:
                return
            s.next += 1

    def receive(self):
        """Tells of what the socket has, up to some."""
        for _ in range(200):
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            if len(frames) != 2:
                tell(bad="%d frames" % len(frames))
                continue
            event = msgpack.unpackb(frames[1], raw=False)
            event = {k: v.decode("utf-8") if isinstance(v, bytes) else v for k, v in event.items()}
            if self.keys:  # as the map has them, for who wants to compare
                event = dict(event, keys=list(event))
            sys.stdout.write(json.dumps({"event": event, "frame": text(frames[0])}, separators=(",", ":")) + "\n")
        sys.stdout.flush()

    def close(self):
        self.socket.close(linger=self.linger)
        self.context.term()


if __name__ == "__main__":
    peer = Peer(json.loads(sys.argv[1]))
    peer.run()
    if peer.monitor:
        peer.socket.disable_monitor()
    peer.close()
