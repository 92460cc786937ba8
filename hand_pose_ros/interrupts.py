"""Interrupts that a program has dealt with."""


def forget_interrupt() -> None:
    """Make Python end with the program's own status after an interrupt that was dealt with.

    Where a KeyboardInterrupt comes out of ``exec``, as while an import makes a dataclass, Python
    remembers it and ends a program that was started with ``-m`` by SIGINT, whatever became of the
    exception. Running any other code that way lets it forget.
    """
    exec('')  # noqa: S102
