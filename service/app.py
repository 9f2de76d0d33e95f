"""The application factory: the only place where routes, guard and services are joined."""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from flask import Flask

from service.api import api_routes
from service.http.dispatch import Dispatcher
from service.http.guard import Guard
from service.http.openapi import document
from service.http.routes import Route
from service.http.surface import surface_routes
from service.ports import Services


def create_app(services: Services, pages: Iterable[Route] = ()) -> Flask:
    """Return the HTTP face of the service.

    Args:
        services: what stands behind the routes.
        pages: routes of the web pages, declared like all others (`hidden=True` keeps them out of the API's description).

    Raises:
        UndeclaredError: a route lacks its policy, or its handler does not fit its declaration.
    """
    app = Flask("service", static_folder=None, template_folder=None)
    app.url_map.strict_slashes = True
    guard = Guard(services.settings, services.keyring)
    described, shown = api_routes(services), tuple(pages)
    surface = surface_routes(services, guard, lambda: document(
        [*described, *surface, *shown], version=release(), open_reads=services.settings.loopback,
    ))  # fmt: skip
    Dispatcher(services.settings, services.store, guard, services.now).register(app, [*described, *surface, *shown])
    return app


def release() -> str:
    """Return the program's release."""
    try:
        return version("wattsplit")
    except PackageNotFoundError:  # run from a folder that was not installed
        return "0+unknown"
