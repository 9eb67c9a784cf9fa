"""RealMNet: posterior staphyloma and myopic maculopathy in ultra-widefield fundus pictures.

Importing this package is cheap: nothing but the version is defined here. Configs load the
registered classes through ``custom_imports = dict(imports=['realmnet.plugin'])``.
"""

__version__ = '0.1.0'
