"""Run the gateway."""

from services.gateway import app
from shared.runtime import process

if __name__ == "__main__":
    process.run("gateway", app.build)
