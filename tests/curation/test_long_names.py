"""Names as long as a file system allows, and names that are no text."""

import os

import numpy as np
import pytest
from PIL import Image

from realmnet.curation.outputs import write_whole
from realmnet.curation.prepare import PrepareSettings, prepare_images
from realmnet.engine.storage import AtomicBackend
from realmnet.errors import InputError

LONG = '眼' * 83 + '.jpg'  # 253 bytes of 255


@pytest.mark.parametrize('write', [write_whole, lambda path, data: AtomicBackend().put(data, path)])
def test_a_name_that_fits_can_be_written(tmp_path, write):
    write(tmp_path / LONG, b'whole')
    assert [path.name for path in tmp_path.iterdir()] == [LONG]
    write(tmp_path / LONG, b'again')
    assert (tmp_path / LONG).read_bytes() == b'again'


def test_a_name_that_does_not_fit_is_told_its_length(tmp_path):
    with pytest.raises(InputError, match=r'its name has 256 bytes .* shorten it'):
        write_whole(tmp_path / ('x' * 256), b'')


def test_one_bad_name_never_stops_a_folder(tmp_path):
    raw = tmp_path / 'raw'
    raw.mkdir()
    picture = Image.fromarray(np.full((64, 64, 3), 90, np.uint8))
    picture.save(raw / 'a.jpg')
    picture.save(raw / LONG)
    picture.save(raw / 'new\nline.jpg')
    picture.save(os.fsdecode(os.fsencode(raw) + b'/bad\xff.jpg'))
    with open(os.fsencode(raw) + b'/cut\xff.jpg', 'wb') as file:  # noqa: PTH123
        file.write((raw / 'a.jpg').read_bytes()[:300])
    # its suffix becomes longer by one than the 255 bytes that are allowed
    picture.save(raw / ('x' * 252 + '.jp'), 'JPEG')
    report = prepare_images(raw, tmp_path / 'out', PrepareSettings(64), jobs=1)
    written = {os.fsencode(path.name) for path in (tmp_path / 'out').glob('*.jpg')}
    assert written == {b'a.jpg', LONG.encode(), b'new\nline.jpg', b'bad\xff.jpg'}
    assert report.written == 4 and len(report.unreadable) >= 1
    table = (tmp_path / 'out' / 'unreadable.csv').read_text(encoding='utf-8')
    assert 'cut\\udcff.jpg' in table
