"""Where work runs: this process, other processes of this machine, or a dask cluster."""
