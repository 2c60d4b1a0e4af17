"""`python -m deploy.local.mailbox`: the development mailbox alone."""

import uvloop

from deploy.local.mailbox import app, settings

if __name__ == "__main__":
    uvloop.run(app.run(settings.read()))
