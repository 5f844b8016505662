"""URLs of the inbox."""

from django.urls import path

from apps.webhooks.api import views

urlpatterns = [
    path("deliveries/", views.DeliveriesView.as_view(), name="delivery-list"),
    path("deliveries/<int:pk>/", views.DeliveryDetailView.as_view(), name="delivery-detail"),
    path("deliveries/<int:pk>/body/", views.BodyView.as_view(), name="delivery-body"),
    path("deliveries/<int:pk>/replay/", views.ReplayView.as_view(), name="delivery-replay"),
]
