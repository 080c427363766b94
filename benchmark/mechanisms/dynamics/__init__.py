"""The dynamical system of one component: derivatives, fixed points, step counters."""
