"""Bytes from the web that all arrive: retries, pauses, and messages that help."""

import email.utils
import http.client
import logging
import re
import ssl
import time
import urllib.error
from pathlib import Path

from elmo_cli.counts import counted
from elmo_cli.elmo.fetching.connection import CERTIFICATE_VARIABLES
from elmo_cli.elmo.fetching.transfer import CutError, Patience, Transfer, UnavailableError, discard, part_size

logger = logging.getLogger(__name__)

MAX_BYTES = 20 * 10**9  # more than any ELMo has

_PASSING = (408, 425, 429, 500, 502, 503, 504)  # statuses that may be gone a moment later


def download(
    url: str, part: Path, patience: Patience, *, max_bytes: int = MAX_BYTES, num_copies: int = 1
) -> None:
    """Brings the whole of a URL into a file, over as many connections as it takes.

    What the file holds already, from an earlier call that failed or was killed, is not asked for again.

    Args:
        url: http or https.
        part: The file; whole when this returns, else kept for the next call.
        patience: Timeout and retries.
        max_bytes: A longer file is refused.
        num_copies: How often it must fit on the disk.

    Raises:
        SourceError: When the server refuses, cannot be reached, or fails more often than patience lasts, or
            the checksum that it sent does not fit.
        RunError: When there is no room, or the disk is full; what came is kept.
    """
    transfer = Transfer(url, part, patience, max_bytes, num_copies)
    num_before = most_bytes = part_size(part)
    num_failures = 0
    while True:
        asked_pause_s: float | None = None
        try:
            transfer.run()
            return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416 and part_size(part):
                if error.headers.get("Content-Range", "").endswith(f"*/{part_size(part)}"):
                    return  # nothing follows: the part was whole already
                discard(part)  # it belongs to a file that has changed
            elif error.code not in _PASSING:
                raise _refused(url, error) from error
            reason: Exception = error
            asked_pause_s = _retry_after_s(error.headers.get("Retry-After", ""))
        except (http.client.InvalidURL, ValueError) as error:  # urllib raises the latter, too
            raise UnavailableError(f"{url} is not a valid address, or leads to none: {error}.") from error
        except urllib.error.URLError as error:
            # A server that has given something is there; the network to it may be down for a moment.
            begun = part_size(part) > num_before
            if not begun and not isinstance(error.reason, TimeoutError | ConnectionResetError):
                raise _unreachable(url, error) from error
            reason = error
        except (CutError, OSError, http.client.HTTPException) as error:
            reason = error
        got_on = part_size(part) - most_bytes >= patience.min_bytes
        num_failures = 0 if got_on else num_failures + 1
        most_bytes = max(most_bytes, part_size(part)) if got_on else most_bytes
        if num_failures > patience.num_retries:
            raise UnavailableError(
                f"{url} could not be downloaded, {counted(num_failures, 'time')} in a row: "
                f"{str(reason) or 'timed out'}. The same command later goes on after "
                f"{counted(part_size(part), 'byte', form=',')}."
            ) from reason
        pause_s = min(patience.pause_s * 2 ** max(0, num_failures - 1), patience.max_pause_s)
        if asked_pause_s is not None:
            if asked_pause_s > patience.max_pause_s:
                raise UnavailableError(
                    f"{url}: the server asks to come back in {asked_pause_s:,.0f} s ({reason})."
                ) from reason
            pause_s = max(pause_s, asked_pause_s)
        logger.info("Download of %s: %s; trying again in %.0f s", url, str(reason) or "timed out", pause_s)
        time.sleep(pause_s)


def _retry_after_s(text: str) -> float | None:
    """The pause a server asks for, as seconds or as a date (RFC 9110, 10.2.3)."""
    if re.fullmatch(r"[0-9]{1,9}", text.strip()):
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _unreachable(url: str, error: urllib.error.URLError) -> UnavailableError:
    """What to say where no connection comes about."""
    if isinstance(error.reason, ssl.SSLError):
        return UnavailableError(
            f"{url} cannot be reached safely: {error.reason}. Where a proxy stands between that has a "
            f"certificate of its own, name its file with {' or '.join(CERTIFICATE_VARIABLES)}."
        )
    return UnavailableError(
        f"{url} cannot be reached: {error.reason}.",
        "Is there a network, and does a proxy have to be set (https_proxy)?",
    )


def _refused(url: str, error: urllib.error.HTTPError) -> UnavailableError:
    """What to say about an answer that will not change."""
    if error.code in (404, 410):
        return UnavailableError(f"{url} does not exist (HTTP {error.code}). Check the address for slips.")
    if error.code in (401, 403, 407, 451):
        return UnavailableError(
            f"{url} is refused by the server or a proxy between (HTTP {error.code} {error.reason})."
        )
    return UnavailableError(f"{url} cannot be downloaded (HTTP {error.code} {error.reason}).")
