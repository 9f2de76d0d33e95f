"""/metrics: what a monitor scrapes, as Prometheus reads it."""

from service.http.routes import Answer, Call, Route, reads
from service.metrics import MEDIA_TYPE, Meter
from service.ports import Services


def routes(services: Services) -> list[Route]:
    """Return the route of the measures."""
    meter = Meter(services)

    def metrics(call: Call) -> Answer:
        """Return age, gap and basis of the published plan, jobs, alarms and the age of inputs, in Prometheus' text format."""
        return Answer(meter.text(call.now).encode(), media_type=MEDIA_TYPE)

    also = {200: ("text/plain",)}
    return [Route("GET", "/metrics", metrics, reads("operator"), "Measures for a monitor", "metrics", also_produces=also)]
