"""Pictures, DICOM files and label tables made for the tests."""

import cv2
import numpy as np
import pandas as pd

from realmnet.curation.label_schema import PSMM
from realmnet.curation.label_table import LabelTable


def draw_picture(seed, size=(480, 384), border=True, lossy=True):
    """Draw a lit ellipse on black (or on the lit frame of the device) with noise.

    Returns:
        The RGB picture, and the mask of the retina.
    """
    rng = np.random.default_rng(seed)
    width, height = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    centre = (width * rng.uniform(0.45, 0.55), height * rng.uniform(0.45, 0.55))
    axes = (width * rng.uniform(0.28, 0.42), height * rng.uniform(0.28, 0.42))
    radius = ((x - centre[0]) / axes[0]) ** 2 + ((y - centre[1]) / axes[1]) ** 2
    retina = radius < 1
    light = np.clip(1.15 - radius * rng.uniform(0.2, 0.9), 0.12, 1)
    colour = np.array([200, 110, 60]) * rng.uniform(0.6, 1.2)
    image = light[..., None] * colour * retina[..., None]
    if not border:
        image[~retina] = np.array([60, 75, 40]) * rng.uniform(0.7, 1.3)
    image += rng.normal(0, rng.uniform(0.3, 2.5), image.shape)
    image = np.clip(image, 0, 255).astype(np.uint8)
    if lossy:
        _, data = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
    return np.ascontiguousarray(image), retina


def rgb(height=48, width=64):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 3, y * 4, (x + y) % 256], -1).astype(np.uint8)


def write_dicom(path, pixels, kind='RGB', bits=8, **tags):
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.SOPClassUID = SecondaryCaptureImageStorage
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID
    data.PatientName, data.PatientID = 'Zhang^San', '4711'
    data.PatientBirthDate = '19800101'
    data.Rows, data.Columns = pixels.shape[:2]
    data.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    data.PhotometricInterpretation = kind
    if pixels.ndim == 3:
        data.PlanarConfiguration = 0
    data.BitsAllocated = 8 if bits == 8 else 16
    data.BitsStored, data.HighBit, data.PixelRepresentation = bits, bits - 1, 0
    data.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)


def psmm_table(names_and_sets, source='test.csv'):
    """A table from pairs such as ('SUSTech-1_1.jpg', 'S0A1')."""
    rows = []
    for name, labels in names_and_sets:
        present = {labels[:2], labels[2:]}
        rows.append([int(c in present) for c in PSMM.classes] + [name, name.partition('_')[0]])
    frame = pd.DataFrame(rows, columns=PSMM.columns)
    frame[list(PSMM.classes)] = frame[list(PSMM.classes)].astype(np.int8)
    return LabelTable(frame, PSMM, source)
