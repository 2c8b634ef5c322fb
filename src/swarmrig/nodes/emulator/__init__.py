"""What nodes share that run in QEMU, whatever kind they are of: its process, monitor, console and memory."""
