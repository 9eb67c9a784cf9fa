"""A model outside its training: its description, packing, export, and running without torch."""
