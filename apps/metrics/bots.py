"""Who counts as a bot: what an operator decided, else what GitHub says of the account."""

EFFECTIVE = "coalesce({rule}.is_bot, {contributor}.kind = 'bot', false)"


def joined_bot_flag(column: str, *, name: str) -> tuple[str, str]:
    """The joins that an account's column needs, and the expression that tells whether the account counts as a bot."""
    contributor, rule = f"{name}_account", f"{name}_rule"
    joins = f"""
        LEFT JOIN activity_contributor AS {contributor} ON {contributor}.github_id = {column}
        LEFT JOIN teams_botrule AS {rule} ON {rule}.contributor_id = {column}
    """
    return joins, EFFECTIVE.format(rule=rule, contributor=contributor)
