"""`python -m tests.controls.small`: the real supervisor on a small plan."""

import os
import sys

from deploy.local import app
from deploy.local.supervisor import Patience
from deploy.local.world import Plan

_HERE = "tests.controls.small"
PLAN = Plan(
    bootstrap=(("bootstrap", f"{_HERE}.first_start"),),
    first_start=(("first_start", f"{_HERE}.first_start"),),
    services=(("alpha", f"{_HERE}.alpha"), ("beta", f"{_HERE}.beta")),
    mailbox=("mailbox", f"{_HERE}.mailbox"),
)

if __name__ == "__main__":
    longest = float(os.environ.get("SMALL_LONGEST_PAUSE", "5"))
    sys.exit(app.main(PLAN, Patience(grace=5, longest_pause=longest)))
