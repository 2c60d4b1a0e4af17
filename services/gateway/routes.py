"""The whole route table: what a client can do, area by area."""

from typing import Final

from services.gateway.accounts import routes as accounts
from services.gateway.emails import routes as emails
from services.gateway.keys import routes as keys
from services.gateway.routing import Table
from services.gateway.suppressions import routes as suppressions
from services.gateway.templates import routes as templates
from services.gateway.tracking import routes as tracking

TABLE: Final = Table(
    (
        *emails.ROUTES,
        *tracking.ROUTES,
        *accounts.ROUTES,
        *keys.ROUTES,
        *suppressions.ROUTES,
        *templates.ROUTES,
    )
)
