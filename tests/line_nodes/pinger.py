"""A node by the reference client: asks `to` again and again, and answers what it is asked. As a program of its own."""

import sys

from swarmrig.line_client import Node, serve


class Pinger(Node):
    def start(self):
        settings = self.config["settings"]
        self.stepped = settings.get("stepped", False)
        self.log(f"ready: {self.id} of {','.join(self.config['nodes'])} at {self.now_us}")
        if "to" in settings:
            self.to, self.sent = settings["to"], 0
            self.every(settings["period_us"], self.ask)

    def ask(self):
        self.sent += 1
        self.send(self.to, {"n": self.sent}, type="ping")

    def receive(self, event):
        self.log(f"{event['type']} {event['payload']['n']} of {event['src']} sent {event['time_us']} at {self.now_us}")
        if event["type"] == "ping":
            self.send(event["src"], event["payload"], type="pong")


if __name__ == "__main__":
    print("this is no part of the protocol", file=sys.stderr)
    serve(Pinger())
