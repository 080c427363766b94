"""The declaration of the implementation in PyTorch, which can be imported without PyTorch."""


class Declaration:
    """See `loptbench.protocol.Implementation`."""

    name = "torch"
    optimizers = (
        *("sgd", "momentum", "nesterov", "rmsprop", "adam", "composed"),
        *("gru", "lstm", "log_lstm"),
    )
    tasks = ("quadratic", "rosenbrock", "two_moons", "digits")
    dtypes = ("float32", "float64")
    versions = ("torch",)
