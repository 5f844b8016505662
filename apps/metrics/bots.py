"""The bot flag of accounts: a bot rule, otherwise GitHub's account type."""

EFFECTIVE = "coalesce({rule}.is_bot, {contributor}.kind = 'bot', false)"


def joined_bot_flag(column: str, *, name: str) -> tuple[str, str]:
    """Return the joins that an account's column needs, and the expression of its bot flag."""
    contributor, rule = f"{name}_account", f"{name}_rule"
    joins = f"""
        LEFT JOIN activity_contributor AS {contributor} ON {contributor}.github_id = {column}
        LEFT JOIN teams_botrule AS {rule} ON {rule}.contributor_id = {column}
    """
    return joins, EFFECTIVE.format(rule=rule, contributor=contributor)
