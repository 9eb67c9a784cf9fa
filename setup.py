"""Package of RealMNet; tested pins are in requirements.txt, ranges here."""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
VERSION = next(
    line.split("'")[1]
    for line in (ROOT / 'realmnet' / '__init__.py').read_text().splitlines()
    if line.startswith('__version__')
)


class BuildWithModelIndex(build_py):
    """Put configs, tools and model index into ``realmnet/.mim``, where OpenMIM looks for them.

    Links in an editable installation, copies in a wheel.
    """

    def run(self) -> None:
        """Build the modules, then fill the folder."""
        super().run()
        package = ROOT / 'realmnet' if self.editable_mode else Path(self.build_lib, 'realmnet')
        folder = package / '.mim'
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in ('configs', 'tools', 'model-index.yml'):
            if self.editable_mode:
                (folder / name).symlink_to(Path('..', '..', name))
            elif (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=_CACHES)
            else:
                shutil.copy(ROOT / name, folder / name)


_CACHES = shutil.ignore_patterns('__pycache__')

setup(
    cmdclass={'build_py': BuildWithModelIndex},
    name='realmnet',
    version=VERSION,
    description='Posterior staphyloma and myopic maculopathy in ultra-widefield fundus pictures',
    long_description=(ROOT / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['realmnet', 'realmnet.*']),
    package_data={
        'realmnet.reporting': ['*.html', '*.md'],
        'realmnet.reporting.published': ['*.csv', '*.json'],
    },
    python_requires='>=3.11',
    install_requires=[
        'grad-cam>=1.5.5',
        'matplotlib>=3.9',
        'mmcv-lite>=2.1,<2.3',
        'mmengine>=0.10.7,<0.11',
        'mmpretrain>=1.2,<1.3',
        'numpy>=2.0',
        'opencv-python>=4.9',
        'pandas>=2.2',
        'pillow>=10.3',
        'scikit-learn>=1.5',
        'scipy>=1.13',
        'setuptools<81',  # mmengine resolves `mmpretrain::` configs through pkg_resources
        'simplejpeg>=1.7.4',
        'statsmodels>=0.14',
        'timm>=1.0,<1.1',
        'torch>=2.6',
        'torchvision>=0.21',
        'tqdm>=4.66',
    ],
    extras_require={
        'deploy': ['onnx>=1.20', 'onnxruntime>=1.23', 'onnxscript>=0.5'],
        'demo': ['gradio>=6.31,<7'],
        # gdcm reads lossless JPEG and JPEG-LS, openjpeg HTJ2K; libjpeg's plug-in would be GPL
        'dicom': [
            'pydicom>=3.0',
            'pylibjpeg>=2.0',
            'pylibjpeg-openjpeg>=2.0',
            'python-gdcm>=3.0.24',
        ],
        'tensorboard': ['tensorboard>=2.17'],
        'wandb': ['wandb>=0.18'],
        'test': [
            'gradio>=6.31,<7',
            'hypothesis>=6.100',
            'onnx>=1.20',
            'onnxruntime>=1.23',
            'onnxscript>=0.5',
            'playwright>=1.50',
            'pydicom>=3.0',
            'pytest>=8',
            'ruff==0.17.6',
            'tensorboard>=2.17',
            'wandb>=0.18',
        ],
        'dev': ['pre-commit>=3.7'],
    },
)
