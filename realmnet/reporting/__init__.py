"""Tables and figures. Works without torch."""
