"""What this machine's processor can run."""

def usable_isas() -> list[str]:
    """Names of the instruction sets that can run here, the slowest first."""
