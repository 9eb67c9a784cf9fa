"""Pure functions on arrays: what predictions are worth. Works without torch."""
