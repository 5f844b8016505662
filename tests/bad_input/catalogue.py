"""The catalogue of bad input: what arrives, and the tests that show what becomes of it, row by row."""

RECEIVER = "tests/webhooks/test_receiver.py::"
PARSING = "tests/webhooks/test_parsing.py::"
SECRETS = "tests/webhooks/test_secrets.py::"
AGAIN = "tests/webhooks/test_redelivery.py::"
READING = "tests/github/test_payload_reader.py::"
BARE = "tests/bad_input/test_bare_server.py::"
EDGE = "tests/bad_input/test_edge.py::"
HERE = "tests/bad_input/test_rows.py::"
PAYLOADS = "tests/payloads/"
"""What becomes of a payload there is shown by the expectation beside it."""

FORGED = RECEIVER + "test_a_bad_signature_is_401_and_leaves_no_row"
MALFORMED = RECEIVER + "test_a_signed_delivery_with_a_malformed_header_is_400"
UNUSABLE = PARSING + "test_a_signed_but_unusable_delivery_is_kept_and_quarantined"
UNPARSED = RECEIVER + "test_the_receiver_does_not_parse"
CROWD = BARE + "test_64_such_connections_are_in_nobodys_way"
SLOW = BARE + "test_rows_25_and_28_bodies_that_do_not_come_in_time_end_with_their_connections"
CHARACTERS = PARSING + "test_characters_that_no_database_stores_are_replaced"

