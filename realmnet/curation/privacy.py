"""Pseudonyms for patients, dates and file names, from a secret that stays with the owner.

A name of PSMM's form keeps its source, eye and index; the patient number becomes a keyed hash, and
all dates of a patient move back by the same 1 to 3,650 days, so that intervals between visits
stay. Any other name may hold anything and is replaced as a whole.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path, PurePosixPath

import pandas as pd

from realmnet.curation.content import Content
from realmnet.curation.identifiers import check_distinct, clean, clean_name
from realmnet.curation.label_schema import FILENAME, PATIENT
from realmnet.curation.label_table import LabelTable, check_label_table
from realmnet.curation.outputs import beside
from realmnet.curation.sources import PSMM_SOURCES
from realmnet.errors import InputError

_PATIENT = re.compile(r'(?P<source>[A-Za-z]+)-(?P<number>\d+)')
_KEPT = re.compile(r'(OD|OS|L|R)?\d{1,3}|OD|OS|L|R')
_DATE = re.compile(r'(\d{4})(-?)(\d{2})\2(\d{2})(@\d{6})?')


class Pseudonyms:
    """Maps names to pseudonyms and remembers the pairs in a key file.

    Whoever has the key file can go back to the patients: keep it apart from the pictures. The
    same key file gives the same pseudonyms in a later run.

    Args:
        keyfile: JSON with the secret and the pairs, made on first :meth:`save` with access for
            its owner only.
        sources: What may stand before the hyphen; any other prefix may be a name and goes.

    Raises:
        InputError: If the key file exists and is not one.

    Example:
        >>> names = Pseudonyms('clinic.key')                                   # doctest: +SKIP
        >>> names.filename('ShenzhenEye-2415460_OD_2020-12-27_2.jpg')           # doctest: +SKIP
        'ShenzhenEye-5f0c2ab913_OD_2016-03-02_2.jpg'
    """

    def __init__(self, keyfile: str | Path, sources: Sequence[str] = PSMM_SOURCES) -> None:
        self.keyfile = Path(keyfile)
        self.sources = frozenset(sources)
        self.names: dict[str, str] = {}
        self._owner: dict[str, str] = {}
        self._secret = secrets.token_bytes(32)
        if self.keyfile.exists():
            try:
                stored = json.loads(self.keyfile.read_text(encoding='utf-8'))
                self._secret = bytes.fromhex(stored['secret'])
                self.names = {str(k): str(v) for k, v in stored['names'].items()}
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                raise InputError(
                    f'{keyfile}: not a key file of this tool; name a new file or the right one'
                ) from None

    def patient(self, name: str) -> str:
        """Return the pseudonym of a patient identifier; a PSMM source stays before it."""
        name = clean(name)
        prefix = name.partition('-')[0] if self._is_patient(name) else 'patient'
        return self._remember(name, f'{prefix}-{self._digest("patient", name, 10)}')

    def filename(self, name: str) -> str:
        """Return the pseudonym of a file name, folders included; the suffix stays."""
        name = clean_name(name)  # as tables have it, however the disk spells it
        path = PurePosixPath(name)
        folders = [self._remember(part, f'folder-{self._digest("folder", part, 8)}')
                   for part in path.parent.parts]  # fmt: skip
        stem = self._stem(path.stem) or f'image-{self._digest("image", name, 16)}'
        return self._remember(name, PurePosixPath(*folders, stem + path.suffix).as_posix())

    def table(self, table: LabelTable, rename: Callable[[str], str] = str) -> LabelTable:
        """Return a label table with pseudonyms for ``filename`` and ``ID``.

        Args:
            table: The table.
            rename: Turns a file name into that of the stored picture, whose pseudonym counts.
        """
        # afterwards nobody can see that two identifiers were one patient in two spellings
        check_distinct(table.frame[PATIENT], table.source)
        frame: pd.DataFrame = table.frame.copy()
        frame[FILENAME] = [self.filename(rename(name)) for name in frame[FILENAME]]
        frame[PATIENT] = [self.patient(name) for name in frame[PATIENT]]
        renamed = LabelTable(frame, table.schema, table.source)
        check_label_table(renamed)
        return renamed

    def content(self, content: Content) -> Content:
        """Return a keyed digest without the size, so that only the key file leads to the file."""
        return Content(0, self._digest('content', f'{content.size} {content.digest}', 64))

    def save(self) -> None:
        """Write the key file, whole or not at all, readable by its owner only."""
        self.keyfile.parent.mkdir(parents=True, exist_ok=True)
        temporary = beside(self.keyfile)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, 'w', encoding='utf-8') as file:
            json.dump({'secret': self._secret.hex(), 'names': self.names}, file, indent=1)
        temporary.replace(self.keyfile)

    def _stem(self, stem: str) -> str | None:
        """Return the pseudonym of a stem of PSMM's form, None for any other."""
        first, *rest = stem.split('_')
        if not self._is_patient(first) or not rest:
            return None
        days = 1 + int(self._digest('days', first, 8), 16) % 3650
        tokens = [self.patient(first)]
        for token in rest:
            if _KEPT.fullmatch(token):
                tokens.append(token)
                continue
            match = _DATE.fullmatch(token)
            if not match:
                return None
            year, dash, month, day, clock = match.groups()
            try:
                moved = date(int(year), int(month), int(day)) - timedelta(days)
            except (ValueError, OverflowError):
                return None
            text = moved.isoformat().replace('-', dash)
            tokens.append(text + (f'@{self._clock(token)}' if clock else ''))
        return '_'.join(tokens)

    def _is_patient(self, text: str) -> bool:
        match = _PATIENT.fullmatch(text)
        return match is not None and match['source'] in self.sources

    def _clock(self, token: str) -> str:
        second = int(self._digest('clock', token, 12), 16) % 86400
        return f'{second // 3600:02d}{second // 60 % 60:02d}{second % 60:02d}'

    def _digest(self, kind: str, text: str, length: int) -> str:
        message = f'{kind}\0{text}'.encode()
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()[:length]

    def _remember(self, name: str, pseudonym: str) -> str:
        if self._owner.setdefault(pseudonym, name) != name:
            raise InputError(
                f'{self.keyfile}: two names would share the pseudonym {pseudonym}; use another '
                'key file'
            )
        self.names[name] = pseudonym
        return pseudonym
