"""Ocean Insight Flame-X spectrometer and its kin, through python-seabreeze in a watched child process.

Stock seabreeze reports no failure that the instrument reports: a refused setting is taken for done, a refused
spectrum is waited for for ever, and neither integration time nor lamp can be read back. What this driver does
about it: a deadline on everything (the child process is killed, and started again with the next request, its
settings applied anew and its identity compared), the first spectra after a change thrown away, and the counts
themselves asked whether lamp and integration time did change.

Addresses: ``tcp://host:port``, ``usb`` (the only one), ``usb:SERIAL``.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
from ophyd import Component, Device, Kind

from devices.ocean_frames import Array
from devices.ocean_light import light_changed
from devices.ocean_session import CLOSE_S, OceanSession
from devices.ocean_settings import OceanSettings
from devices.signals import Reading
from devices.status import Status
from nanolab.errors import DeviceError, NanolabError
from nanolab.interfaces import DeviceContext, HealthCheck

_SOON = 0.9
"""A spectrum that takes less than this share of its integration time cannot be new."""

_SMALL_CHANGE = 0.05
"""Changes of integration time below this share are not looked for in the counts."""

_NOTHING_YET = "nothing was read yet"


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
    """Ocean Insight spectrometer (Flame-X and its kin).

    Counts (n_pixels,) against wavelength (n_pixels,) nm. No I/O before `connect`.
    """

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
    reason = Component(Reading, value=_NOTHING_YET, kind=Kind.normal, doc="why they cannot be believed")
    wavelengths = Component(Reading, value=np.zeros(0), units="nm", kind=Kind.config, doc="(n_pixels,) calibration")
    integration_time = Component(IntegrationTime, value=0.0, units="s", kind=Kind.config, doc="of one exposure")
    averages = Component(Reading, value=1, kind=Kind.config, doc="exposures averaged into one spectrum")
    full_scale = Component(Reading, value=0.0, units="counts", kind=Kind.config, doc="where the converter ends")
    nonlinearity = Component(
        Reading, value=np.zeros(0), kind=Kind.config,
        doc="c_i, lowest first: true counts = counts / sum c_i counts^i after subtracting the dark; empty: linear",
    )  # fmt: skip

    stray_light = Component(
        Reading, value=0.0, kind=Kind.config, doc="share of all light that spreads evenly over the pixels; 0: not known"
    )

    def __init__(self, context: DeviceContext, **kwargs: Any) -> None:
        super().__init__("", name=context.name, **kwargs)
        self.context = context
        self.settings: OceanSettings = context.settings
        self.source = f"{'simulated' if context.simulated else 'instrument'}:{context.address}"
        if self.settings.averages > 1:
            self.noise.kind = Kind.normal
        self._session = self._new_session()
        self._lamp_doubtful = False
        self._executor: ThreadPoolExecutor | None = None
        self._staged: tuple[float, bool] | None = None

    # ---- nanolab.interfaces.Instrument

    def connect(self) -> None:
        """Open the spectrometer in a child process, check it against the bench file, switch its lamp off.

        DeviceError where it fails; nothing is left over then.
        """
        if self._executor is not None:
            return
        self._session = self._new_session()
        self._lamp_doubtful = False
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"nanolab-{self.name}")
        try:
            self._submit(self._connect).wait()
        except BaseException:
            self.disconnect()
            raise

    def disconnect(self) -> None:
        """Switch the lamp off, close the spectrometer, end the child process. Never raises; may be called again."""
        executor, self._executor = self._executor, None
        if executor is None:
            return
        closed = executor.submit(self._session.close)
        try:
            closed.result(2 * CLOSE_S)
        except Exception:  # noqa: BLE001 - whatever keeps it from closing in order, its process ends
            self._session.kill()  # a spectrum that is still waited for ends with it
        executor.shutdown(wait=True)

    def identity(self) -> Mapping[str, str]:
        """Return maker, model, serial and firmware as read when connecting (empty before)."""
        opened = self._session.opened
        return {} if opened is None else dict(opened.identity)

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
        self._session.check_integration(seconds)

    @property
    def integration_limits_s(self) -> tuple[float, float]:
        """Shortest and longest integration time, s; (0, 0), which is ophyd's "none", before connecting."""
        opened = self._session.opened
        return (0.0, 0.0) if opened is None else opened.limits_s

    def stage(self) -> list[object]:
        """Remember integration time and lamp."""
        staged: list[object] = super().stage()
        self._staged = (self._session.integration_s, self._session.lamp_on)
        return staged

    def unstage(self) -> list[object]:
        """Bring integration time and lamp back to what they were; nothing is restarted for that."""
        before, self._staged = self._staged, None
        if before is not None and self._session.alive:
            self._submit(lambda: self._restore(*before)).wait()
        unstaged: list[object] = super().unstage()
        return unstaged

    # ---- in the worker: what is asked for

    def _connect(self) -> None:
        opened = self._session.ready()
        empty = np.full(opened.wavelengths.size, np.nan)
        self._update(
            wavelengths=opened.wavelengths,
            integration_time=self._session.integration_s,
            averages=self.settings.averages,
            full_scale=opened.full_scale,
            nonlinearity=opened.nonlinearity,
            stray_light=self.settings.stray_light,
            counts=empty,
            noise=empty,
            lamp_on=int(self._session.lamp_on),
            valid=0,
            reason=_NOTHING_YET,
        )

    def _measure(self) -> None:
        self._session.ready()
        averages = self.settings.averages
        spectra = self._session.acquire(averages)
        reason = self._too_soon(min(spectra.seconds))
        self._update(
            counts=np.full_like(spectra.mean, np.nan) if reason else spectra.mean,
            noise=spectra.spread / np.sqrt(averages),
            saturated=self._saturated(spectra.peak),
            lamp_on=int(self._session.lamp_on),
            valid=int(not reason),
            reason=reason,
        )

    def _switch_lamp(self, on: bool) -> None:
        if self.settings.lamp == "always on":
            if on:
                return
            raise DeviceError(
                self.name,
                'the lamp cannot be switched off: the bench file says lamp = "always on"',
                remedy='Wire it to the strobe output and write lamp = "strobe".',
            )
        self._session.ready()
        if self._lamp_doubtful and on == self._session.lamp_on:
            self._session.switch_lamp(not on)  # it was told so before, and not seen: begin from the other state
        if on == self._session.lamp_on:
            return
        before = self._session.acquire(1).mean if self.settings.check_light else None
        self._session.switch_lamp(on)
        if self.context.wall_clock:
            time.sleep(self.settings.lamp_settle.value)
        if before is not None:
            self._lamp_doubtful = True
            self._expect_change(before, on, f"the lamp was switched {'on' if on else 'off'}")
            self._lamp_doubtful = False

    def _change_integration(self, seconds: float) -> None:
        self._session.ready()
        ratio = seconds / self._session.integration_s
        # without light there is too little to see
        visible = self.settings.check_light and self._session.lamp_on and abs(ratio - 1.0) > _SMALL_CHANGE
        before = self._session.acquire(1).mean if visible else None
        self._session.set_integration(seconds)
        self._update(integration_time=seconds)
        if before is not None and self._saturated(before) < before.size:
            self._expect_change(before, ratio > 1.0, f"the integration time was changed to {seconds:g} s")

    def _restore(self, integration_s: float, lamp: bool) -> None:
        if lamp != self._session.lamp_on:
            self._session.switch_lamp(lamp)
        if integration_s != self._session.integration_s:
            self._session.set_integration(integration_s)
            self._update(integration_time=integration_s)

    def _look_at_identity(self) -> str:
        return " ".join(self._session.ready().identity.values())

    def _look_at_temperatures(self) -> str:
        self._session.ready()
        found = self._session.temperatures()
        return ", ".join(f"{value:.1f} degC" for value in found) or "it has no thermometers"

    def _look_at_spectrum(self) -> str:
        full_scale = self._session.ready().full_scale
        peak = self._session.acquire(1).peak
        return f"brightest pixel {peak.max():.0f} of {full_scale:.0f} counts, {self._saturated(peak)} pixels saturated"

    # ---- in the worker: judging

    def _saturated(self, counts: Array) -> int:
        return int(np.count_nonzero(counts >= self.settings.saturation_fraction * self.full_scale.get()))

    def _too_soon(self, quickest_s: float) -> str:
        wanted_s = self._session.integration_s
        if not (self.context.wall_clock and self.settings.check_exposure) or quickest_s >= _SOON * wanted_s:
            return ""
        return (
            f"an old spectrum: it came after {quickest_s:.3g} s, sooner than its integration time of {wanted_s:.3g} s"
        )

    def _expect_change(self, before: Array, brighter: bool, words: str) -> None:
        after = self._session.acquire(1).mean
        if light_changed(before, after, 1 if brighter else -1):
            return
        raise DeviceError(
            self.name,
            f"{words}, but the counts did not {'rise' if brighter else 'fall'} "
            f"(mean {before.mean():.0f}, then {after.mean():.0f})",
            remedy="Look at lamp, shutter and fibre; where spectra are old ones, raise discard_after_change.",
        )

    def _update(self, **values: Any) -> None:
        now = self.context.lab_time()
        for attribute, value in values.items():
            getattr(self, attribute).update(value, now)

    def _new_session(self) -> OceanSession:
        return OceanSession(self.context.name, self.context.address, self.settings)

    def _submit(self, work: Callable[[], Any]) -> Status:
        status = Status()
        executor = self._executor
        if executor is None:
            status.finish(DeviceError(self.name, "is not connected"))
            return status

        def run() -> None:
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits for the status
                status.finish(error)
            else:
                status.finish(result=result)

        executor.submit(run)
        return status
