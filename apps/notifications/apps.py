from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "apps.notifications"

    def ready(self) -> None:
        """Register the jobs that write and send messages."""
        from apps.jobs import registry  # noqa: PLC0415  models must be loaded first
        from apps.notifications import digests, mail_job, webhooks  # noqa: PLC0415  models must be loaded first

        for module in (digests, mail_job, webhooks):
            registry.register(module.KIND)
        registry.register_plan(digests.PLAN)
