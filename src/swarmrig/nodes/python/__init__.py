"""Python nodes: models to build them from, models that are shipped, and the backend that puts them into a network.

The network process hosts these nodes, so everything but the backend keeps to the standard library.
"""

from swarmrig.api.steppable import Timer
from swarmrig.nodes.python.host import Datagram, Host, UdpSocket
from swarmrig.nodes.python.message import MESSAGE_PORT, Message
from swarmrig.nodes.python.model import Model
from swarmrig.nodes.python.settings import Duration, NodeId, Rate, Share, Size

__all__ = [
    "MESSAGE_PORT",
    "Datagram",
    "Duration",
    "Host",
    "Message",
    "Model",
    "NodeId",
    "Rate",
    "Share",
    "Size",
    "Timer",
    "UdpSocket",
]
