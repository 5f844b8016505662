"""The REST API as a whole: settings, URLs, errors and OpenAPI description."""
