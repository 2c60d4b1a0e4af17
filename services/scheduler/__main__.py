"""Run the scheduler."""

from services.scheduler import app
from shared.runtime import process

if __name__ == "__main__":
    process.run("scheduler", app.build)
