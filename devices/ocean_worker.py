"""The child process in which python-seabreeze runs: one spectrometer, requests on stdin, answers on stdout.

Why a process: stock seabreeze waits for ever for a peer that is silent, and holds the interpreter while it opens,
so that no thread and no signal handler of the same process runs. This one is killed instead.

It never outlives its parent. It ends when stdin closes; where seabreeze holds the interpreter at that moment, the
watchdog (a C thread that needs no interpreter) ends the process shortly after the request's own deadline.

What stock seabreeze 2.11 offers for a Flame-X, as seen on the wire: the feature ``strobe_lamp`` sends message
0x00110410 with one byte, acknowledgement asked for, and there is no way to read it back; there is no
``continuous_strobe``; ``raw_usb_bus_access`` over TCP ends the process (segmentation fault).

The import of seabreeze waits until the device is opened, so that a missing library is an answer, not a silence.
"""

import faulthandler
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import IO, Any, Literal, cast

import numpy as np

from devices.ocean_frames import Array, read_frame, write_frame
from devices.ocean_probe import ProbeError, probe

Answer = tuple[dict[str, Any], dict[str, Array]]

_WATCHDOG_S = 1.0
"""How long after the deadline of a request the process ends by itself; its parent is quicker while it lives."""


class WorkerError(Exception):
    """Why a request cannot be carried out, in words."""


