"""The Content-Security-Policy: strict everywhere, with what the admin's own scripts need under /admin/ only."""

from csp.constants import SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.middleware import CSPMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase

# The admin theme evaluates Alpine expressions and sets inline styles.
ADMIN = {"script-src": [SELF, UNSAFE_EVAL], "style-src": [SELF, UNSAFE_INLINE]}


class ContentSecurityMiddleware(CSPMiddleware):
    """Send the policy with every response."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if request.path.startswith("/admin/"):
            response._csp_update = ADMIN  # type: ignore[attr-defined]
        return super().process_response(request, response)
