"""Experiments: the same config at full size and as a quick trial."""
