"""How somebody outside the run finds a running guardian and tells it to turn its laser off.

A guardian listens on a loopback port and leaves a small file, ``guardian-<hash of the laser's address>.json``, in a folder
that only its user can read: port and token. Whoever has the token may say ``off`` or ``status``; nobody can say ``on``.
"""

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import selectors
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST_BYTES = 4096


def runtime_folder() -> Path:
    """Return this user's folder for such files: in XDG_RUNTIME_DIR, else in the folder for temporary files."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / "nanolab"
    user = getattr(os, "getuid", lambda: os.environ.get("USERNAME", "user"))()
    return Path(tempfile.gettempdir()) / f"nanolab-{user}"


def same_address(address: str) -> str:
    """Return one spelling for one place: VISA sockets as ``tcp://``, links to device files resolved, case levelled."""
    text = address.strip()
    parts = text.split("::")
    if parts[0].upper().startswith("TCPIP") and parts[-1].upper() == "SOCKET" and len(parts) == 4:
        return f"tcp://{parts[1]}:{parts[2]}".lower()
    if text.startswith("/"):
        return str(Path(text).resolve())
    return text.replace("socket://", "tcp://").replace("tcp://localhost:", "tcp://127.0.0.1:").lower()


def file_for(address: str) -> Path:
    """Return where the guardian of the laser at this address leaves its file."""
    digest = hashlib.sha256(same_address(address).encode()).hexdigest()[:16]
    return runtime_folder() / f"guardian-{digest}.json"


@dataclass(frozen=True)
class Published:
    """What a guardian's file says."""

    pid: int
    port: int
    token: str
    device: str
    address: str
    by_hand: str


def published(path: Path) -> Published | None:
    """Read a guardian's file; None where there is none, where it is not ours, or where it is no such file."""
    try:
        if hasattr(os, "getuid") and path.lstat().st_uid != os.getuid():
            return None
        raw = json.loads(path.read_text(encoding="utf-8"))
        return Published(
            int(raw["pid"]), int(raw["port"]), str(raw["token"]), str(raw["device"]), str(raw["address"]), str(raw["by_hand"])
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return None


def all_published() -> list[Published]:
    """Return every guardian's file of this user, dead ones' too."""
    found = [published(path) for path in sorted(runtime_folder().glob("guardian-*.json"))]
    return [one for one in found if one is not None]


def ask(guardian: Published, request: str, timeout_s: float) -> dict[str, Any]:
    """Tell a guardian ``off`` or ask its ``status``; ConnectionError where nobody answers in time."""
    message = json.dumps({"token": guardian.token, "do": request}).encode() + b"\n"
    answer = b""
    try:
        with socket.create_connection(("127.0.0.1", guardian.port), timeout=timeout_s) as connection:
            connection.sendall(message)
            while not answer.endswith(b"\n"):
                data = connection.recv(1 << 16)
                if not data:
                    break
                answer += data
        found = json.loads(answer)
    except (OSError, ValueError) as error:
        raise ConnectionError(f"the guardian (process {guardian.pid}) does not answer ({error})") from error
    if not isinstance(found, dict):
        raise ConnectionError(f"the guardian (process {guardian.pid}) answers what makes no sense")
    return found


class Door:
    """The guardian's side: the listener, the file, and the clients, each of which asks one thing.

    `asked` is given the request and a function that answers it. ``problem`` says why the file could not be left.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        asked: Callable[[str, Callable[[dict[str, Any]], None]], None],
        *,
        device: str,
        address: str,
        by_hand: str,
    ) -> None:
        self._selector = selector
        self._asked = asked
        self._clients: dict[socket.socket, bytes] = {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._own = Published(
            os.getpid(), int(self._listener.getsockname()[1]), secrets.token_hex(16), device, address, by_hand
        )
        self.path = file_for(address)
        self.problem = ""
        try:
            self._publish()
        except OSError as error:
            self.problem = f"{self.path} cannot be written ({error.strerror}): `nanolab laser off` will not find it"

    def _publish(self) -> None:
        folder = self.path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
            raise PermissionError(1, "the folder belongs to somebody else")
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=".guardian-")
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, readable by its owner alone
            json.dump(vars(self._own), file)
        Path(name).replace(self.path)

    def _accept(self, _events: int) -> None:
        with contextlib.suppress(OSError):  # it may have gone again
            client, _ = self._listener.accept()
            client.setblocking(False)
            self._clients[client] = b""
            self._selector.register(client, selectors.EVENT_READ, lambda _events: self._read(client))

    def _read(self, client: socket.socket) -> None:
        try:
            data = client.recv(MOST_BYTES)
        except OSError:
            data = b""
        message = self._clients[client] + data
        if not data or len(message) > MOST_BYTES:
            self._drop(client)
            return
        self._clients[client] = message
        if b"\n" in message:
            self._serve(client, message)

    def _serve(self, client: socket.socket, message: bytes) -> None:
        try:
            request = json.loads(message.partition(b"\n")[0])
            token, wanted = str(request["token"]), str(request["do"])
        except (ValueError, KeyError, TypeError):
            token = wanted = ""
        if not hmac.compare_digest(token.encode(), self._own.token.encode()):
            self._drop(client)
            return

        def answer(reply: dict[str, Any]) -> None:
            with contextlib.suppress(OSError):  # whoever asked may have gone
                client.send(json.dumps(reply, default=str).encode() + b"\n")
            self._drop(client)

        self._selector.unregister(client)
        self._asked(wanted, answer)

    def _drop(self, client: socket.socket) -> None:
        self._clients.pop(client, None)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(client)
        client.close()

    def close(self) -> None:
        """Close everything and take the file away, if it is still ours."""
        for client in list(self._clients):
            self._drop(client)
        self._selector.unregister(self._listener)
        self._listener.close()
        if published(self.path) == self._own:
            with contextlib.suppress(OSError):
                self.path.unlink()
