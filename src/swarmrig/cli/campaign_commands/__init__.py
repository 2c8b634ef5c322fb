"""The commands of `swarmrig campaign`, a module each; imported when called."""
