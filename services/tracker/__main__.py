"""Run the tracker: `python -m services.tracker`."""

from services.tracker import app
from shared.runtime import process

if __name__ == "__main__":
    process.run("tracker", app.build)
