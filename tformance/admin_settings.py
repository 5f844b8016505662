"""Theme and navigation of the admin. Fonts and scripts are served locally."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def page(title: str, icon: str, model: str) -> dict[str, Any]:
    """Return the sidebar entry of a model, shown to users who may view it."""
    app, name = model.split(".")

    def may_see(request: HttpRequest) -> bool:
        return request.user.has_perm(f"{app}.view_{name}")

    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_changelist"),
        "permission": may_see,
    }


def group(title: str, *items: dict[str, Any], is_closed: bool = False) -> dict[str, Any]:
    return {"title": title, "separator": True, "collapsible": is_closed, "items": list(items)}


NAVIGATION = [
    group(
        "Inbox",
        page("Deliveries", "inbox", "webhooks.delivery"),
        page("Missed deliveries", "mark_email_unread", "integrations.misseddelivery"),
        page("Delivery log scan", "manage_search", "integrations.deliverylogscan"),
        page("Rejected requests", "block", "webhooks.refusal"),
        page("Webhook secrets", "key", "webhooks.webhooksecret"),
    ),
    group(
        "Jobs",
        page("Jobs", "work_history", "jobs.job"),
        page("Backfills", "cloud_download", "integrations.backfill"),
        page("Reconciliation", "compare_arrows", "integrations.synclog"),
        page("Drift", "difference", "integrations.drift"),
        page("Drifted entities", "data_object", "integrations.driftedentity"),
        page("Stream counts", "123", "integrations.streamcount"),
    ),
    group(
        "Teams",
        page("Teams", "groups", "teams.team"),
        page("Goals", "target", "metrics.goal"),
        page("Account rules", "smart_toy", "teams.accountrule"),
        page("Service rules", "dns", "teams.servicerule"),
        page("Deployment sources", "rocket", "teams.deploymentsource"),
        page("Incident rules", "emergency", "teams.incidentrule"),
        page("Hotfix rules", "build", "teams.hotfixrule"),
    ),
    group(
        "Users",
        page("Users", "manage_accounts", "users.customuser"),
        page("API tokens", "vpn_key", "users.apitoken"),
        page("Groups", "group_work", "auth.group"),
        page("Connected accounts", "link", "socialaccount.socialaccount"),
        page("E-mail addresses", "mail", "account.emailaddress"),
        page("Failed sign-ins", "gpp_bad", "axes.accessattempt"),
        page("Each failed sign-in", "gpp_maybe", "axes.accessfailurelog"),
        page("Sign-ins", "login", "axes.accesslog"),
    ),
    group(
        "Notifications",
        page("Notes", "notifications", "notifications.notification"),
        page("Subscriptions", "mark_email_unread", "notifications.subscription"),
        page("Alerts", "warning", "notifications.alert"),
        page("E-mails", "outgoing_mail", "notifications.mailmessage"),
        page("Messages to webhooks", "send", "notifications.webhookmessage"),
    ),
    group(
        "System",
        page("Status", "monitor_heart", "monitoring.statuscheck"),
        page("Task results", "checklist", "django_celery_results.taskresult"),
    ),
    group(
        "GitHub data",
        page("Repositories", "folder", "activity.repository"),
        page("Pull requests", "merge", "activity.pullrequest"),
        page("Reviews", "rate_review", "activity.review"),
        page("Commits", "commit", "activity.commit"),
        page("Deployments", "rocket_launch", "activity.deployment"),
        page("Reported deployments", "campaign", "activity.reporteddeployment"),
        page("Workflow runs", "play_circle", "activity.workflowrun"),
        page("Issues", "error", "activity.issue"),
        page("Reported incidents", "report", "activity.reportedincident"),
        page("Releases", "sell", "activity.release"),
        page("Contributors", "person", "activity.contributor"),
        page("Installations", "extension", "activity.installation"),
    ),
    group(
        "Derived data",
        page("Pull request times", "timer", "metrics.derivedpullrequest"),
        page("Closings", "cancel", "metrics.derivedclosing"),
        page("Reviews", "reviews", "metrics.derivedreview"),
        page("Review requests", "person_add", "metrics.derivedreviewrequest"),
        page("Deployments", "deployed_code", "metrics.deriveddeployment"),
        page("What went out", "local_shipping", "metrics.derivedshipment"),
        page("Failures", "dangerous", "metrics.derivedfailure"),
        page("Remediations", "healing", "metrics.derivedremediation"),
        page("Incidents", "emergency_home", "metrics.derivedincident"),
        page("Commits", "commit", "metrics.derivedcommit"),
        page("Workflow runs", "play_circle", "metrics.derivedworkflowrun"),
        page("AI evidence", "robot_2", "metrics.derivedaievidence"),
        page("Hourly figures", "schedule", "metrics.hourlyfigures"),
        page("Repository freshness", "update", "metrics.repositoryfreshness"),
        page("Team freshness", "update", "metrics.teamfreshness"),
        page("Rebuild samples", "science", "metrics.rebuildsample"),
        page("Rebuild differences", "rule", "metrics.rebuilddifference"),
        is_closed=True,
    ),
    group(
        "Details",
        page("Pull request history", "history", "activity.pullrequestevent"),
        page("Pull request commits", "account_tree", "activity.pullrequestcommit"),
        page("Review comments", "comment", "activity.reviewcomment"),
        page("Issue comments", "chat", "activity.issuecomment"),
        page("Pushes", "upload", "activity.push"),
        page("Commit trailers", "group_add", "activity.committrailer"),
        page("Branches and tags", "call_split", "activity.gitreference"),
        page("Deployment statuses", "flag", "activity.deploymentstatus"),
        page("Repository access", "lock_open", "activity.repositoryaccess"),
        page("GitHub teams", "diversity_3", "activity.githubteam"),
        page("GitHub memberships", "badge", "activity.githubmembership"),
        page("GitHub team events", "history", "activity.githubteamevent"),
        page("Coverage", "date_range", "activity.coverage"),
        page("Provenance", "travel_explore", "activity.provenance"),
        page("Waiting changes", "pending", "activity.change"),
        is_closed=True,
    ),
]
"""In the order of use: what an operator looks at daily, then teams and users, then rows that explain figures."""

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "tformance",
    "SITE_HEADER": "tformance",
    "SITE_SUBHEADER": "Administration",
    "SITE_SYMBOL": "mark_email_read",
    "SITE_URL": "/",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("dashboard/mark.svg")}],
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 254)",
            "100": "oklch(93.2% .032 256)",
            "200": "oklch(88.2% .059 254)",
            "300": "oklch(80.9% .105 252)",
            "400": "oklch(70.7% .165 255)",
            "500": "oklch(62.3% .2 260)",
            "600": "oklch(50% .2 264)",
            "700": "oklch(45% .19 265)",
            "800": "oklch(40% .17 266)",
            "900": "oklch(36% .14 266)",
            "950": "oklch(28% .09 268)",
        }
    },
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "SIDEBAR": {"show_search": True, "show_all_applications": False, "navigation": NAVIGATION},
}
