"""Files that a stranger might hand over, for tests of several rooms."""

import struct
import zlib
from pathlib import Path


def huge_png(path: Path, side: int = 20_000) -> Path:
    """A few bytes whose header promises ``side`` squared pixels."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body))

    header = struct.pack('>IIBBBBB', side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    path.write_bytes(
        b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', pixels) + chunk(b'IEND', b'')
    )
    return path
