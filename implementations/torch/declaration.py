"""The declaration of the implementation in PyTorch, which can be imported without PyTorch."""

from loptbench.optimizers import SCHEDULED, KindsAndBrought
from loptbench.tasks import SHIPPED, offered_tasks


class Declaration:
    """See `loptbench.protocol.Implementation`."""

    name = "torch"
    optimizers = KindsAndBrought(
        "torch",
        *("sgd", "momentum", "nesterov", "rmsprop", "adam", "composed"),
        *SCHEDULED,
        *("gru", "lstm", "log_lstm"),
    )
    dtypes = ("float32", "float64")
    versions = ("torch",)
    threads = "one in outer steps on fewer than 32,768 numbers of state, else all that PyTorch has"

    @property
    def tasks(self) -> tuple[str, ...]:
        """Those that loptbench ships, and those from outside that bring a loss for it."""
        return *SHIPPED, *offered_tasks(self.name)
