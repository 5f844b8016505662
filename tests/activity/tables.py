"""All fact tables as plain values, so that two histories can be compared."""

from typing import Any

from django.apps import apps

from tests.emptying import empty

BOOKKEEPING = {"change", "provenance", "coverage"}


def activity_models() -> list[Any]:
    return list(apps.get_app_config("activity").get_models())


def fact_models() -> list[Any]:
    return [
        model for model in apps.get_app_config("activity").get_models() if model._meta.model_name not in BOOKKEEPING
    ]


def contents() -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every fact table, without surrogate ids, in a fixed order."""
    found = {}
    for model in fact_models():
        names = [field.attname for field in model._meta.concrete_fields if field.name != "id"]
        found[model.__name__] = sorted(model.objects.values_list(*names), key=repr)
    return found


def clear() -> None:
    """Empty the activity tables."""
    empty(model._meta.db_table for model in activity_models())
