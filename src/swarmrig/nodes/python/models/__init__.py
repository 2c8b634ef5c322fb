"""The models that come with the rig, each in a module of its own: see nodes.python.shipped."""
