"""The routes of /tracking: their shapes, permissions and codes."""

from services.gateway import errors
from services.gateway.routing import Route
from services.gateway.tracking import exporting, fields, handlers, signals

_TAG = "Tracking"
_STATS = """\
Counted as things happened: an email that was sent in the period and opened after it is among the sent ones only. \
`from` is rounded down and `to` up to a quarter hour. `totals` counts emails that were accepted, sent (to a next hop, \
for one recipient at least), failed or suppressed as a whole, and of all the rest each event: each report of a \
delivery, delay or bounce (`hard_bounced` and `soft_bounced` are parts of `bounced`), each opening and click by a \
person; those by machines are counted apart. `unique` counts emails to which it happened at least once, when it first \
did; a click by a person is an opening. `rates` are, of the emails sent in the period, the parts that were \
delivered (as far as servers report it), bounced, opened, clicked, read, replied to, complained about and \
unsubscribed from in it; `click_to_open` is the clicked part of the opened ones. A rate is null where it would be \
above 1, as when few emails were sent in the period and many that were sent before it were opened in it. The series has every interval that \
lies in the period, at most 800, in the time zone's own hours, days and weeks (from Monday on); `at` is when one \
begins. Nothing is sampled or estimated; `projected_at` says up to which moment it is complete."""
_EXPORT = """\
Everything that came back, oldest first and without a limit, as it is at one moment: each line as \
`GET /tracking/{emailId}` tells it. `type` takes the words of that route, several separated by commas. In CSV, an \
apostrophe stands before cells that a spreadsheet would compute."""
_EVENTS = """\
Oldest first, with the ids and payloads of the log, without content; also what the log does not hold any more. Begin \
without `after`, then go on with `meta.next_cursor` for ever: nothing is skipped, and nothing is told twice unless you \
ask twice. A page may be short or empty while `has_more` is true, when rare types are asked for. `types` are \
such as `email.opened` or `sendlog.email.opened.v1`, separated by commas. An event is here about two seconds after it \
was projected."""

ROUTES = (
    Route(
        method="GET",
        path="/tracking/stats",
        permission="tracking.read",
        summary="Count what happened to emails",
        description=_STATS,
        handler=handlers.count,
        query=fields.StatsQuery,
        data=fields.Stats,
        meta=fields.StatsMeta,
        errors=(errors.UNAVAILABLE,),
        tag=_TAG,
    ),
    Route(
        method="GET",
        path="/tracking/export",
        permission="tracking.export",
        summary="Export what came back about emails",
        description=_EXPORT,
        handler=handlers.export,
        query=fields.ExportQuery,
        produces=(exporting.NDJSON, exporting.CSV),
        data=bytes,
        errors=(errors.UNAVAILABLE,),
        tag=_TAG,
    ),
    Route(
        method="GET",
        path="/tracking/{emailId}",
        permission="tracking.read",
        summary="Read what came back about an email",
        description="Oldest first. Hits of machines are there too, marked as such and with the reason.",
        handler=handlers.show,
        data=list[signals.Signal],
        errors=(errors.NOT_FOUND, errors.UNAVAILABLE),
        tag=_TAG,
    ),
    Route(
        method="GET",
        path="/events",
        permission="events.read",
        summary="Follow the events of all emails",
        description=_EVENTS,
        handler=handlers.events,
        query=fields.EventsQuery,
        data=list[fields.FeedEvent],
        meta=fields.FeedMeta,
        errors=(errors.UNAVAILABLE,),
        tag="Events",
    ),
)
