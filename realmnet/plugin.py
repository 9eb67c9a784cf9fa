"""Import every class that a config can name. Configs say ``custom_imports`` for this module."""

import realmnet.datasets
import realmnet.deployment.description_hook
import realmnet.engine
import realmnet.models  # noqa: F401
