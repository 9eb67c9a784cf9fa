"""Sweeps of experiments: a data file expands to ordinary configs, runs leave records."""
