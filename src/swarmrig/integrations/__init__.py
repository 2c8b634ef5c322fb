"""Swarms inside other tools: an interactive session, a plugin of pytest, drivers of Jumpstarter."""
