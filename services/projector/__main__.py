"""Run the projector."""

from services.projector import app
from shared.runtime import process

if __name__ == "__main__":
    process.run("projector", app.build)
