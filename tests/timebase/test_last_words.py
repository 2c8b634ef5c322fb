"""A guest that ends says so in its channel before anybody sees its emulator end; who asks at once hears it, too."""

import socket
from dataclasses import replace

import pytest
from simulation import network

from swarmrig.model.network import PortKind
from swarmrig.net.engine import Engine
from swarmrig.timebase import guest_protocol
from swarmrig.timebase.loop import VirtualLoop
from swarmrig.timebase.protocol import Command, Line
from swarmrig.timebase.stepping import Stepping


@pytest.fixture
def led(tmp_path):
    """A loop with one guest for whom time has begun, and the emulator's end of its channel."""
    plan = network(2, [0, 1000], {})
    devices = tuple(replace(device, port=PortKind.LOCKSTEP) for device in plan.devices)
    loop = VirtualLoop(Engine(replace(plan, devices=devices)), {}, tmp_path)
    near, end = socket.socketpair()
    loop.attach("g0", near.detach())
    loop.go(10**9, 0, Stepping())
    yield loop, end
    end.close()
    loop.close()


def test_who_asks_at_once_where_a_guest_ended_hears_its_last_words(led):
    loop, end = led
    end.sendall(guest_protocol.hello("m", [Command.FRAME, Command.CONSOLE]))
    end.sendall(guest_protocol.report(272, console=[Line(208, b"up\n", True)]))
    end.close()
    assert loop.whereabouts("g0")["t_ns"] == 272
    guest = loop.guest("g0")
    assert guest.take_lines() == [(208, "up")]
    assert not guest.alive and not guest.unreported


def test_who_asks_where_a_silent_guest_is_waits_for_nothing(led):
    loop, _ = led
    assert loop.whereabouts("g0")["t_ns"] == 0
    assert loop.guest("g0").alive
