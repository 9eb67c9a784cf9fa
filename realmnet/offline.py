"""Libraries that would call home, told not to before any of them is imported.

``realmnet/__init__.py`` imports this first, so that it holds in every tool and in every program
that imports any part of the package. Whoever sets one of the variables has the last word. What is
asked for is not concerned: weights by ``http(s)://`` and ``timm://``, and ``--with wandb``.
"""

import os

#: Environment variable to value, with what its library would do otherwise.
QUIET = {
    # onnxruntime keeps a device id and a queue of events under the home folder, from its import on
    'ORT_DISABLE_TELEMETRY': '1',
    # gradio asks for its newest version and reports its start
    'GRADIO_ANALYTICS_ENABLED': 'False',
    # the hub's client, which timm and gradio import, reports which libraries use it
    'HF_HUB_DISABLE_TELEMETRY': '1',
    # albumentations, which mmpretrain imports where it is installed, asks for its newest version
    'NO_ALBUMENTATIONS_UPDATE': '1',
    # the sign that many others heed
    'DO_NOT_TRACK': '1',
}

for _name, _value in QUIET.items():
    os.environ.setdefault(_name, _value)