class Worker:
    """Carries out requests on one spectrometer."""

    def __init__(self) -> None:
        self._spectrometer: Any = None

    def answer(self, request: dict[str, Any]) -> Answer:
        """Return the answer to one request; an answer with ``error`` where it failed. Never raises."""
        operations: dict[str, Callable[..., Answer]] = {
            "open": self._open,
            "integration": self._integration,
            "lamp": self._lamp,
            "acquire": self._acquire,
            "temperatures": self._temperatures,
            "close": self._close,
        }
        try:
            return operations[request["op"]](**request.get("with", {}))
        except WorkerError as error:
            return {"error": str(error)}, {}
        except Exception as error:  # noqa: BLE001 - whatever seabreeze raises is an answer for the parent
            return {"error": f"seabreeze: {type(error).__name__}: {error}"}, {}

    def _open(self, address: str, model: str, backend: str, serial: str | None, share_s: float) -> Answer:
        device = self._find(address, model, backend, serial, share_s)
        from seabreeze.spectrometers import Spectrometer

        self._spectrometer = spectrometer = Spectrometer(device)
        wavelengths = np.asarray(spectrometer.wavelengths(), dtype=np.float64)
        low, high = spectrometer.integration_time_micros_limits
        head = {
            "model": str(spectrometer.model),
            "serial": str(spectrometer.serial_number),
            "firmware": self._optional(lambda: str(spectrometer.f.revision.revision_firmware_get()), "unknown"),
            "limits_us": [int(low), int(high)],
            "full_scale": float(spectrometer.max_intensity),
            "strobe": getattr(spectrometer.f, "strobe_lamp", None) is not None,
        }
        coefficients = self._optional(
            lambda: list(spectrometer.f.nonlinearity_coefficients.get_nonlinearity_coefficients()), []
        )
        return head, {"wavelengths": wavelengths, "nonlinearity": np.asarray(coefficients, dtype=np.float64)}

    def _find(self, address: str, model: str, backend: str, serial: str | None, share_s: float) -> Any:
        kind, _, place = address.partition(":")
        host, port = "", 0
        if kind == "tcp":
            host, port = self._located(place)
            try:
                probe(host, port, share_s)
            except ProbeError as error:
                raise WorkerError(f"no spectrometer answers at {address}: {error}") from None
        try:
            import seabreeze
        except ImportError as error:
            raise WorkerError(f"python-seabreeze cannot be imported ({error})") from None
        seabreeze.use(cast(Literal["cseabreeze", "pyseabreeze"], backend))
        from seabreeze.spectrometers import _lib  # noqa: PLC2701 - the only name of the backend that was chosen

        api = _lib.SeaBreezeAPI()
        if kind == "tcp":
            self._announce(api, backend, model, host, port)
        devices = api.list_devices()
        wanted = serial or (place if kind == "usb" else "")
        for device in devices:
            if kind == "tcp" or not wanted or device.serial_number == wanted:
                return device
        if kind == "tcp":
            raise WorkerError(f"seabreeze finds no {model} at {address}; over TCP its {backend} knows few models")
        found = ", ".join(f"{device.model} {device.serial_number}" for device in devices) or "none"
        which = f"with serial number {wanted} " if wanted else ""
        raise WorkerError(f"no spectrometer {which}on USB (found: {found})")

    @staticmethod
    def _announce(api: Any, backend: str, model: str, host: str, port: int) -> None:
        # the compiled backend takes bytes, the Python one text
        text = backend == "pyseabreeze"
        known = api.add_ipv4_device_location(model if text else model.encode(), host if text else host.encode(), port)
        if known is False:
            raise WorkerError(f"seabreeze knows no model '{model}'; it knows {', '.join(api.supported_models())}")

    @staticmethod
    def _located(place: str) -> tuple[str, int]:
        host, _, port = place.removeprefix("//").rpartition(":")
        try:
            return socket.gethostbyname(host), int(port)  # seabreeze takes numeric addresses only
        except OSError as error:
            raise WorkerError(f"the host '{host}' is not known ({error.strerror})") from None

    @staticmethod
    def _optional(ask: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return ask()
        except Exception:  # noqa: BLE001 - not every model has every feature; the others do without
            return otherwise

    def _integration(self, microseconds: int) -> Answer:
        self._spectrometer.integration_time_micros(microseconds)
        return {}, {}

    def _lamp(self, on: bool) -> Answer:
        self._spectrometer.f.strobe_lamp.enable_lamp(on)
        return {}, {}

    def _acquire(self, discard: int, count: int) -> Answer:
        """Mean, highest and standard deviation (n - 1; zeros for one) of `count` spectra after `discard` others."""
        for _ in range(discard):
            self._spectrometer.intensities()
        seconds, spectra = [], []
        for _ in range(count):
            start = time.perf_counter()
            spectra.append(np.asarray(self._spectrometer.intensities(), dtype=np.float64))
            seconds.append(time.perf_counter() - start)
        table = np.stack(spectra)
        spread = table.std(axis=0, ddof=1) if count > 1 else np.zeros(table.shape[1])
        return {"seconds": seconds}, {"mean": table.mean(axis=0), "peak": table.max(axis=0), "spread": spread}

    def _temperatures(self) -> Answer:
        feature = getattr(self._spectrometer.f, "temperature", None)
        return {"temperatures_c": [] if feature is None else list(feature.temperature_get_all())}, {}

    def _close(self) -> Answer:
        if self._spectrometer is not None:
            self._spectrometer.close()
        return {}, {}


def serve(source: IO[bytes], sink: IO[bytes]) -> None:
    """Answer requests until `source` ends or a close is asked for."""
    requests: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    finished = threading.Event()

    def listen() -> None:
        while (frame := read_frame(source)) is not None:
            requests.put(frame[0])
        requests.put(None)
        if not finished.wait(_WATCHDOG_S):
            os._exit(1)  # the parent has gone, and a spectrum that nobody will read is still waited for

    threading.Thread(target=listen, name="requests", daemon=True).start()
    worker = Worker()
    write_frame(sink, {"ready": True})
    while (request := requests.get()) is not None:
        faulthandler.dump_traceback_later(request["deadline_s"] + _WATCHDOG_S, exit=True)
        head, arrays = worker.answer(request)
        faulthandler.cancel_dump_traceback_later()
        write_frame(sink, head, arrays)
        if request["op"] == "close":
            break
    finished.set()


def main() -> None:
    """Serve on this process's stdin and stdout; what libraries print goes to stderr."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which closes the spectrometer in order
    sink = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    # unbuffered: a thread that waits in a buffered reader holds its lock, and the process could not end in order
    source = os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0)
    with sink:
        serve(source, sink)


if __name__ == "__main__":
    main()
