"""Preparing pictures: what comes out, resuming, reports, and nothing of the patient."""

import json

import numpy as np
import pytest
from curation_samples import draw_picture, psmm_table, rgb, write_dicom
from PIL import Image

from realmnet.curation.pictures import list_pictures, write_picture
from realmnet.curation.prepare import PrepareSettings, prepare_images, prepared_name
from realmnet.curation.privacy import Pseudonyms
from realmnet.errors import InputError

SMALL = PrepareSettings(size=64)


def files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob('*') if p.is_file())


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / 'raw'
    for i, name in enumerate(['a.jpg', 'left/b.jpg', 'left/c.jpg']):
        write_picture(folder / name, draw_picture(i)[0])
    (folder / 'broken.jpg').write_bytes(b'\xff\xd8\xff')
    return folder


def test_structure_size_report_and_resume(raw, tmp_path):
    out = tmp_path / 'out'
    report = prepare_images(raw, out, SMALL, jobs=1)
    assert (report.written, report.skipped) == (3, 0)
    assert [name for name, _ in report.unreadable] == ['broken.jpg']
    assert files(out) == ['a.jpg', 'left/b.jpg', 'left/c.jpg', 'prepare_images.json',
                          'prepared.csv', 'unreadable.csv']  # fmt: skip
    with Image.open(out / 'left' / 'b.jpg') as image:
        assert image.size == (64, 64)
        # the field fills the frame: its middle row is lit from edge to edge
        middle = np.asarray(image)[32].max(1)
    assert middle[2] > 15
    assert middle[-3] > 15
    assert 'broken.jpg' in (out / 'unreadable.csv').read_text()

    before = (out / 'a.jpg').stat().st_mtime_ns
    (out / 'left' / 'c.jpg').unlink()
    again = prepare_images(raw, out, SMALL, jobs=1)
    assert (again.written, again.skipped) == (1, 2)
    assert (out / 'a.jpg').stat().st_mtime_ns == before


def test_several_processes_give_the_same(raw, tmp_path):
    prepare_images(raw, tmp_path / 'one', SMALL, jobs=1)
    prepare_images(raw, tmp_path / 'two', SMALL, jobs=2)
    for name in files(tmp_path / 'one'):
        assert (tmp_path / 'one' / name).read_bytes() == (tmp_path / 'two' / name).read_bytes()


def test_other_settings_are_not_mixed(raw, tmp_path):
    prepare_images(raw, tmp_path / 'out', SMALL, jobs=1)
    with pytest.raises(InputError, match='other settings'):
        prepare_images(raw, tmp_path / 'out', PrepareSettings(size=32), jobs=1)
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'thesis.txt').write_text('x')
    with pytest.raises(InputError, match='not empty'):
        prepare_images(raw, tmp_path / 'mine', SMALL, jobs=1)


def test_names_that_would_collide(tmp_path):
    write_picture(tmp_path / 'raw' / 'a.jpg', rgb())
    write_picture(tmp_path / 'raw' / 'a.png', rgb())
    with pytest.raises(InputError, match=r'both become a\.jpg'):
        prepare_images(tmp_path / 'raw', tmp_path / 'out', SMALL)


def test_folders_that_overlap(raw):
    for out in (raw, raw / 'out', raw.parent):
        with pytest.raises(InputError, match='overlaps'):
            prepare_images(raw, out, SMALL)


@pytest.mark.parametrize(
    'field', [{'size': 8}, {'size': 10**6}, {'quality': 0}, {'suffix': '.gif'}]
)
def test_settings_out_of_range(field):
    with pytest.raises(InputError):
        PrepareSettings(**field)


def test_nothing_of_the_patient_reaches_the_output(tmp_path):
    raw, out = tmp_path / 'raw', tmp_path / 'out'
    raw.mkdir()
    exif = Image.Exif()
    exif[0x010E], exif[0x9003] = 'Zhang San 4711', '2020:12:27 10:00:00'
    Image.fromarray(rgb()).save(raw / 'photo.jpg', exif=exif, comment=b'Zhang San 4711')
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text('Patient', 'Zhang San 4711')
    Image.fromarray(rgb()).save(raw / 'shot.png', pnginfo=info)
    write_dicom(raw / 'scan.dcm', rgb())
    for suffix in ('.jpg', '.png'):
        prepare_images(raw, out / suffix[1:], PrepareSettings(64, suffix=suffix), jobs=1)
    for path in out.rglob('*'):
        if path.is_file():
            data = path.read_bytes()
            for secret in (b'Zhang', b'4711', b'19800101', b'2020:12', b'Exif'):
                assert secret not in data, path
    with Image.open(out / 'jpg' / 'photo.jpg') as image:
        assert not image.getexif()
        assert 'comment' not in image.info


def test_pseudonyms_in_names_folders_and_reports(tmp_path):
    raw, out = tmp_path / 'raw', tmp_path / 'out'
    write_picture(raw / 'Zhang San' / 'ShenzhenEye-2415460_OD_2020-12-27_2.jpg', rgb())
    write_dicom(raw / 'Zhang^San.dcm', rgb())
    (raw / 'Li_Si_1980.jpg').write_bytes(b'\xff\xd8\xff')
    key = tmp_path / 'clinic.key'
    prepare_images(raw, out, SMALL, jobs=1, pseudonyms=Pseudonyms(key))
    text = ' '.join(files(out)) + (out / 'unreadable.csv').read_text()
    text += (out / 'prepared.csv').read_text()
    for secret in ('Zhang', '2415460', '2020-12-27', 'Li_Si', '1980', str(tmp_path)):
        assert secret not in text
    assert len(files(out)) == 5
    names = json.loads(key.read_text())['names']
    assert 'Zhang San/ShenzhenEye-2415460_OD_2020-12-27_2.jpg' in names
    # a second run finds its own pictures again
    assert prepare_images(raw, out, SMALL, jobs=1, pseudonyms=Pseudonyms(key)).skipped == 2
    with pytest.raises(InputError, match='keep it elsewhere'):
        prepare_images(raw, out, SMALL, pseudonyms=Pseudonyms(out / 'x.key'))


