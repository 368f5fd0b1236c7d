"""Writes the examples at the end of a command's help."""


def examples(*commands: str) -> str:
    """The end of a command's help."""
    # The backspace keeps the lines as they are.
    return "\n".join(("\b", "Examples:", *(f"  {command}" for command in commands)))
