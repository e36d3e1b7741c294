"""The OpenAPI document, as it is committed beside the code."""

from fastapi import APIRouter, Request, Response

from dagwire_dagit.permissions import Permission, requires

router = APIRouter()


@router.get("/openapi.json", include_in_schema=False, dependencies=[requires(Permission.READ)])
async def get_document(request: Request) -> Response:
    """Return the OpenAPI document of this Dagit."""
    return Response(request.app.state.document(), media_type="application/json")
