"""`python -m deploy.local`: the whole local world in the foreground."""

import sys

from deploy.local import app

if __name__ == "__main__":
    sys.exit(app.main())
