"""Labels and pictures before any model sees them. Works without torch."""
