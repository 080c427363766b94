"""The declaration of the implementation in JAX, which can be imported without JAX."""

from loptbench.optimizers import KindsAndBrought


class Declaration:
    """See `loptbench.protocol.Implementation`."""

    name = "jax"
    optimizers = KindsAndBrought(
        "jax",
        *("sgd", "momentum", "nesterov", "rmsprop", "adam", "composed"),
        *("gru", "lstm", "log_lstm"),
    )
    tasks = ("quadratic", "rosenbrock", "two_moons", "digits")
    dtypes = ("float32", "float64")
    versions = ("jax", "jaxlib", "optax")
