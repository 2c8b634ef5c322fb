"""What a scenario may say about a QEMU node, and what it may not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from swarmrig.nodes.qemu.options import ALLOWED_ARGUMENTS, QemuOptions


def problem(**options: object) -> str:
    with pytest.raises(ValidationError) as caught:
        QemuOptions.model_validate(options)
    return str(caught.value)


def test_nothing_needs_to_be_said() -> None:
    options = QemuOptions()
    assert options.args == () and options.machine_binary is None and options.console == 0


def test_every_option_can_be_said() -> None:
    options = QemuOptions.model_validate(
        {
            "machine_binary": "/opt/qemu/bin/qemu-system-arm",
            "arch": "arm",
            "qemu_machine": "mps2-an385",
            "cpu": "cortex-m3,vfp=off",
            "memory": "16MiB",
            "load": "loader",
            "bios": "none",
            "onboard_nic": "lan9118",
            "console": 1,
            "dhcp": True,
            "factory_mac": False,
            "args": ["-d", "guest_errors,unimp", "-device", "edu,dma_mask=0xff", "-append", "console=ttyS0 a=b,c"],
        }
    )
    assert options.memory == 16 << 20
    assert QemuOptions.model_validate(options.model_dump()) == options
    assert QemuOptions.model_validate(options.model_dump(mode="json")) == options


def test_unknown_options_are_refused() -> None:
    assert "memroy" in problem(memroy="1MiB")


@pytest.mark.parametrize(
    "options",
    [
        {"qemu_machine": "virt,dumpdtb=/etc/passwd"},
        {"qemu_machine": "-monitor"},
        {"qemu_machine": ""},
        {"cpu": "rv32 -monitor stdio"},
        {"cpu": "max,file=/etc/passwd"},
        {"nic": "e1000,romfile=/etc/passwd"},
        {"onboard_nic": "lan9118,netdev=x"},
        {"arch": "riscv33"},
        {"memory": "1EiB"},
        {"memory": 0},
        {"memory": True},
        {"console": -1},
        {"load": "initrd"},
        {"machine_binary": "/tmp/a\nb"},
        {"machine_binary": ""},
    ],
)
def test_values_with_a_hidden_meaning_are_refused(options: dict[str, object]) -> None:
    problem(**options)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-monitor", "tcp:0.0.0.0:4444,server"],
        ["-qmp", "unix:/tmp/x,server"],
        ["-chardev", "socket,id=x,port=1,host=0.0.0.0,server=on"],
        ["-serial", "tcp::1234,server"],
        ["-gdb", "tcp::1234"],
        ["-s", ""],
        ["-netdev", "user,id=x"],
        ["-drive", "file=/etc/shadow"],
        ["-fsdev", "local,path=/,id=x"],
        ["-virtfs", "local,path=/,mount_tag=x"],
        ["-semihosting", "on"],
        ["-D", "/etc/passwd"],
        ["-pidfile", "/etc/x"],
        ["-incoming", "exec:sh"],
        ["-runas", "root"],
        ["-readconfig", "/tmp/x"],
        ["--daemonize", ""],
        ["-device", "vfio-pci,host=00:00.0"],
        ["-device", "usb-host,hostbus=1"],
        ["-device", "loader,file=/etc/shadow,addr=0"],
        ["-device", "virtio-net-device,netdev=net"],
        ["-device", "e1000,romfile=/etc/shadow"],
        ["-device", '{"driver":"loader","file":"/etc/shadow"}'],
        ["-device", "edu,,x=y"],
        ["-global", "driver=e1000,property=romfile,value=/etc/shadow"],
        ["-global", "e1000.romfile=/etc/shadow"],
        ["-icount", "shift=1,rr=record,rrfile=/tmp/x"],
        ["-d", "exec -monitor stdio"],
        ["-append", "a\nb"],
        ["-seed", "-1"],
        ["-smp"],
    ],
)
def test_arguments_that_reach_beyond_the_guest_are_refused(arguments: list[str]) -> None:
    problem(args=arguments)


@settings(deadline=None)
@given(st.lists(st.text(max_size=20), max_size=4))
def test_no_list_of_words_passes_unless_every_option_is_allowed(arguments: list[str]) -> None:
    try:
        options = QemuOptions(args=tuple(arguments))
    except ValidationError:
        return
    assert set(options.args[::2]) <= set(ALLOWED_ARGUMENTS)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_no_device_value_names_a_back_end(value: str) -> None:
    try:
        options = QemuOptions(args=("-device", value))
    except ValidationError:
        return
    assert not {"netdev", "chardev", "file"} & {part.split("=")[0] for part in options.args[1].split(",")[1:]}


def test_the_schema_describes_every_option() -> None:
    schema = QemuOptions.model_json_schema()
    assert all(field["description"] for field in schema["properties"].values())
    assert "-append" in schema["properties"]["args"]["description"]
