"""The declaration of the implementation in PyTorch, which can be imported without PyTorch."""

from loptbench.optimizers import KindsAndBrought


class Declaration:
    """See `loptbench.protocol.Implementation`."""

    name = "torch"
    optimizers = KindsAndBrought(
        "torch",
        *("sgd", "momentum", "nesterov", "rmsprop", "adam", "composed"),
        *("gru", "lstm", "log_lstm"),
    )
    tasks = ("quadratic", "rosenbrock", "two_moons", "digits")
    dtypes = ("float32", "float64")
    versions = ("torch",)
