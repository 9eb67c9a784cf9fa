"""Where a model looks: heat maps of a class, and how well they find the lesion."""
