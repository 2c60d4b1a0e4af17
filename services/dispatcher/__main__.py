"""Run the dispatcher."""

from services.dispatcher import app
from shared.runtime import process

if __name__ == "__main__":
    process.run("dispatcher", app.build)
