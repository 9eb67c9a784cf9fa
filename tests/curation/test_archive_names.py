"""Archives as other systems write them: names, clutter, separators."""

import io
import struct
import tarfile
import zipfile
import zlib

import pytest

from realmnet.curation.archives import unpack
from realmnet.errors import InputError


def write_zip(path, members, flags=0, extra=b''):
    """Write a zip whose names are bytes, without the UTF-8 flag, as Windows does."""
    body, directory = bytearray(), bytearray()
    for name, data in members:
        head = struct.pack('<5H3L2H', 20, flags, 0, 0, 33, zlib.crc32(data), len(data), len(data),
                           len(name), len(extra))  # fmt: skip
        directory += b'PK\x01\x02' + struct.pack('<H', 20) + head
        directory += struct.pack('<3H2L', 0, 0, 0, 32, len(body)) + name + extra
        body += b'PK\x03\x04' + head + name + extra + data
    end = struct.pack('<4s4H2LH', b'PK\x05\x06', 0, 0, len(members), len(members), len(directory),
                      len(body), 0)  # fmt: skip
    path.write_bytes(body + directory + end)
    return path


def unpacked(path, out, **options):
    unpack(path, out, **options)
    return sorted(p.relative_to(out).as_posix() for p in out.rglob('*') if p.is_file())


@pytest.mark.parametrize(
    ('encoding', 'name'),
    [
        ('gbk', '图片/张三_OD_1.jpg'),
        ('gbk', '张喆_OD.jpg'),
        ('cp932', '山田太郎_右.jpg'),
        ('cp932', '表_OD.jpg'),  # its second byte is a back-slash
        ('cp932', 'ヤマダ_左.jpg'),
        ('big5', '王小明_左眼.jpg'),
        ('cp1252', 'Müller_OD.jpg'),
        ('cp437', 'José_OS.jpg'),
        ('utf-8', '患者_OD.jpg'),
    ],
)
def test_names_without_the_flag(tmp_path, encoding, name):
    said = []
    path = write_zip(tmp_path / 'x.zip', [(name.encode(encoding), b'x'), (b'a.jpg', b'y')])
    assert unpacked(path, tmp_path / 'out', say=said.append) == sorted([name, 'a.jpg'])
    assert len(said) == 1
    assert f'{encoding}, such as {name}' in said[0]


def test_an_encoding_that_the_user_knows(tmp_path):
    path = write_zip(tmp_path / 'x.zip', [('김철수.jpg'.encode('cp949'), b'x')])
    assert unpacked(path, tmp_path / 'a', encoding='cp949') == ['김철수.jpg']
    with pytest.raises(InputError, match='is not ascii'):
        unpack(path, tmp_path / 'b', encoding='ascii')
    with pytest.raises(InputError, match="encoding 'klingon' is unknown"):
        unpack(path, tmp_path / 'b', encoding='klingon')


def test_names_that_nothing_tells_are_refused(tmp_path):
    path = write_zip(tmp_path / 'x.zip', [('Иванов.jpg'.encode('cp866'), b'x')])
    with pytest.raises(InputError, match='--encoding'):
        unpack(path, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
    assert unpacked(path, tmp_path / 'out', encoding='cp866') == ['Иванов.jpg']


@pytest.mark.parametrize(('digest', 'name'), [(0, '张三.jpg'), (1, '寮犱笁.jpg')])
def test_the_unicode_field_of_info_zip_counts_if_its_digest_holds(tmp_path, digest, name):
    raw, real = '寮犱笁.jpg'.encode('gbk'), '张三.jpg'.encode()
    field = struct.pack('<BL', 1, zlib.crc32(raw) ^ digest) + real
    extra = struct.pack('<HH', 0x7075, len(field)) + field
    path = write_zip(tmp_path / 'x.zip', [(raw, b'x')], extra=extra)
    assert unpacked(path, tmp_path / 'out', encoding='gbk') == [name]


def test_what_macos_adds_is_left_out_and_counted(tmp_path):
    names = ['JPEGImages/a.jpg', '__MACOSX/JPEGImages/._a.jpg', 'JPEGImages/.DS_Store',
             'JPEGImages/._a.jpg']  # fmt: skip
    with zipfile.ZipFile(tmp_path / 'x.zip', 'w') as archive:
        for name in names:
            archive.writestr(name, 'x')
    with tarfile.open(tmp_path / 'x.tar', 'w') as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 1
            archive.addfile(info, io.BytesIO(b'x'))
    for suffix in ('zip', 'tar'):
        said = []
        path, out = tmp_path / f'x.{suffix}', tmp_path / suffix
        assert unpack(path, out, say=said.append) == 1
        assert [p.name for p in out.rglob('*')] == ['a.jpg']
        assert said[0].startswith('3 file(s) of macOS left out')


def test_backslashes_are_folders_and_lead_nowhere(tmp_path):
    path = write_zip(tmp_path / 'x.zip', [(b'in\\', b''), (b'in\\a.jpg', b'x'), (b'b.jpg', b'y')])
    assert unpacked(path, tmp_path / 'out') == ['b.jpg', 'in/a.jpg']
    gbk_trap = '..\\图.jpg'.encode('gbk')
    for name in (b'..\\a.jpg', b'in\\..\\..\\a.jpg', b'C:\\a.jpg', b'\\a.jpg', gbk_trap):
        path = write_zip(tmp_path / 'y.zip', [(name, b'x')])
        with pytest.raises(InputError, match='outside the folder'):
            unpack(path, tmp_path / 'evil')


@pytest.mark.parametrize(
    'names',
    [[b'in\\a.jpg', b'in/a.jpg'], [b'a.jpg', b'./a.jpg'], [b'A.jpg', b'a.jpg'],
     ['é.jpg'.encode(), 'e\u0301.jpg'.encode()], ['É.jpg'.encode(), 'é.jpg'.encode()]],
)  # fmt: skip
def test_two_members_that_become_one_are_refused(tmp_path, names):
    path = write_zip(tmp_path / 'x.zip', [(name, b'x') for name in names])
    with pytest.raises(InputError, match='twice'):
        unpack(path, tmp_path / 'out')


def test_encrypted_members_get_their_sentence(tmp_path):
    path = write_zip(tmp_path / 'x.zip', [(b'a.jpg', b'x')], flags=1)
    with pytest.raises(InputError, match='is encrypted, unpack it with its password'):
        unpack(path, tmp_path / 'out')


def test_a_tar_in_another_encoding(tmp_path):
    with tarfile.open(tmp_path / 'x.tar', 'w', format=tarfile.GNU_FORMAT, encoding='gbk') as tar:
        tar.addfile(tarfile.TarInfo('张三.jpg'))
    with pytest.raises(InputError, match='--encoding'):
        unpack(tmp_path / 'x.tar', tmp_path / 'out')
    assert unpacked(tmp_path / 'x.tar', tmp_path / 'out', encoding='gbk') == ['张三.jpg']
