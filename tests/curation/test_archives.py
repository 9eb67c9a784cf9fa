"""Unpacking: split zips as the zip program writes them, and archives that mean harm."""

import io
import shutil
import struct
import subprocess
import tarfile
import zipfile

import numpy as np
import pytest

from realmnet.curation.archives import open_zip, unpack
from realmnet.errors import InputError


def tree(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob('*') if p.is_file()
    }


@pytest.fixture
def content():
    rng = np.random.default_rng(0)
    return {f'JPEGImages/p{i}/{i}.jpg': rng.bytes(30_000 + i) for i in range(12)}


def refuses(archive, tmp_path, message, **options):
    with pytest.raises(InputError, match=message):
        unpack(archive, tmp_path / 'out', **options)
    assert not (tmp_path / 'out').exists()
    assert not list(tmp_path.glob('.out*'))


def split_zip(path, members, size):
    """Write a split zip by hand: stored members, cut after ``size`` bytes."""
    body, directory = bytearray(b'PK\x07\x08'), bytearray()
    for name, data in members.items():
        at, raw = len(body), name.encode()
        common = struct.pack('<HHHHHLLLHH', 20, 0, 0, 0, 0x21, zipfile.crc32(data), len(data),
                             len(data), len(raw), 0)  # fmt: skip
        body += b'PK\x03\x04' + common + raw + data
        directory += (b'PK\x01\x02' + struct.pack('<H', 20) + common
                      + struct.pack('<HHHLL', 0, at // size, 0, 0, at % size) + raw)  # fmt: skip
    start = len(body)
    last = (start + len(directory)) // size
    body += directory + struct.pack('<4s4H2LH', b'PK\x05\x06', last, start // size, len(members),
                                    len(members), len(directory), start % size, 0)  # fmt: skip
    volumes = [body[i * size : (i + 1) * size] for i in range(last)] + [body[last * size :]]
    for number, volume in enumerate(volumes[:-1], 1):
        path.with_suffix(f'.z{number:02d}').write_bytes(volume)
    path.write_bytes(volumes[-1])
    return len(volumes)


def test_split_zip_by_hand(tmp_path, content):
    path = tmp_path / 'JPEGImages.zip'
    assert split_zip(path, content, 65_536) == 6
    assert unpack(path, tmp_path / 'out') == 12
    # the common top folder is left out
    assert tree(tmp_path / 'out') == {n.partition('/')[2]: d for n, d in content.items()}


@pytest.mark.skipif(shutil.which('zip') is None, reason='the zip program is not installed')
def test_split_zip_of_the_zip_program(tmp_path, content):
    for name, data in content.items():
        path = tmp_path / 'in' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    subprocess.run(
        ['zip', '-q', '-r', '-s', '64k', tmp_path / 'JPEGImages.zip', 'JPEGImages'],
        cwd=tmp_path / 'in', check=True,
    )  # fmt: skip
    assert (tmp_path / 'JPEGImages.z02').is_file()
    assert unpack(tmp_path / 'JPEGImages.zip', tmp_path / 'out') == 12
    assert tree(tmp_path / 'out') == {n.partition('/')[2]: d for n, d in content.items()}


def test_split_zip_with_a_volume_missing_or_swapped(tmp_path, content):
    path = tmp_path / 'x.zip'
    split_zip(path, content, 65_536)
    second = (tmp_path / 'x.z02').read_bytes()
    (tmp_path / 'x.z02').unlink()
    refuses(path, tmp_path, r'x\.z02: this volume')
    (tmp_path / 'x.z02').write_bytes(bytes(len(second)))
    refuses(path, tmp_path, 'cannot be unpacked')
    (tmp_path / 'x.z02').write_bytes(second[:-5])
    refuses(path, tmp_path, 'damaged|cannot be unpacked')


@pytest.mark.parametrize('suffix', ['zip', 'tar', 'tar.gz'])
def test_whole_archives(tmp_path, content, suffix):
    path = tmp_path / f'x.{suffix}'
    if suffix == 'zip':
        with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
            for name, data in content.items():
                archive.writestr(name, data)
            archive.writestr('readme.txt', 'x')
    else:
        with tarfile.open(path, 'w:gz' if suffix.endswith('gz') else 'w') as archive:
            for name, data in {**content, 'readme.txt': b'x'}.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    assert unpack(path, tmp_path / 'out') == 13
    assert tree(tmp_path / 'out') == {**content, 'readme.txt': b'x'}


EVIL = ['../evil.jpg', 'a/../../evil.jpg', '/tmp/evil.jpg', 'C:/evil.jpg', 'a\\..\\evil.jpg']


@pytest.mark.parametrize('name', EVIL)
def test_members_that_would_leave_the_folder(tmp_path, name):
    with zipfile.ZipFile(tmp_path / 'x.zip', 'w') as archive:
        archive.writestr('good.jpg', 'x')
        info = zipfile.ZipInfo('placeholder')
        info.filename = name
        archive.writestr(info, 'evil')
    refuses(tmp_path / 'x.zip', tmp_path, 'outside the folder|not portable')
    with tarfile.open(tmp_path / 'x.tar', 'w') as archive:
        info = tarfile.TarInfo(name)
        info.size = 4
        archive.addfile(info, io.BytesIO(b'evil'))
    refuses(tmp_path / 'x.tar', tmp_path, 'outside the folder|not portable')
    assert not list(tmp_path.rglob('evil*'))


def test_links_and_devices(tmp_path):
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        with tarfile.open(tmp_path / 'x.tar', 'w') as archive:
            info = tarfile.TarInfo('link')
            info.type, info.linkname = kind, '/etc'
            archive.addfile(info)
        refuses(tmp_path / 'x.tar', tmp_path, 'link or device')
    with zipfile.ZipFile(tmp_path / 'x.zip', 'w') as archive:
        info = zipfile.ZipInfo('link')
        info.external_attr = 0o120777 << 16
        archive.writestr(info, '/etc')
    refuses(tmp_path / 'x.zip', tmp_path, 'link or device')


def test_bombs_repeats_and_empty_archives(tmp_path):
    with zipfile.ZipFile(tmp_path / 'x.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('zeros', bytes(5_000_000))
    refuses(tmp_path / 'x.zip', tmp_path, 'grows beyond', max_bytes=1_000_000)
    with (
        zipfile.ZipFile(tmp_path / 'x.zip', 'w') as archive,
        pytest.warns(UserWarning, match='Duplicate'),
    ):
        archive.writestr('a', 'x')
        archive.writestr('a', 'y')
    refuses(tmp_path / 'x.zip', tmp_path, 'twice')
    with zipfile.ZipFile(tmp_path / 'x.zip', 'w'):
        pass
    refuses(tmp_path / 'x.zip', tmp_path, 'holds no file')
    (tmp_path / 'x.zip').write_bytes(b'no zip')
    refuses(tmp_path / 'x.zip', tmp_path, 'not a zip')
    refuses(tmp_path / 'none.zip', tmp_path, 'no such archive')


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path):
    with zipfile.ZipFile(tmp_path / 'x.zip', 'w') as archive:
        archive.writestr('a', 'x')
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'mine').write_text('x')
    with pytest.raises(InputError, match='not empty'):
        unpack(tmp_path / 'x.zip', tmp_path / 'out')
    assert tree(tmp_path / 'out') == {'mine': b'x'}


def test_damaged_directories_never_crash(tmp_path, content):
    path = tmp_path / 'x.zip'
    split_zip(path, dict(list(content.items())[:3]), 65_536)
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for _ in range(60):
        broken = data.copy()
        # the directory and the end record stand in the last bytes
        for at in rng.integers(max(0, len(data) - 250), len(data), 2):
            broken[at] = rng.integers(256)
        path.write_bytes(broken)
        try:
            open_zip(path).close()
            shutil.rmtree(tmp_path / 'out', ignore_errors=True)
            unpack(path, tmp_path / 'out')
        except (InputError, zipfile.BadZipFile):
            pass


@pytest.mark.parametrize('suffix', ['.tar', '.tar.gz', '.tar.xz', '.tar.bz2'])
def test_a_damaged_or_cut_tar_is_not_unpacked_in_part(tmp_path, suffix):
    noise = np.random.default_rng(0)
    whole = tmp_path / f'whole{suffix}'
    with tarfile.open(whole, f'w:{suffix[5:]}') as archive:
        for name in ('a.jpg', 'b.jpg'):
            info = tarfile.TarInfo(name)
            info.size = 200_000
            archive.addfile(info, io.BytesIO(noise.bytes(info.size)))
    data = whole.read_bytes()
    damaged = bytearray(data)
    where = 512 + 200_192 + 20 if suffix == '.tar' else len(data) // 2  # the second header
    for position in range(where, where + 8):
        damaged[position] ^= 255
    cut = data[: 512 + 200_192] if suffix == '.tar' else data[: len(data) // 2]
    for number, content in enumerate((bytes(damaged), cut)):
        path = tmp_path / f'{number}{suffix}'
        path.write_bytes(content)
        with pytest.raises(InputError, match='download it again') as error:
            unpack(path, tmp_path / 'out')
        assert '\n' not in str(error.value)
        assert not (tmp_path / 'out').exists()
    assert unpack(whole, tmp_path / 'out') == 2


def test_damaged_lzma_in_a_zip(tmp_path):
    path = tmp_path / 'a.zip'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_LZMA) as archive:
        archive.writestr('a.jpg', np.random.default_rng(0).bytes(50_000))
    data = bytearray(path.read_bytes())
    for position in (60, 100, len(data) // 2):
        data[position] ^= 255
    path.write_bytes(data)
    with pytest.raises(InputError, match='download it again'):
        unpack(path, tmp_path / 'out')