def test_report_shortens_only_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'raw').mkdir()
    write_dicom(tmp_path / 'raw' / 'a.dcm', rgb(), BurnedInAnnotation='YES')
    report = prepare_images('raw', 'out', PrepareSettings(size=32), jobs=1)
    assert report.unreadable[0][1].startswith('.../a.dcm: ')
    assert 'is drawn' in report.unreadable[0][1]


def test_label_tables_name_the_pictures_as_they_are_stored(tmp_path):
    (tmp_path / 'raw').mkdir()
    names = ['ShenzhenEye-5_OD_2020-01-02_1.png', 'Jane Doe.bmp']
    for name in names:
        Image.fromarray(rgb()).save(tmp_path / 'raw' / name)
    pseudonyms = Pseudonyms(tmp_path / 'key')
    prepare_images(tmp_path / 'raw', tmp_path / 'out', PrepareSettings(size=32), 1, pseudonyms)
    table = psmm_table([(names[0], 'S0A1'), (names[1], 'S0A1')])
    renamed = pseudonyms.table(table, lambda name: prepared_name(name, '.jpg'))
    assert set(renamed.filenames) == {path.name for path in (tmp_path / 'out').glob('*.jpg')}


def test_bad_folders_and_jobs(raw, tmp_path):
    with pytest.raises(InputError, match='jobs'):
        prepare_images(raw, tmp_path / 'out', jobs=-1)
    (tmp_path / 'file').write_text('')
    with pytest.raises(InputError, match='cannot be written'):
        prepare_images(raw, tmp_path / 'file', jobs=1)
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'prepare_images.json').write_text('{')
    with pytest.raises(InputError, match='damaged'):
        prepare_images(raw, tmp_path / 'out', jobs=1)


def test_an_output_counts_only_for_its_source(raw, tmp_path):
    out, fresh = tmp_path / 'out', tmp_path / 'fresh'
    prepare_images(raw, out, SMALL, jobs=1)
    write_picture(raw / 'a.jpg', draw_picture(7)[0])  # replaced
    (raw / 'left' / 'b.jpg').write_bytes(b'\xff\xd8\xff')  # broken now
    (raw / 'left' / 'c.jpg').rename(raw / 'left' / 'd.jpg')
    write_picture(raw / 'broken.jpg', draw_picture(3)[0])  # whole now
    report = prepare_images(raw, out, SMALL, jobs=1)
    assert (report.written, report.skipped) == (3, 0)
    assert report.again == ['a.jpg', 'left/b.jpg']
    assert report.gone == ['left/c.jpg']
    assert [name for name, _ in report.unreadable] == ['left/b.jpg']
    assert not (out / 'left' / 'b.jpg').exists()  # it showed what is no longer there
    prepare_images(raw, fresh, SMALL, jobs=1)
    (out / 'left' / 'c.jpg').unlink()  # named, and left to the user
    prepare_images(raw, out, SMALL, jobs=1)
    for name in files(fresh):
        if not name.endswith('prepared.csv'):
            assert (out / name).read_bytes() == (fresh / name).read_bytes(), name
    again = prepare_images(raw, out, SMALL, jobs=1)
    assert (again.written, again.again, again.gone) == (0, [], [])


def test_outputs_of_an_earlier_version_are_made_again_once(raw, tmp_path):
    out = tmp_path / 'out'
    prepare_images(raw, out, SMALL, jobs=1)
    (out / 'prepared.csv').unlink()
    assert prepare_images(raw, out, SMALL, jobs=1).written == 3
    (out / 'prepared.csv').write_text('filename,size,digest\na.jpg,1\n\0"x,2,3\n')
    assert prepare_images(raw, out, SMALL, jobs=1).written == 3
    assert prepare_images(raw, out, SMALL, jobs=1).skipped == 3


def test_pseudonymised_outputs_hold_without_a_digest_that_leads_back(raw, tmp_path):
    from realmnet.curation.content import content_of

    out, key = tmp_path / 'out', tmp_path / 'clinic.key'
    prepare_images(raw, out, SMALL, jobs=1, pseudonyms=Pseudonyms(key))
    text = (out / 'prepared.csv').read_text()
    assert content_of(raw / 'a.jpg').digest not in text
    assert prepare_images(raw, out, SMALL, jobs=1, pseudonyms=Pseudonyms(key)).skipped == 3
    write_picture(raw / 'a.jpg', draw_picture(7)[0])
    assert prepare_images(raw, out, SMALL, jobs=1, pseudonyms=Pseudonyms(key)).written == 1


def test_a_folder_that_cannot_be_listed_is_reported(raw, tmp_path, monkeypatch):
    import os

    scandir = os.scandir

    def locked(path):
        if os.fspath(path).endswith(os.sep + 'left'):
            raise PermissionError(13, 'Permission denied', os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, 'scandir', locked)
    report = prepare_images(raw, tmp_path / 'out', SMALL, jobs=1)
    assert report.written == 1
    problem = (
        '.../left: this folder cannot be listed (Permission denied), so what is in it is missing; '
        'give permission to read it, or take it out'
    )
    assert ('left', problem) in report.unreadable
    with pytest.raises(InputError, match='left: this folder cannot be listed'):
        list_pictures(raw)
