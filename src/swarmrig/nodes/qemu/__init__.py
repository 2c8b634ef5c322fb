"""Nodes that QEMU emulates: a catalogue of machines, their command lines, consoles, monitors and memory."""
