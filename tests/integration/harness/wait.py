"""Deadlines: no test waits for ever, and none waits longer than what it waits for takes."""
import os
import time

# One knob for slow machines and slow builds (sanitizers, valgrind).
SLOWNESS = float(os.environ.get("HARP_TEST_SLOWNESS", "1"))
DEFAULT = 10.0 * SLOWNESS


class Overdue(AssertionError):
    """Something did not happen in time."""


class Deadline:
    """A moment after which waiting is a failure. `what` is told when it passes."""

    def __init__(self, seconds=None, what="the other side"):
        self.seconds = DEFAULT if seconds is None else seconds
        self.end = time.monotonic() + self.seconds
        self.what = what

    def left(self):
        """Seconds left, above zero; raises Overdue when there are none."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise Overdue(f"waited {self.seconds:.1f} s for {self.what}")
        return left


def wait_for(condition, seconds=None, what="a condition", pause=0.005):
    """Returns the first true value of condition(); for facts that have no event of their own."""
    deadline = Deadline(seconds, what)
    while True:
        value = condition()
        if value:
            return value
        time.sleep(min(pause, deadline.left()))
