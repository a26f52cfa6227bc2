"""Studies: papers made runnable, a folder each."""
