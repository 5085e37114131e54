"""Temperature of the cuvette holder as part of a plan: set it, read until it is there, let the liquid soak."""

from collections.abc import Callable, Generator, Sequence
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp

from nanolab.assay import Plan
from nanolab.engine.clock import Clock
from nanolab.errors import LimitTripError
from plans.stubs import Judge, Reading, readings_until


def near(
    clock: Clock, key: str, target: float, *, tolerance: float, dwell_s: float, time_out_s: float
) -> Callable[[Reading], str | None]:
    """Return a rule that ends a phase when a reading has stayed within `tolerance` of `target` for `dwell_s`.

    It says ``near``, or ``time-out``. An invalid reading (NaN) begins the dwell anew.
    """
    start = clock.now()
    since: float | None = None

    def finished(reading: Reading) -> str | None:
        nonlocal since
        now = clock.now()
        # a NaN compares false, and so counts as away
        inside = abs(float(reading[key]["value"]) - target) <= tolerance
        since = (now if since is None else since) if inside else None
        if since is not None and now - since >= dwell_s - 5e-4:
            return "near"
        return "time-out" if now - start >= time_out_s else None

    return finished


def settle(
    holder: Any,
    target_c: float,
    clock: Clock,
    *,
    key: str | None = None,
    tolerance_k: float = 0.2,
    soak_s: float = 300.0,
    time_out_s: float = 3600.0,
    ramp_k_per_min: float | None = None,
    devices: Sequence[Any] = (),
    cadence_s: float = 5.0,
    judge: Judge | None = None,
    stream: str = "settling",
) -> Generator[Any, Any, str]:
    """Bring the holder to `target_c` and stay until the reading `key` was near it for `soak_s`; return ``near``.

    The controller's own "stable" looks at the block, and the liquid lags behind: take for `key` a probe in the liquid
    (``cuvette_holder_probe``, ``thermocouple_sample``); without one it is the block, and the soak must cover the lag.
    Holder and `devices` are read into `stream`, which has the same devices at all times.
    LimitTripError where the controller reports trouble, or the time is up.
    """
    name = holder.name
    yield from bps.abs_set(holder, target_c, ramp_k_per_min=ramp_k_per_min, wait=True)
    watched = key or f"{name}_temperature"
    rule = near(clock, watched, target_c, tolerance=tolerance_k, dwell_s=soak_s, time_out_s=time_out_s)

    def finished(reading: Reading) -> str | None:
        if not reading[f"{name}_valid"]["value"]:
            raise LimitTripError(f"the cuvette holder: {reading[f'{name}_reason']['value']}")
        ended = rule(reading)
        if ended == "time-out":
            value = reading[watched]["value"]
            raise LimitTripError(
                f"{watched} is at {value:.2f} degC after {time_out_s:g} s, {target_c:g} degC is wanted"
            )
        return ended

    read = list(devices) if holder in devices else [holder, *devices]
    return (yield from readings_until(read, clock, cadence_s, finished, judge, stream))


def holder_guard(plan: Plan, holder: Any) -> Plan:
    """Wrap a plan so that temperature control goes off where the plan fails; where it ends well, it is left on.

    Leaving the bench switches it off in any case.
    """

    def off(_error: Exception) -> Plan:
        holder.off()
        yield from bps.null()

    guarded: Plan = bpp.contingency_wrapper(plan, except_plan=off, auto_raise=True)
    return guarded
