"""Safeties of pages and lists, each with what takes it away and the test that must then fail."""

from tests.mutations.edits import mutation

IN_ANSWERING = (
    mutation(
        "while the database is away, pages and API answer 503",
        "tformance/urls.py",
        'handler500 = "apps.dashboard.unavailable.answer_failure"\n',
        "",
        test="tests/dashboard/test_unavailable.py::test_while_the_database_is_away_the_api_is_503_in_its_shape",
    ),
    mutation(
        "deliveries of a person who sees few are found by their repositories",
        "apps/webhooks/api/pages.py",
        "F(column) + nothing if is_little else F(column)",
        "F(column)",
        test="tests/webhooks/test_lists.py::test_an_event_that_only_others_have_is_not_looked_for_among_theirs",
    ),
)
