"""The exceptions that stand for a mistake in what a user handed in."""


class InputError(ValueError):
    """A file, picture, label or setting that cannot be used as it is.

    The message is one sentence that names the place (file, row), what was expected, what was
    found and what to do. Command-line tools print it without a traceback and exit with 1.
    """


class LabelTableError(InputError):
    """A label table that breaks the rules of its schema, or a schema that breaks its own."""


class InputWarning(UserWarning):
    """Something that a user should look at, though the work goes on; tools print one line."""
