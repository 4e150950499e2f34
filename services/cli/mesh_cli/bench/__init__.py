"""`mesh bench`: what the mesh costs, beside others that do the same work, in one run on one machine.

A piece of work (`fanout`, `idle`, `latency` …) is a module with one constant::

    WORK = Work(
        name="latency",
        about="Milliseconds from publishing to a browser.",
        contenders=("ours", "bare nats"),
        baseline="bare nats",
        run=run,
        targets=(Target(measure="SIGNALS p50", at_most=3, times_baseline=True),),
    )

    async def run(bench: Bench) -> list[Figure]:
        '''One round: every contender in turn.'''

and a name in `mesh_cli.bench.works`. `run` is called once for each round and returns one `Figure` for each contender
and measure; medians over the rounds, ratios to the baseline, the table and the JSON are made of these. What it needs is
in its `Bench`: `sized` (a number at the scale that was asked for), `wants` (is this contender to be run?), `mesh` (an
empty nats-server with all streams, on the load's core), `start` (a child on a core, ended with us), `tell` (a line for
who waits) and `note` (a sentence that belongs to the result, such as why a figure is missing).
"""
