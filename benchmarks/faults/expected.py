"""What has to come of a trial, in sentences where it did not."""

from typing import TYPE_CHECKING

from benchmarks.faults.kinds import BOX_S, LATE_S, PROMPT_S, Kind

if TYPE_CHECKING:
    from benchmarks.faults.trial import Outcome

BOX = "gated_laser"

slack = [1.0]
"""By how much times may be longer: 1 in a campaign; more where many other programs share the computer."""


def problems_of(kind: Kind, outcome: "Outcome") -> list[str]:
    """Return what is not as it should be."""
    problems = _of_light(kind, outcome)
    if kind.codes and outcome.code is not None and outcome.code not in kind.codes and outcome.phase_s > 0:
        problems.append(f"exit code {outcome.code}, and not one of {kind.codes}")
    if kind.rules and outcome.rule not in kind.rules:
        problems.append(f"the rule that tripped is '{outcome.rule}', and not one of {kind.rules}")
    if outcome.lost:
        problems.append(f"{outcome.lost} documents that were acknowledged are not there")
    return problems


def _of_light(kind: Kind, outcome: "Outcome") -> list[str]:
    limits = {"prompt": PROMPT_S, "late": LATE_S, "rule": PROMPT_S, "dark": LATE_S, "resumes": PROMPT_S}
    if kind.outcome == "goes on":
        return [] if outcome.off_s is not None else ["the laser is not off after the planned end"]
    if kind.outcome in limits:
        if outcome.off_s is None:
            return ["the laser is not off"]
        limit = limits[kind.outcome] * slack[0]
        late = [f"off after {outcome.off_s:.3f} s, and not within {limit:g} s"] if outcome.off_s > limit else []
        # a process that was stopped before the laser came on is given more time: there was nothing to confirm yet
        not_asked = kind.outcome == "dark" or kind.how == "guardian" or outcome.phase_s < 0
        return late + ([] if outcome.confirmed or not_asked else ["off was not confirmed"])
    problems = [] if outcome.said_not_confirmed else ["nobody says OFF NOT CONFIRMED"]
    if (
        kind.outcome == "unreachable"
        and outcome.laser == BOX
        and (outcome.off_s is None or outcome.off_s > BOX_S * slack[0])
    ):
        problems.append(f"the box did not open in time ({outcome.off_s})")
    return problems
