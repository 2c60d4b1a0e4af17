"""The routes of /templates: their shapes, permissions and codes."""

from typing import Final

from services.gateway import errors, paging
from services.gateway.routing import Route
from services.gateway.templates import fields, handlers

_READ: Final = "templates.read"
_WRITE: Final = "templates.write"
_TAG: Final = "Templates"

ROUTES: Final = (
    Route(
        method="POST",
        path="/templates",
        permission=_WRITE,
        summary="Make a template",
        description="Its texts are version 1, a draft: it is sent by `template_id` once published.",
        handler=handlers.create,
        body=fields.NewTemplate,
        data=fields.TemplateShown,
        status=201,
        errors=(errors.CONFLICT, errors.TEMPLATE_ERROR),
        tag=_TAG,
    ),
    Route(
        method="GET",
        path="/templates",
        permission=_READ,
        summary="List templates",
        description="Oldest first, without their texts; `alias` finds one by its name.",
        handler=handlers.list_,
        query=fields.Query,
        data=list[fields.TemplateListed],
        meta=paging.Meta,
        tag=_TAG,
    ),
    Route(
        method="GET",
        path="/templates/{id}",
        permission=_READ,
        summary="Read one template",
        description="With the texts of its latest version, or of `version`.",
        handler=handlers.show,
        query=fields.Which,
        data=fields.TemplateShown,
        tag=_TAG,
    ),
    Route(
        method="PATCH",
        path="/templates/{id}",
        permission=_WRITE,
        summary="Change a template",
        description="What is absent stays. Other texts are a new version; what is sent changes when it is published.",
        handler=handlers.change,
        body=fields.TemplateChange,
        data=fields.TemplateShown,
        errors=(errors.CONFLICT, errors.TEMPLATE_ERROR),
        tag=_TAG,
    ),
    Route(
        method="DELETE",
        path="/templates/{id}",
        permission=_WRITE,
        summary="Remove a template",
        description="Answers with the template as it was. Emails that were sent by it keep their texts.",
        handler=handlers.remove,
        data=fields.TemplateShown,
        tag=_TAG,
    ),
    Route(
        method="GET",
        path="/templates/{id}/versions",
        permission=_READ,
        summary="List a template's versions",
        description="Newest first; a version never changes.",
        handler=handlers.versions,
        data=list[fields.VersionListed],
        tag=_TAG,
    ),
    Route(
        method="POST",
        path="/templates/{id}/publish",
        permission=_WRITE,
        summary="Publish a version",
        description="Makes the latest version, or `version`, the one that is sent; also an earlier one again.",
        handler=handlers.publish,
        body=fields.Publication,
        data=fields.TemplateShown,
        tag=_TAG,
    ),
    Route(
        method="POST",
        path="/templates/{id}/render",
        permission=_READ,
        summary="Render a template with sample variables",
        description="422 names every variable that is missing, and where. Nothing is sent.",
        handler=handlers.render,
        body=fields.Sample,
        data=fields.Rendered,
        errors=(errors.TEMPLATE_ERROR,),
        tag=_TAG,
    ),
)
