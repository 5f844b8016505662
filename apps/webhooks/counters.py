"""What the letterbox counts, for Prometheus."""

from prometheus_client import Counter

ANSWERS = Counter("tformance_door_answers", "Posts at the door by what became of them", ["outcome"])
RINGS = Counter("tformance_rings", "Messages to the workers by what became of them", ["outcome"])
VERDICTS = Counter(
    "tformance_deliveries", "Deliveries that workers finished or put off, by state and reason", ["state", "reason"]
)
LOST_CLAIMS = Counter("tformance_lost_claims", "Deliveries that another worker had taken over before the verdict")
