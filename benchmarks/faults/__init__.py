"""The fault campaign: whole `nanolab run` processes struck in every way that we know, on the simulated bench, in real time.

    python -m benchmarks.faults --trials 1000 --workers 4 --json report.json     # about an hour
    python -m benchmarks.faults --trials 50                                       # the short form
    python -m benchmarks.faults --trials 60 --mutate lease                        # has to fail
    python -m benchmarks.faults --quiet-minutes 10                                # no false trip with both cores busy

For each trial: was the simulated laser off, after how long (by the simulator's own log of emission, not by polling), was that
confirmed or said not to be, does the run folder open, is everything there that the journal had acknowledged. POSIX only.
"""
