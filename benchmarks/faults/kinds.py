"""What a run is struck with, and what has to come of it."""

import signal
from dataclasses import dataclass

PROMPT_S = 0.1
"""Off after a signal, a trip, or a death whose end-of-file reaches the guardian at once."""

LATE_S = 1.5
"""Off otherwise: stopped, hung, huge or forked processes."""

BOX_S = 0.65
"""Off by the dead-man box: 500 ms without a toggle, a relay, and the toggle that had just come."""


@dataclass(frozen=True)
class Kind:
    """One way to strike.

    ``how``: ``signal`` (``what`` names them, comma between several), ``fault`` (``role.fault`` of the simulated bench),
    ``inside`` (a function of `benchmarks.faults.inside`), ``guardian`` (a signal to the guardian).
    ``outcome``: ``prompt`` and ``late`` (off within `PROMPT_S`, `LATE_S`), ``rule`` (a trip by one of ``rules``, off within
    `PROMPT_S` of it), ``dark`` (the laser goes off by itself and the run ends), ``unreachable`` (no command reaches the
    laser: OFF NOT CONFIRMED; off by the box where there is one), ``goes on`` (the run comes to its planned end),
    ``resumes`` (off at once, and on again only after a fresh look).
    ``codes``: exit codes that are right; empty where there is none (killed). 1 after a resume is the campaign's own doing: it
    resumes where `nanolab run` would have aborted, and the run says so; 5 where the fresh look on resuming refuses (a box without
    toggles).
    """

    name: str
    how: str
    what: str
    outcome: str
    codes: tuple[int, ...] = ()
    rules: tuple[str, ...] = ()
    lasers: tuple[str, ...] = ()
    heat_s: float = 10.0
    within_s: float = 4.0
    """How long after the strike an effect is waited for."""
    replaces_bench: bool = False
    """Whether the simulated bench is served anew afterwards."""


SIG = signal.Signals
STOPPED = (130,)

KINDS = (
    Kind("kill -9", "signal", "SIGKILL", "prompt"),
    Kind("kill -9, folder being followed", "inside", "followed_kill", "prompt"),
    Kind("kill -9 of 1 GB process", "inside", "huge_kill", "late"),
    Kind("out of memory", "inside", "out_of_memory", "prompt", (1,)),
    Kind("forked child keeps the pipe, kill -9", "inside", "forked_kill", "late"),
    Kind("command half sent, kill -9", "inside", "half_sent_kill", "prompt"),
    Kind("SIGTERM", "signal", "SIGTERM", "prompt", (143,)),
    Kind("terminal closes (SIGHUP)", "signal", "SIGHUP", "prompt", (143,)),
    Kind("SIGSTOP", "signal", "SIGSTOP", "late"),
    Kind("Ctrl-C once", "signal", "SIGINT", "prompt", STOPPED),
    Kind("Ctrl-C twice", "signal", "SIGINT,SIGINT", "prompt", STOPPED),
    Kind("Ctrl-C three times", "signal", ",".join(["SIGINT"] * 3), "prompt", STOPPED),
    Kind("Ctrl-C eleven times", "signal", ",".join(["SIGINT"] * 11), "prompt", STOPPED),
    Kind("exception in the plan", "inside", "plan_raises", "prompt", (1,)),
    Kind("plan hangs", "inside", "plan_hangs", "late"),
    Kind("exception in a subscriber", "inside", "subscriber_raises", "goes on", (0, 7)),
    Kind("exception in a live fit", "inside", "fit_raises", "goes on", (0, 7)),
    Kind("subscriber hangs", "inside", "subscriber_hangs", "late"),
    Kind("RE.pause, abort", "inside", "re_abort", "prompt", (1,)),
    Kind("RE.pause, stop", "inside", "re_stop", "prompt", (1,)),
    Kind("RE.pause, halt", "inside", "re_halt", "prompt", (1,)),
    Kind("RE.pause, resume", "inside", "re_resume", "resumes", (0, 1, 5, 6, 7)),
    Kind("suspended plan", "inside", "re_suspend", "resumes", (0, 5, 6, 7)),
    Kind("mv of every child", "inside", "move_children", "goes on", (0, 7)),
    Kind("probe open", "fault", "thermocouple.open_couple", "rule", (6,), ("invalid_temperature",)),
    Kind("probe reversed", "fault", "thermocouple.reversed_couple", "rule", (6,),
         ("implausible_rate", "falling_while_heating", "forecast", "heating_without_rise"), heat_s=45.0, within_s=40.0),
    Kind("probe stuck", "fault", "thermocouple.stuck_reading", "rule", (6,),
         ("heating_without_rise", "frozen_temperature"), heat_s=45.0, within_s=40.0),
    Kind("probe garbled", "fault", "thermocouple.garbled_line", "rule", (4, 6), ("read_error", "guardian"), within_s=6.0),
    Kind("probe slow", "fault", "thermocouple.slow_reply", "rule", (4, 6), ("read_error", "guardian"), within_s=6.0),
    Kind("probe silent (hung device)", "fault", "thermocouple.silent", "rule", (4, 6), ("read_error", "guardian"), within_s=6.0),
    Kind("port of the probe vanishes", "fault", "thermocouple.port_vanishes", "rule", (4, 6), ("read_error", "guardian"),
         within_s=6.0, replaces_bench=True),
    Kind("port of the laser vanishes", "fault", "laser.port_vanishes", "unreachable", (8,), replaces_bench=True),
    Kind("laser hangs", "fault", "laser.silent", "unreachable", (8,), replaces_bench=True, within_s=8.0),
    Kind("laser garbles", "fault", "laser.garbled_line", "unconfirmed", (8,), replaces_bench=True, within_s=8.0),
    Kind("emission stuck on", "inside", "stuck_then_stop", "unreachable", (8,), replaces_bench=True,
         lasers=("thorlabs_itc4005", "thorlabs_itc4001", "cobolt_06_mld", "coherent_obis")),
    Kind("contact welded", "inside", "welded_then_stop", "unconfirmed", (8,), replaces_bench=True, lasers=("gated_laser",)),
    Kind("interlock opens", "fault", "laser.interlock_open", "dark", (4, 6), replaces_bench=True),
    Kind("dead-man box unplugged", "fault", "laser.power_off", "unreachable", (8,), lasers=("gated_laser",), replaces_bench=True),
    Kind("dead-man box: firmware hangs", "fault", "laser.firmware_hangs", "dark", (4, 6, 8), lasers=("gated_laser",),
         replaces_bench=True),
    Kind("disk full", "inside", "disk_full", "late", (1, 4)),
    Kind("guardian killed", "guardian", "SIGKILL", "late", (6,)),
    Kind("guardian stopped", "guardian", "SIGSTOP", "late", (6,)),
    Kind("nanolab laser off", "inside", "laser_off", "late", (6,)),
)  # fmt: skip
