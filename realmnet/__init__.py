"""RealMNet: posterior staphyloma and myopic maculopathy in ultra-widefield fundus pictures.

Importing this package is cheap: nothing but the version is defined here, and libraries that would
call home are told not to. Configs load the registered classes through
``custom_imports = dict(imports=['realmnet.plugin'])``.
"""

from realmnet import offline  # noqa: F401

__version__ = '0.1.0'
