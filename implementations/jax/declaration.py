"""The declaration of the implementation in JAX, which can be imported without JAX."""

from loptbench.optimizers import SCHEDULED, KindsAndBrought
from loptbench.tasks import SHIPPED, offered_tasks


class Declaration:
    """See `loptbench.protocol.Implementation`."""

    name = "jax"
    optimizers = KindsAndBrought(
        "jax",
        *("sgd", "momentum", "nesterov", "rmsprop", "adam", "composed"),
        *SCHEDULED,
        *("gru", "lstm", "log_lstm"),
    )
    dtypes = ("float32", "float64")
    versions = ("jax", "jaxlib", "optax")
    threads = "one for each core"

    @property
    def tasks(self) -> tuple[str, ...]:
        """Those that loptbench ships, and those from outside that bring a loss for it."""
        return *SHIPPED, *offered_tasks(self.name)
