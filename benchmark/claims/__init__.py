"""The paper's claims, the statistics they rest on, and the verdicts."""
