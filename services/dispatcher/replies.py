"""Server replies read from bytes, each counted against a command that is owed one (RFC 5321, 4.2).

Whatever is no reply, or a reply to nothing, is a failure: taken for the next command's it would report
mail as sent that was not.
"""

import re
from collections import deque
from functools import lru_cache

from services.dispatcher.outcome import Reply

MAX_LINE = 4096
MAX_LINES = 100
MAX_TEXT = 8192

_CODES = {str(code): code for code in range(200, 560)}
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@lru_cache(maxsize=512)
def _plain(line: str) -> int:
    """Return the code of a reply of one unremarkable line, else 0. Servers repeat themselves: cached."""
    if line[3:4] == " " and len(line) <= MAX_LINE and line.isprintable():
        return _CODES.get(line[:3], 0)
    return 0


class Replies:
    """The replies of one connection: fed with bytes, read as a queue.

    `hidden` texts never appear in a reply, whatever the server echoes.
    """

    def __init__(self) -> None:
        self.queue: deque[Reply] = deque()
        self.owed = 1  # the banner
        self.hidden: tuple[str, ...] = ()
        self._rest = b""
        self._lines: list[str] = []

    @property
    def midway(self) -> bool:
        """Whether a reply has begun and not ended."""
        return bool(self._rest or self._lines)

    def feed(self, data: bytes, at: float) -> str | None:
        """Take in what came at that time. Returns what is wrong with it; nothing may be fed after that."""
        whole, end, self._rest = (self._rest + data if self._rest else data).rpartition(b"\n")
        if not end:
            return self._suspicion() if self._rest else None
        text = whole.decode("utf-8", "replace")
        for raw in (self._hide(text) if self.hidden else text).split("\n"):
            line = raw.rstrip("\r")
            code = _plain(line)
            if code and self.owed and not self._lines:
                self.owed -= 1
                self.queue.append(Reply(code, line, at))
            elif wrong := self._take(line, at):
                return wrong
        return self._suspicion() if self._rest else None

    def _take(self, line: str, at: float) -> str | None:
        code, mark = _CODES.get(line[:3]), line[3:4]
        line = _CONTROLS.sub("\ufffd", line)
        if code is None or mark not in " -" or (self._lines and line[:3] != self._lines[0][:3]):
            return f"the server sent what is no SMTP reply: {line[:200]!r}"
        if self.owed == 0:
            return f"the server sent an unsolicited reply: {line[:200]!r}"
        if len(line) > MAX_LINE or len(self._lines) >= MAX_LINES:
            return f"the server sent more than {MAX_LINES} lines, or {MAX_LINE} bytes in one"
        self._lines.append(line[4:] if self._lines else f"{code} {line[4:]}")
        if mark == "-":
            return None
        self.owed -= 1
        self.queue.append(Reply(code, "\n".join(self._lines)[:MAX_TEXT], at))
        self._lines = []
        return None

    def _suspicion(self) -> str | None:
        """Judge a line that has not ended: noise and floods are not waited for."""
        start = self._rest[:3].decode("latin-1")
        if self.owed == 0:
            return f"the server sent unsolicited data: {self._shown()!r}"
        if len(self._rest) > MAX_LINE:
            return f"the server sent a line of more than {MAX_LINE} bytes"
        if not (start.isascii() and start.isdigit()) or (len(start) == 3 and start not in _CODES):
            return f"the server sent what is no SMTP reply: {self._shown()!r}"
        return None

    def _hide(self, text: str) -> str:
        for secret in self.hidden:
            if secret in text:
                text = text.replace(secret, "***")
        return text

    def _shown(self) -> str:
        return _CONTROLS.sub("\ufffd", self._hide(self._rest[:200].decode("utf-8", "replace")))
