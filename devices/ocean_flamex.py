"""Ocean Insight Flame-X spectrometer and its kin, through python-seabreeze in a watched child process.

Stock seabreeze reports no failure that the instrument reports: a refused setting is taken for done, a refused
spectrum is waited for for ever, and neither integration time nor lamp can be read back. What this driver does
about it: a deadline on everything (the child process is killed, and started again with the next request, its
settings applied anew and its identity compared), the first spectra after a change thrown away, and the counts
themselves asked whether lamp and integration time did change.

Addresses: ``tcp://host:port``, ``usb`` (the only one), ``usb:SERIAL``.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
from ophyd import Component, Device, Kind

from devices.ocean_child import ChildError, SpectrometerChild
from devices.ocean_frames import Array
from devices.ocean_light import light_changed
from devices.ocean_settings import OceanSettings
from devices.signals import Reading
from devices.status import Status
from nanolab.errors import DeviceError, NanolabError
from nanolab.interfaces import DeviceContext, HealthCheck

_log = logging.getLogger(__name__)

_CLOSE_S = 2.0
"""Wall time for switching the lamp off and closing; then the child process is killed."""

_SOON = 0.9
"""A spectrum that takes less than this share of its integration time cannot be new."""

_SMALL_CHANGE = 0.05
"""Changes of integration time below this share are not looked for in the counts."""


class IntegrationTime(Reading):
    """Integration time of one exposure, s; may be set, which the spectrometer itself does."""

    def set(self, value: Any, **_kwargs: Any) -> Status:
        """Set it; the status is done when the counts agree, as far as they can tell."""
        status: Status = self.parent.set_integration_time(float(value))
        return status

    def check_value(self, value: Any) -> None:
        """DeviceError where the instrument cannot integrate that long or that briefly."""
        self.parent.check_integration_time(float(value))

    @property
    def limits(self) -> tuple[float, float]:
        """Shortest and longest integration time, s, as the instrument's model has them."""
        limits: tuple[float, float] = self.parent.integration_limits_s
        return limits


