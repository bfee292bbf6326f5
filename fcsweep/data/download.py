"""Published files, each from the first mirror that has it.

The sha256 of every download is checked, so no mirror has to be trusted. A file is moved into place
atomically; of several processes one downloads and the others wait.
"""

import hashlib
import logging
import os
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from fcsweep.data.cache import cache_folder, staging
from fcsweep.messages.errors import DataError

log = logging.getLogger(__name__)

CONNECT_SECONDS, READ_SECONDS = 5, 30
# Without a network the look-up of a name may take 10 s: too long to wait for it once per mirror.
PATIENCE_SECONDS = 10
NO_CONNECTION = "no connection"


@dataclass(frozen=True)
class Published:
    """A published file as a value.

    Attributes:
        name: Its path below ``archive`` in the cache folder.
        bytes: Its size.
        sha256: Its sha256, in hex.
        mirrors: URLs of it, in the order in which they are tried.
        title: Name of the data set, for messages.
        root: What a ``data.root`` may hold in its place, for messages.
    """

    name: str
    bytes: int
    sha256: str
    mirrors: tuple[str, ...]
    title: str
    root: str


def downloaded(wanted: Published) -> Path:
    """A published file in the cache folder, downloaded if it is missing or damaged.

    Raises:
        DataError: No mirror can be reached or has it, or the cache folder cannot be written.
    """
    target = cache_folder() / "archive" / wanted.name
    try:
        if _is_whole(target, wanted):
            return target
        if target.exists():
            log.warning("the file %s is damaged: downloading it again", target)
        with staging(target.parent, wait=True) as fresh:
            # Another process may have downloaded it while this one waited.
            if fresh is not None and not _is_whole(target, wanted):
                _download(wanted, fresh / target.name)
                os.replace(fresh / target.name, target)
    except OSError as error:
        raise DataError(
            f"cannot keep {wanted.title} in {target.parent} ({error.strerror}): make room "
            "there, or name another folder in the environment variable FCSWEEP_CACHE, or use "
            "data=digits"
        ) from error
    return target


def _is_whole(file: Path, wanted: Published) -> bool:
    import pooch

    try:
        same_size = file.stat().st_size == wanted.bytes
        return same_size and pooch.file_hash(str(file)) == wanted.sha256
    except FileNotFoundError:
        return False


def _download(wanted: Published, target: Path) -> None:
    """Try the mirrors in order until one sends the file."""
    failures: dict[str, str] = {}
    began = time.monotonic()
    for url in wanted.mirrors:
        host = urlsplit(url).netloc
        failure = _fetch(wanted, url, target)
        if failure is None:
            return
        failures[host] = failure
        # Without a network one line is enough, the last.
        if failure != NO_CONNECTION:
            log.warning("no %s from %s: %s", wanted.title, host, failure)
        offline = set(failures.values()) == {NO_CONNECTION}
        if offline and time.monotonic() - began > PATIENCE_SECONDS:
            break
    reason = "; ".join(f"{host}: {failure}" for host, failure in failures.items())
    raise DataError(
        f"{wanted.title} is not on this machine and could not be downloaded ({reason}): "
        f"use data=digits, or data.root=FOLDER that holds {wanted.root}"
    )


def _fetch(wanted: Published, url: str, target: Path) -> str | None:
    """Download one file; None if it is the published one, else a few words on the failure.

    The words are ours: a message of the network libraries may hold a proxy's address and password.
    """
    import pooch
    from requests import Response
    from requests import exceptions as errors

    with ExitStack() as opened, target.open("wb") as file:

        def remember(response: Response, **_: object) -> None:
            opened.callback(response.close)
            if response.status_code == 200:
                size = wanted.bytes / 1e6
                log.info("downloading %s (%.3g MB) from %s", wanted.title, size, url)

        fetch = pooch.HTTPDownloader(
            progressbar=sys.stderr.isatty(),
            chunk_size=1 << 16,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            # A server may take a packed file for a compressed page; then it would arrive unpacked.
            headers={"Accept-Encoding": "identity"},
            # pooch leaves a connection open when it fails.
            hooks={"response": remember},
        )
        received = _Received(wanted, file)
        try:
            fetch(url, received, None)
        except _TooMuch:
            return "sent a file larger than the published one"
        except errors.HTTPError as error:
            return f"answered {getattr(error.response, 'status_code', 'with an error')}"
        except errors.SSLError:
            return "its certificate is not accepted"
        except errors.ProxyError:
            return "the proxy refuses it"
        except errors.RequestException as error:
            if received.size:
                return f"broke off after {received.size} of {wanted.bytes} bytes"
            unreached = isinstance(error, errors.ConnectionError)
            return NO_CONNECTION if unreached else type(error).__name__
    return received.fault()


class _TooMuch(Exception):
    pass


class _Received:
    """A file that checks what is written to it: at most the published size, and the sha256."""

    def __init__(self, wanted: Published, file: BinaryIO) -> None:
        self.wanted = wanted
        self.file = file
        self.size = 0
        self.head = b""
        self.sha256 = hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > self.wanted.bytes:
            raise _TooMuch
        self.head = self.head or chunk[:64]
        self.sha256.update(chunk)
        self.file.write(chunk)

    def flush(self) -> None:
        """Do nothing: pooch calls it after each chunk, but closing the file flushes it."""

    def fault(self) -> str | None:
        """Why the file is not the published one; None if it is."""
        if self.sha256.hexdigest() == self.wanted.sha256:
            return None
        if self.head.lstrip().startswith(b"<"):
            return "sent a web page instead of the file"
        if self.size < self.wanted.bytes:
            return f"sent {self.size} of {self.wanted.bytes} bytes"
        return "sent another file, its sha256 is wrong"
