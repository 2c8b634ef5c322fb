"""Campaigns: scenarios × matrix × seeds, run wherever there is room, judged together."""
