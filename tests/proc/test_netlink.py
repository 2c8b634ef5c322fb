"""Links of the real kernel; removal is tested with a killed rig, in a namespace of its own."""

import os

from swarmrig.proc import netlink


def test_links_are_listed_with_index_and_name():
    listed = {link.name: link.index for link in netlink.links()}
    assert set(listed) == {name for name in os.listdir("/sys/class/net") if name != "bonding_masters"}
    for name, index in listed.items():
        with open(f"/sys/class/net/{name}/ifindex") as file:
            assert int(file.read()) == index


def test_a_link_that_is_gone_is_deleted():
    if os.geteuid() == 0:
        netlink.delete(netlink.Link(0x7FFFFFF0, "gone", ""))