ROWS: dict[int, tuple[str, ...]] = {
    1: (FORGED,),
    2: (FORGED,),
    3: (FORGED,),
    4: (FORGED,),
    5: (RECEIVER + "test_two_signatures_are_401", BARE + "test_row_05_two_signatures_are_401_even_if_one_is_right"),
    6: (
        SECRETS + "test_without_an_active_secret_the_receiver_answers_503",
        SECRETS + "test_a_weak_secret_is_refused_everywhere",
    ),
    7: (RECEIVER + "test_a_body_changed_after_signing_is_401",),
    8: (
        SECRETS + "test_both_secrets_of_a_rotation_sign_and_each_delivery_tells_which",
        SECRETS + "test_a_secret_that_left_the_rotation_signs_nothing",
        SECRETS + "test_a_stored_secret_ends_at_its_time",
    ),
    9: (HERE + "test_row_09_the_secret_of_another_app_signs_nothing_whomever_the_body_names",),
    10: (AGAIN + "test_a_redelivery_of_a_finished_delivery_is_a_counted_no_op",),
    11: (AGAIN + "test_a_captured_body_under_a_new_guid_is_flagged", MALFORMED),
    12: (
        HERE + "test_row_12_a_body_under_another_events_name_is_quarantined",
        "tests/github/test_published.py::test_no_body_is_read_as_another_event_than_its_own",
    ),
    13: (MALFORMED, BARE + "test_a_head_that_is_no_http_is_400"),
    14: (MALFORMED, RECEIVER + "test_every_event_name_that_github_could_think_of_is_kept"),
    15: (
        RECEIVER + "test_an_underscored_signature_header_is_no_signature",
        BARE + "test_row_15_an_underscored_signature_must_be_as_right_as_any",
        EDGE + "test_row_15_an_underscored_signature_is_none",
    ),
    16: (RECEIVER + "test_other_methods_are_405",),
    17: (
        "tests/runtime/test_slow_upload_guard.py::test_the_client_is_the_last_address_that_is_not_ours",
        "tests/runtime/test_slow_upload_guard.py::test_nobody_else_sees_what_was_claimed",
        RECEIVER + "test_a_foreign_host_name_is_400",
        EDGE + "test_a_forwarded_address_that_a_client_claims_ends_here",
    ),
    18: (HERE + "test_row_18_the_signature_counts_and_not_the_address",),
    19: (RECEIVER + "test_a_large_body_is_kept",),
    20: (
        RECEIVER + "test_a_large_body_is_kept",
        EDGE + "test_row_20_github_may_send_25_mb_and_nobody_else_more_than_one",
    ),
    21: (
        BARE + "test_row_21_a_body_over_the_limit_is_413_from_its_announced_length_alone",
        RECEIVER + "test_a_body_over_the_limit_is_413_and_is_not_read",
        CROWD,
    ),
    22: (
        BARE + "test_row_22_a_body_in_chunks_is_411",
        EDGE + "test_row_22_chunks_are_gathered_so_that_what_arrives_behind_has_a_length",
        CROWD,
    ),
    23: (
        BARE + "test_row_23_a_length_together_with_chunks_is_refused_and_the_connection_ended",
        EDGE + "test_row_23_a_length_together_with_chunks_is_400",
        CROWD,
    ),
    24: (BARE + "test_row_24_a_length_short_of_the_body_is_401_and_what_is_left_is_no_request", CROWD),
    25: (SLOW, CROWD),
    26: (
        BARE + "test_row_26_a_malformed_length_is_400",
        BARE + "test_row_26_two_lengths_that_differ_are_400_and_the_same_one_twice_is_one",
        EDGE + "test_row_26_a_malformed_length_is_400",
        EDGE + "test_row_26_a_length_that_is_said_twice_is_400",
        CROWD,
    ),
    27: (BARE + "test_row_27_no_more_is_read_than_was_announced", CROWD),
    28: (SLOW, CROWD, EDGE + "test_row_28_clients_that_send_slowly_hold_no_thread"),
    29: (BARE + "test_row_29_a_compressed_body_is_415_and_never_unpacked", CROWD),
    30: (
        BARE + "test_row_30_too_many_or_too_long_headers_are_431",
        EDGE + "test_row_30_a_header_of_20_kb_and_200_headers_are_refused",
        CROWD,
    ),
    31: (
        BARE + "test_row_31_bare_line_feeds_end_lines_and_excuse_nothing",
        EDGE + "test_row_31_bare_line_feeds_are_read_and_passed_on_as_proper_ones",
        CROWD,
    ),
    32: (PARSING + "test_a_form_is_recognised_however_its_type_is_written", RECEIVER + "test_a_form_body_is_kept_raw"),
    33: (RECEIVER + "test_neither_json_nor_form_is_415", RECEIVER + "test_a_charset_is_ignored"),
    34: (RECEIVER + "test_an_empty_body_is_401_unsigned_and_kept_when_signed", UNUSABLE),
    35: (UNUSABLE,),
    36: (UNUSABLE,),
    37: (UNPARSED, UNUSABLE),
    38: (UNUSABLE,),
    39: (UNUSABLE,),
    40: (UNUSABLE,),
    41: (UNUSABLE, HERE + "test_rows_41_and_42_no_column_of_the_inbox_reads_the_body"),
    42: (UNUSABLE, HERE + "test_rows_41_and_42_no_column_of_the_inbox_reads_the_body"),
    43: (UNUSABLE, PARSING + "test_a_usable_body_is_parsed_unchanged"),
    44: (UNUSABLE,),
    45: (CHARACTERS, PARSING + "test_a_sanitised_delivery_is_processed_and_flagged"),
    46: (CHARACTERS,),
    47: (UNUSABLE,),
    48: (UNUSABLE, PARSING + "test_a_usable_body_is_parsed_unchanged"),
    49: (PARSING + "test_eight_million_nodes_are_refused_before_parsing",),
    50: (HERE + "test_row_50_many_keys_and_long_texts_have_their_verdict",),
    51: (
        HERE + "test_row_51_an_id_that_is_none_is_quarantined",
        READING + "test_an_id_is_an_integer_that_fits_its_column",
    ),
    52: (
        HERE + "test_row_52_a_time_that_is_none_is_quarantined_and_an_old_one_kept",
        READING + "test_a_time_is_an_instant_and_at_most_a_day_after_the_arrival",
        READING + "test_a_time_from_an_older_tracker_is_kept_from_1970_on",
    ),
    53: (
        HERE + "test_row_53_long_texts_are_cut_or_refused_and_never_an_error",
        "tests/webhooks/test_processing.py::test_a_value_too_long_for_its_index_quarantines_its_delivery",
    ),
    54: (
        HERE + "test_row_54_what_strangers_write_is_text_and_nothing_else",
        "tests/webhooks/test_replay.py::test_a_body_is_shown_on_demand_and_escaped",
        "tests/api/test_figures.py::test_csv_holds_the_same_list_and_no_formula",
        "tests/dashboard/test_pages.py::test_pages_load_nothing_from_elsewhere_and_have_no_inline_script",
    ),
    55: (HERE + "test_row_55_no_address_in_a_payload_is_ever_asked",),
    56: (
        HERE + "test_row_56_a_delivery_of_an_unknown_installation_is_kept_and_seen_by_operators_alone",
        "tests/api/test_tenancy.py::test_a_repository_that_was_transferred_away_is_its_new_accounts",
        "tests/api/test_tenancy.py::test_access_ends_with_the_installation",
        PAYLOADS + "installation.created.without_an_account.json",
        PAYLOADS + "installation.created.on_an_enterprise.json",
    ),
    57: (
        PAYLOADS + "pull_request.edited.ghost_and_deleted_fork.json",
        PAYLOADS + "membership.removed.ghost.json",
        PAYLOADS + "membership.removed.of_a_deleted_team.json",
        PAYLOADS + "pull_request.edited.trial_merge.json",
    ),
    58: (
        PAYLOADS + "ping.json",
        PAYLOADS + "installation.created.json",
        PAYLOADS + "installation.deleted.json",
        PAYLOADS + "github_app_authorization.revoked.json",
    ),
    59: (AGAIN + "test_other_content_under_the_same_key_is_a_conflict_and_the_first_is_kept",),
    60: (AGAIN + "test_200_concurrent_posts_of_one_guid_make_one_row",),
    61: (
        HERE + "test_row_61_what_happened_days_ago_counts_and_what_has_not_come_is_quarantined",
        "tests/integrations/test_any_order.py::test_any_order_any_repetition_and_any_batches_end_in_the_same_tables",
    ),
    62: (
        RECEIVER + "test_a_flood_of_refusals_becomes_few_rows",
        HERE + "test_row_62_a_flood_writes_no_line_for_each_post",
    ),
    63: (
        HERE + "test_row_63_a_message_that_is_not_json_is_never_unpacked",
        "tests/runtime/test_celery_settings.py::test_the_running_application_has_the_pinned_value",
    ),
    64: (
        "tests/dashboard/test_pages.py::test_repeated_wrong_passwords_are_blocked",
        "tests/api/test_tenancy.py::test_a_session_writes_only_with_its_csrf_token",
        HERE + "test_row_64_a_tampered_cookie_is_nobody",
    ),
}
