"""Learning-rate schedules over a run, each composed with any hand-designed optimizer.

A scheduled kind is named after both, as `cosine_adam`. It has the parameters and constants of the
optimizer, the parameter `final`, and the constant `n_steps`, the length of the run. Its state is
that of the optimizer and the number of steps taken, t = 0, 1, 2, …; with the optimizer's own h' and
Δ,

    u  = min(t / n_steps, 1)
    t' = t + 1
    Δ of the scheduled kind = s(u) · Δ

`cosine` (Loshchilov and Hutter 2017, without restarts; as `optax.cosine_decay_schedule`):

    s(u) = final + (1 − final) · (1 + cos(π u)) / 2

`exponential` (as `optax.exponential_decay` with its `end_value`):

    s(u) = final^u

Either starts at 1 and ends at `final`, where it stays. Every update of a hand-designed optimizer is
proportional to its `alpha`, so s · Δ is the update at the learning rate s · alpha.
"""

from typing import NamedTuple

from loptbench.optimizers.kinds import Kind, Parameters, Shapes

SCHEDULES = ("cosine", "exponential")
"""The names of the schedules."""


class Scheduled(NamedTuple):
    """The parts of a scheduled kind.

    Attributes:
        schedule: the name of the schedule.
        kind: the hand-designed kind.
    """

    schedule: str
    kind: str


def with_schedule(kind: Kind) -> Kind:
    """The contents of a spec of this kind with a schedule; they are the same for all schedules."""

    def shapes(size: int) -> Shapes:
        return {**kind.shapes(size), "final": ()}

    def n_state(parameters: Parameters) -> int:
        return kind.n_state(parameters) + 1

    return Kind(shapes, n_state, (*kind.constants, "n_steps"))
