"""One spectrometer as the driver's worker thread sees it: a child process, and the settings that it must have.

Everything here blocks, each time for the deadline at most (plus the exposures), and belongs to one thread at a time.
After any failure nothing that seabreeze holds is trusted: the child is dropped, and the next request starts a new
one, compares the identity with what it was, and applies the settings anew.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from devices.ocean_child import ChildError, SpectrometerChild
from devices.ocean_frames import Array
from devices.ocean_settings import OceanSettings
from nanolab.errors import DeviceError

CLOSE_S = 2.0
"""Wall time for each step of closing; then the child process is killed."""

_WORDS: Mapping[str, str] = {
    "integration": "setting the integration time",
    "lamp": "switching its lamp output",
    "acquire": "taking a spectrum",
    "temperatures": "reading its temperatures",
}


@dataclass(frozen=True)
class Opened:
    """What was read when the spectrometer was opened. ``wavelengths`` (n_pixels,) nm, ``nonlinearity`` (k,)."""

    identity: Mapping[str, str]
    wavelengths: Array
    nonlinearity: Array
    full_scale: float
    limits_s: tuple[float, float]
    has_strobe: bool


@dataclass(frozen=True)
class Spectra:
    """Several exposures, (n_pixels,) each: mean, highest, standard deviation; ``seconds`` that each exposure took."""

    mean: Array
    peak: Array
    spread: Array
    seconds: list[float] = field(default_factory=list)


class OceanSession:
    """An open spectrometer, opened again where it was lost.

    Parameters
    ----------
    name : str
        The device's name on the bench.
    address : str
        ``tcp://host:port``, ``usb`` or ``usb:SERIAL``.
    settings : OceanSettings
        The bench file's table.
    start : callable
        Starts a child process.
    """

    def __init__(
        self,
        name: str,
        address: str,
        settings: OceanSettings,
        start: Callable[[], SpectrometerChild] = SpectrometerChild,
    ) -> None:
        self._name = name
        self._address = address
        self._settings = settings
        self._start = start
        self._child: SpectrometerChild | None = None
        self._to_discard = 0
        self._old_integration_s = 0.0
        self.opened: Opened | None = None
        self.integration_s = settings.integration_time.value
        self.lamp_on = settings.lamp == "always on"

    @property
    def alive(self) -> bool:
        """True while a child process holds the spectrometer."""
        return self._child is not None and self._child.alive

    @property
    def pid(self) -> int | None:
        """Process id of the child, if there is one."""
        return None if self._child is None else self._child.pid

    def ready(self) -> Opened:
        """Have an open spectrometer with the settings applied, the same one as before. DeviceError if it fails."""
        if self.opened is not None and self.alive:
            return self.opened
        self.drop()
        try:
            self._child = self._start()
            self.opened = self._open(self._child)
        except ChildError as error:
            self.drop()
            raise DeviceError(
                self._name, f"cannot be opened: {error}", remedy="Check its power, its cable and the address."
            ) from None
        except BaseException:
            self.drop()
            raise
        return self.opened

    def set_integration(self, seconds: float) -> None:
        """Set the integration time, s."""
        self.check_integration(seconds)
        self._request("integration", microseconds=round(seconds * 1e6))
        self._old_integration_s, self.integration_s = self.integration_s, seconds
        self._to_discard = self._settings.discard_after_change

    def check_integration(self, seconds: float) -> None:
        """DeviceError where the instrument, as far as it is known yet, cannot integrate for `seconds`."""
        low, high = (0.0, np.inf) if self.opened is None else self.opened.limits_s
        if not low <= seconds <= high:
            raise self._cannot_integrate(seconds, low, high)

    def switch_lamp(self, on: bool) -> None:
        """Switch the strobe output."""
        self._request("lamp", on=on)
        self.lamp_on = on
        self._to_discard = self._settings.discard_after_change

    def acquire(self, count: int) -> Spectra:
        """Take `count` exposures, after throwing away those that may be old."""
        discard, self._to_discard = self._to_discard, 0
        # an old spectrum takes its old integration time
        exposures_s = discard * max(self.integration_s, self._old_integration_s) + count * self.integration_s
        head, arrays = self._request("acquire", exposures_s, discard=discard, count=count)
        return Spectra(arrays["mean"], arrays["peak"], arrays["spread"], list(head["seconds"]))

    def temperatures(self) -> list[float]:
        """Return the temperatures of its boards, degC."""
        return [float(value) for value in self._request("temperatures")[0]["temperatures_c"]]

    def kill(self) -> None:
        """End the child process at once, from any thread; a request that runs then fails."""
        child = self._child
        if child is not None:
            child.kill()

    def drop(self) -> None:
        """End the child process and wait for it."""
        child, self._child = self._child, None
        if child is not None:
            child.close()

    def close(self) -> None:
        """Switch the strobe off and close the spectrometer, if it is still there; nothing is left over."""
        child = self._child
        try:
            if child is not None and child.alive and self.opened is not None:
                if self._settings.lamp == "strobe" and self.lamp_on:
                    child.request("lamp", CLOSE_S, on=False)
                child.request("close", CLOSE_S)
                child.close(polite_s=CLOSE_S)
        except ChildError:
            pass  # what cannot be closed in order is killed
        finally:
            self.lamp_on = self._settings.lamp == "always on"
            self.drop()

    def _open(self, child: SpectrometerChild) -> Opened:
        settings = self._settings
        deadline_s = settings.deadline.value
        head, arrays = child.request(
            "open",
            deadline_s,
            address=checked_address(self._name, self._address),
            model=settings.model,
            backend=settings.backend,
            serial=settings.serial,
            share_s=0.8 * deadline_s,
        )
        low, high = head["limits_us"]
        opened = Opened(
            {"maker": "Ocean Insight", **{key: str(head[key]) for key in ("model", "serial", "firmware")}},
            arrays["wavelengths"],
            arrays["nonlinearity"],
            float(head["full_scale"]),
            (low * 1e-6, high * 1e-6),
            bool(head["strobe"]),
        )
        self._check(opened)
        child.request("integration", deadline_s, microseconds=round(self.integration_s * 1e6))
        if settings.lamp == "strobe":
            child.request("lamp", deadline_s, on=self.lamp_on)
        self._to_discard = settings.discard_after_change
        return opened

    def _check(self, found: Opened) -> None:
        serial, wanted = found.identity["serial"], self._settings.serial
        if wanted is not None and wanted != serial:
            raise DeviceError(
                self._name,
                f"serial number {serial} answers at {self._address}, but {wanted} is wanted",
                remedy="Correct the address or the serial number in bench.toml.",
            )
        before = self.opened
        if before is not None and before.identity["serial"] != serial:
            raise DeviceError(
                self._name,
                f"another spectrometer answers now: serial number {serial}, it was {before.identity['serial']}",
                remedy="Put the first one back, or begin a new run.",
            )
        if before is not None and not np.array_equal(before.wavelengths, found.wavelengths):
            raise DeviceError(
                self._name,
                f"serial number {serial} came back with another wavelength calibration",
                remedy="Begin a new run: its spectra cannot be compared with those before.",
            )
        if self._settings.lamp == "strobe" and not found.has_strobe:
            raise DeviceError(
                self._name,
                f"seabreeze has no strobe output for a {found.identity['model']}",
                remedy='Switch the lamp by hand and write lamp = "always on".',
            )
        low, high = found.limits_s
        if not low <= self.integration_s <= high:
            raise self._cannot_integrate(self.integration_s, low, high)

    def _cannot_integrate(self, seconds: float, low: float, high: float) -> DeviceError:
        return DeviceError(
            self._name,
            f"cannot integrate for {seconds:g} s",
            remedy=f"Choose an integration_time between {low:g} s and {high:g} s.",
        )

    def _request(
        self, op: str, extra_s: float = 0.0, **arguments: Any
    ) -> tuple[Mapping[str, Any], Mapping[str, Array]]:
        child = self._child
        if child is None:
            raise DeviceError(self._name, "is not connected")
        try:
            return child.request(op, self._settings.deadline.value + extra_s, **arguments)
        except ChildError as error:
            self.drop()
            remedy = "Check its power and its cable; the next request starts it anew."
            raise DeviceError(self._name, f"{_WORDS[op]} failed: {error}", remedy=remedy) from None


def checked_address(name: str, address: str) -> str:
    """Return the address; DeviceError where it is none."""
    kind, _, rest = address.partition(":")
    host, _, port = rest.removeprefix("//").rpartition(":")
    if kind == "usb" or (kind == "tcp" and rest.startswith("//") and host and port.isdigit()):
        return address
    raise DeviceError(
        name, f"the address '{address}' is not understood", remedy="Write tcp://host:port, usb, or usb:SERIAL."
    )
