"""Where the dose is at the end of a course from which aliquots were taken: removed, outside, in the insert, in carriers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nanolab.models.aliquots import Sampled
from nanolab.quantities import Quantity
from plans.release.joint import Joint, carried
from plans.release.passive import Profile, left_carriers

Array = npt.NDArray[np.float64]


BALANCE = {
    "released": "released in all, of the dose",
    "removed": "removed with the samples",
    "outside": "outside the membrane at the end",
    "insert": "free in the insert at the end",
    "remaining": "in carriers at the end, by the fit",
}
"""Amounts of a stored balance and what they are called."""


@dataclass(frozen=True)
class Balance:
    """Percent of the dose. ``released`` (n,): all that had left the carriers at each look, from what was seen there.

    ``each``: what every aliquot took. At the last look: ``removed`` by all aliquots, ``outside`` the membrane after them, free in
    the ``insert``, released in ``all``, ``remaining`` in carriers by the fit. Amounts by the fit but for ``all``, which is what was
    seen at the last look with what the fit says of insert and aliquots.
    """

    time_h: Array
    released: Array
    taken_h: Array
    taken_ml: Array
    returned_ml: Array
    each: list[Quantity]
    removed: Quantity
    outside: Quantity
    insert: Quantity
    all: Quantity
    remaining: Quantity

    def to_json(self) -> dict[str, Any]:
        """Return the machine-readable form."""
        rows = zip(self.taken_h.tolist(), self.taken_ml.tolist(), self.returned_ml.tolist(), self.each, strict=True)
        return {
            "samples": [
                {"time_h": time, "withdrawn_ml": taken, "replaced_ml": returned, "removed": amount.to_json()}
                for time, taken, returned, amount in rows
            ],
            **{name: getattr(self, name).to_json() for name in ("removed", "outside", "insert", "remaining")},
            "released": self.all.to_json(),
            "cumulative": {"time_h": self.time_h.tolist(), "percent": self.released.tolist()},
        }

    def rows(self) -> list[tuple[str, str]]:
        """Return the balance as lines of the report."""
        return [("aliquots", words(self.to_json())), ("mass balance", balance_words(self.to_json()))]


def balance_of(profile: Profile, joint: Joint, inputs: Mapping[str, Quantity], ratio: float) -> Balance | None:
    """Return the balance of the carriers' course; None where no aliquot was taken. ``ratio``: its dose over that of free cargo."""
    taken = profile.taken
    if taken is None:
        return None
    central = {name: quantity.value for name, quantity in inputs.items()}

    def at(p: Array, given: Mapping[str, float]) -> tuple[Sampled, Array]:
        left = left_carriers(profile, p, given)
        return profile.sampled(left, float(p[1]), float(p[2]), given), left

    def numbers(p: Array, given: Mapping[str, float]) -> Array:
        course, left = at(p, given)
        removed = float(np.sum(course.each))
        # aliquots after the last look are no longer outside
        outside = course.outside[-1] - (removed - course.removed[-1])
        return np.array([*course.each, removed, outside, course.inside[-1], 100.0 - left[-1], left[-1]])

    values, u = carried(joint, inputs, numbers)
    found = [_quantity(value, own) for value, own in zip(values.tolist(), u.tolist(), strict=True)]
    course, left = at(joint.fit.values, central)
    level, looks = joint.found["level"].value, profile.grid.looks
    seen = profile.percent / (0.01 * level * ratio)
    # what was seen less what is fitted, on top of what the fit says has left: insert and aliquots are the fit's
    released = left[looks] + (seen - course.seen[looks]) * course.volume[looks]
    *each, removed, outside, insert, remaining, all_left = found
    final = Quantity(float(released[-1]), "%", all_left.standard_uncertainty)
    return Balance(
        profile.grid.time[looks], released, taken.time_h, taken.taken_ml, taken.returned_ml, each, removed, outside, insert,
        final, remaining,
    )  # fmt: skip


def removed_from(free: Profile, joint: Joint, inputs: Mapping[str, Quantity]) -> float:
    """Return percent of free cargo that went with the aliquots of its own course."""
    central = {name: quantity.value for name, quantity in inputs.items()}
    all_free = np.full(free.grid.time.size, 100.0)
    course = free.sampled(all_free, float(joint.fit.values[1]), float(joint.fit.values[2]), central)
    return float(np.sum(course.each))


def _quantity(value: float, u: float) -> Quantity:
    return Quantity(value, "%", u if np.isfinite(u) and u > 0.0 else None)


def words(balance: Mapping[str, Any]) -> str:
    """Return the aliquots of a stored balance in words: '8 samples of 0.1 mL were withdrawn and replaced by fresh medium'."""
    samples = balance["samples"]
    volumes = sorted({one["withdrawn_ml"] for one in samples})
    size = " and ".join(f"{volume:g}" for volume in volumes)
    count = "1 sample" if len(samples) == 1 else f"{len(samples)} samples"
    replaced = sum(one["replaced_ml"] > 0.0 for one in samples)
    put_back = {0: "not replaced", len(samples): "replaced by fresh medium"}.get(
        replaced, f"{replaced} of them replaced"
    )
    return f"{count} of {size} mL {'was' if len(samples) == 1 else 'were'} withdrawn and {put_back}"


def balance_words(balance: Mapping[str, Any]) -> str:
    """Return a stored balance in words."""
    amount = {
        name: Quantity.from_json(balance[name]) for name in ("released", "removed", "outside", "insert", "remaining")
    }
    return (
        f"of the dose {amount['released']} was released in all: {amount['removed']} went with the samples, {amount['outside']} was "
        f"outside the membrane at the end and {amount['insert']} in the insert; {amount['remaining']} was in carriers by the fit"
    )
