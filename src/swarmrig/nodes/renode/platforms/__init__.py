"""Platforms of ours: files in Renode's platform description format."""