class OceanFlameX(Device):
    """A spectrometer: counts (n_pixels,) against wavelength (n_pixels,) nm. No I/O before `connect`."""

    Settings: ClassVar[type[OceanSettings]] = OceanSettings
    role: ClassVar[str] = "spectrometer"

    counts = Component(Reading, value=np.zeros(0), units="counts", kind=Kind.normal, doc="(n_pixels,) mean counts")
    noise = Component(
        Reading, value=np.zeros(0), units="counts", kind=Kind.omitted,
        doc="(n_pixels,) standard deviation of the mean; only where several exposures are averaged",
    )  # fmt: skip
    saturated = Component(Reading, value=0, kind=Kind.hinted, doc="pixels at full scale in any of the exposures")
    lamp_on = Component(Reading, value=0, kind=Kind.normal, doc="1 while the lamp was told to be on")
    valid = Component(Reading, value=0, kind=Kind.normal, doc="1 where the counts can be believed")
    reason = Component(Reading, value="nothing was read yet", kind=Kind.normal, doc="why they cannot be believed")
    wavelengths = Component(Reading, value=np.zeros(0), units="nm", kind=Kind.config, doc="(n_pixels,) calibration")
    integration_time = Component(IntegrationTime, value=0.0, units="s", kind=Kind.config, doc="of one exposure")
    averages = Component(Reading, value=1, kind=Kind.config, doc="exposures averaged into one spectrum")
    full_scale = Component(Reading, value=0.0, units="counts", kind=Kind.config, doc="where the converter ends")
    nonlinearity = Component(
        Reading, value=np.zeros(0), kind=Kind.config,
        doc="c_i, lowest first: true counts = counts / sum c_i counts^i after subtracting the dark; empty: linear",
    )  # fmt: skip

    def __init__(self, context: DeviceContext, **kwargs: Any) -> None:
        super().__init__("", name=context.name, **kwargs)
        self.context = context
        self.settings: OceanSettings = context.settings
        self.source = f"{'simulated' if context.simulated else 'instrument'}:{context.address}"
        if self.settings.averages > 1:
            self.noise.kind = Kind.normal
        self.integration_limits_s = (0.0, np.inf)
        self._identity: dict[str, str] = {}
        self._has_strobe = False
        self._executor: ThreadPoolExecutor | None = None
        self._child: SpectrometerChild | None = None
        self._integration_s = self.settings.integration_time.value
        self._lamp_wanted = self.settings.lamp == "always on"
        self._to_discard = 0
        self._staged: tuple[float, bool] | None = None

    # ---- nanolab.interfaces.Instrument

    def connect(self) -> None:
        """Start the child, open the spectrometer, check it against the bench file, lamp off. DeviceError if it fails.

        Nothing is left over where it fails.
        """
        if self._executor is not None:
            return
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"nanolab-{self.name}")
        try:
            self._submit(self._ready).wait()
        except BaseException:
            self.disconnect()
            raise

    def disconnect(self) -> None:
        """Switch the lamp off, close the spectrometer, end the child process. Never raises; may be called again."""
        executor, self._executor = self._executor, None
        if executor is None:
            return
        done = executor.submit(self._close)
        try:
            done.result(2 * _CLOSE_S)
        except Exception:  # noqa: BLE001 - whatever went wrong, the child goes
            child = self._child
            if child is not None:
                child.kill()  # a request that still runs ends with it
        executor.shutdown(wait=True)
        self._drop_child()

    def identity(self) -> Mapping[str, str]:
        """Return maker, model, serial and firmware as read when connecting (empty before)."""
        return dict(self._identity)

    def health(self) -> Sequence[HealthCheck]:
        """Ask the instrument how it is; never raises: what fails is a row of the answer."""
        looks: list[tuple[str, Callable[[], str]]] = [
            ("identity", self._look_at_identity),
            ("temperatures", self._look_at_temperatures),
            ("spectrum", self._look_at_spectrum),
        ]
        rows = []
        for what, look in looks:
            try:
                rows.append(HealthCheck(what, True, str(self._submit(look).result())))
            except NanolabError as error:
                rows.append(HealthCheck(what, False, str(error), "Check power, cable and address of the spectrometer."))
        return rows

    # ---- nanolab.interfaces.Spectrometer

    def lamp(self, on: bool) -> Status:
        """Switch the strobe output that drives the lamp; done when the counts show it. Old spectra are thrown away."""
        return self._submit(lambda: self._switch_lamp(bool(on)))

    # ---- bluesky

    def trigger(self) -> Status:
        """Take one spectrum (the mean of ``averages`` exposures)."""
        return self._submit(self._measure)

    def set_integration_time(self, seconds: float) -> Status:
        """Set the integration time, s. DeviceError at once where it is outside the limits."""
        self.check_integration_time(seconds)
        return self._submit(lambda: self._change_integration(seconds))

    def check_integration_time(self, seconds: float) -> None:
        """DeviceError where the instrument cannot integrate for `seconds`."""
        low, high = self.integration_limits_s
        if not low <= seconds <= high:
            raise DeviceError(
                self.name,
                f"cannot integrate for {seconds:g} s",
                remedy=f"Choose an integration_time between {low:g} s and {high:g} s.",
            )

    def stage(self) -> list[object]:
        """Remember integration time and lamp."""
        staged: list[object] = super().stage()
        self._staged = (self._integration_s, self._lamp_wanted)
        return staged

    def unstage(self) -> list[object]:
        """Bring integration time and lamp back to what they were; nothing is restarted for that."""
        before, self._staged = self._staged, None
        if before is not None and self._child is not None and self._child.alive:
            self._submit(lambda: self._restore(*before)).wait()
        unstaged: list[object] = super().unstage()
        return unstaged

    # ---- in the worker: what is asked for

    def _measure(self) -> None:
        self._ready()
        averages = self.settings.averages
        head, arrays = self._acquire(averages)
        counts, saturated = arrays["mean"], self._saturated(arrays["peak"])
        reason = self._too_soon(head["seconds"])
        if reason:
            counts = np.full_like(counts, np.nan)
        self._update(
            {
                "counts": counts,
                "noise": arrays["spread"] / np.sqrt(averages),
                "saturated": saturated,
                "lamp_on": int(self._lamp_wanted),
                "valid": int(not reason),
                "reason": reason,
            }
        )

    def _switch_lamp(self, on: bool) -> None:
        if self.settings.lamp == "always on":
            if on:
                return
            raise DeviceError(
                self.name,
                'the lamp cannot be switched off: the bench file says lamp = "always on"',
                remedy='Block its light by hand, or wire it to the strobe output and write lamp = "strobe".',
            )
        self._ready()
        if on == self._lamp_wanted:
            return
        before = self._acquire(1)[1]["mean"] if self.settings.check_light else None
        self._request("lamp", on=on)
        self._lamp_wanted = on
        self._changed()
        if self.context.wall_clock:
            time.sleep(self.settings.lamp_settle.value)
        if before is not None:
            word = "on" if on else "off"
            self._expect_change(before, 1 if on else -1, f"the lamp was switched {word}")

    def _change_integration(self, seconds: float) -> None:
        self._ready()
        ratio = seconds / self._integration_s
        visible = self.settings.check_light and self._lamp_wanted and abs(ratio - 1.0) > _SMALL_CHANGE
        before = self._acquire(1)[1]["mean"] if visible else None
        self._apply_integration(seconds)
        if before is not None and self._saturated(before) < before.size:
            words = f"the integration time was changed to {seconds:g} s"
            self._expect_change(before, 1 if ratio > 1.0 else -1, words)

    def _restore(self, integration_s: float, lamp: bool) -> None:
        if lamp != self._lamp_wanted:
            self._request("lamp", on=lamp)
            self._lamp_wanted = lamp
            self._changed()
        if integration_s != self._integration_s:
            self._apply_integration(integration_s)

    def _close(self) -> None:
        if self._child is None or not self._child.alive:
            return
        if self._lamp_wanted and self._has_strobe and self.settings.lamp == "strobe":
            self._child.request("lamp", _CLOSE_S, on=False)
            self._lamp_wanted = False
        self._child.request("close", _CLOSE_S)
        self._child.close(polite_s=_CLOSE_S)

    # ---- in the worker: health

    def _look_at_identity(self) -> str:
        self._ready()
        return " ".join(self._identity[key] for key in ("maker", "model", "serial", "firmware"))

    def _look_at_temperatures(self) -> str:
        self._ready()
        found = self._request("temperatures")[0]["temperatures_c"]
        return ", ".join(f"{value:.1f} degC" for value in found) or "it has no thermometers"

    def _look_at_spectrum(self) -> str:
        self._ready()
        peak = self._acquire(1)[1]["peak"]
        return (
            f"brightest pixel {peak.max():.0f} of {self.full_scale.get():.0f} counts, {self._saturated(peak)} saturated"
        )

    # ---- in the worker: the child

    def _ready(self) -> None:
        """Have an open spectrometer with the settings applied; after a restart, the same one as before."""
        if self._child is not None and self._child.alive:
            return
        self._drop_child()
        try:
            self._child = SpectrometerChild()
            self._open()
        except ChildError as error:
            self._drop_child()
            raise DeviceError(
                self.name, f"cannot be opened: {error}", remedy="Check its power, its cable and the address."
            ) from None
        except DeviceError:
            self._drop_child()
            raise

    def _open(self) -> None:
        settings = self.settings
        head, arrays = self._request(
            "open",
            address=_checked_address(self.name, self.context.address),
            model=settings.model,
            backend=settings.backend,
            serial=settings.serial,
            deadline_s=settings.deadline.value,
        )
        found = {
            "maker": "Ocean Insight",
            "model": str(head["model"]),
            "serial": str(head["serial"]),
            "firmware": str(head["firmware"]),
        }
        self._check_identity(found, arrays["wavelengths"])
        self._identity = found
        self._has_strobe = bool(head["lamp"])
        if settings.lamp == "strobe" and not self._has_strobe:
            raise DeviceError(
                self.name,
                f"seabreeze has no strobe output for a {found['model']}",
                remedy='Switch the lamp by hand and write lamp = "always on".',
            )
        low, high = head["limits_us"]
        self.integration_limits_s = (low * 1e-6, high * 1e-6)
        self.check_integration_time(self._integration_s)
        self._apply_integration(self._integration_s)
        if settings.lamp == "strobe":
            self._request("lamp", on=self._lamp_wanted)
        size = arrays["wavelengths"].size
        self._update(
            {
                "wavelengths": arrays["wavelengths"],
                "averages": settings.averages,
                "full_scale": float(head["full_scale"]),
                "nonlinearity": arrays["nonlinearity"],
                "counts": np.full(size, np.nan),
                "noise": np.full(size, np.nan),
                "valid": 0,
                "reason": "nothing was read yet",
            }
        )

    def _check_identity(self, found: Mapping[str, str], wavelengths: Array) -> None:
        wanted = self.settings.serial
        if wanted is not None and wanted != found["serial"]:
            raise DeviceError(
                self.name,
                f"serial number {found['serial']} answers at {self.context.address}, but {wanted} is wanted",
                remedy="Correct the address or the serial number in bench.toml.",
            )
        if not self._identity:
            return
        if found["serial"] != self._identity["serial"] or not np.array_equal(wavelengths, self.wavelengths.get()):
            raise DeviceError(
                self.name,
                f"another spectrometer answers now, or its calibration has changed: serial {found['serial']}, it was "
                f"{self._identity['serial']}",
                remedy="Connect anew.",
            )

    def _apply_integration(self, seconds: float) -> None:
        self._request("integration", microseconds=round(seconds * 1e6))
        self._integration_s = seconds
        self._changed()
        self._update({"integration_time": seconds})

    def _changed(self) -> None:
        self._to_discard = self.settings.discard_after_change

    def _acquire(self, count: int) -> tuple[Mapping[str, Any], Mapping[str, Array]]:
        discard, self._to_discard = self._to_discard, 0
        # an old spectrum may still take an old integration time: the longest that the model has is not assumed
        exposures_s = (discard + count) * self._integration_s
        return self._request("acquire", exposures_s, discard=discard, count=count)

    def _request(
        self, op: str, extra_s: float = 0.0, **arguments: Any
    ) -> tuple[Mapping[str, Any], Mapping[str, Array]]:
        child = self._child
        if child is None:
            raise DeviceError(self.name, "is not connected")
        try:
            return child.request(op, self.settings.deadline.value + extra_s, **arguments)
        except ChildError as error:
            # after any failure nothing that seabreeze holds is trusted: the next request starts anew
            self._drop_child()
            if op == "open":
                raise
            remedy = "Check its power and its cable; the next request starts it anew."
            raise DeviceError(self.name, f"{_WORDS[op]} failed: {error}", remedy=remedy) from None

    def _drop_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.close()

    # ---- in the worker: judging

    def _saturated(self, counts: Array) -> int:
        return int(np.count_nonzero(counts >= self.settings.saturation_fraction * self.full_scale.get()))

    def _too_soon(self, seconds: Sequence[float]) -> str:
        if not (self.context.wall_clock and self.settings.check_exposure):
            return ""
        quickest = min(seconds)
        if quickest >= _SOON * self._integration_s:
            return ""
        return (
            f"came after {quickest:.3g} s, sooner than its integration time of {self._integration_s:.3g} s: an old one"
        )

    def _expect_change(self, before: Array, direction: int, words: str) -> None:
        after = self._acquire(1)[1]["mean"]
        if light_changed(before, after, direction):
            return
        raise DeviceError(
            self.name,
            f"{words}, but the counts did not {'rise' if direction > 0 else 'fall'} "
            f"(mean {before.mean():.0f}, then {after.mean():.0f})",
            remedy="Look at lamp, shutter and fibre; where spectra are old ones, raise discard_after_change.",
        )

    def _update(self, values: Mapping[str, Any]) -> None:
        now = self.context.lab_time()
        for attribute, value in values.items():
            getattr(self, attribute).update(value, now)

    def _submit(self, work: Callable[[], Any]) -> Status:
        status = Status()
        executor = self._executor
        if executor is None:
            status.finish(DeviceError(self.name, "is not connected"))
            return status

        def run() -> None:
            try:
                status.finish(result=work())
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits for the status
                status.finish(error)

        executor.submit(run)
        return status


_WORDS: Mapping[str, str] = {
    "integration": "setting the integration time",
    "lamp": "switching the lamp",
    "acquire": "taking a spectrum",
    "temperatures": "reading its temperatures",
}


def _checked_address(name: str, address: str) -> str:
    kind, _, rest = address.partition(":")
    host, _, port = rest.removeprefix("//").rpartition(":")
    if kind == "usb" or (kind == "tcp" and rest.startswith("//") and host and port.isdigit()):
        return address
    raise DeviceError(
        name,
        f"the address '{address}' is not understood",
        remedy="Write tcp://host:port, usb, or usb:SERIAL.",
    )
