"""What strangers, other web sites and malformed requests get: a refusal in the same shape, and nothing about the inside."""

import http.client
import json
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from served import Served

from service.config import Settings, UnsafeSettingsError, refuse_unsafe

ORDER = {"site": "pecos", "limit_w": 0}


@pytest.mark.parametrize("path", ["/v1/fleet", "/docs", "/nothing", "/v1/health/live", "/v1/keys"])
def test_every_answer_carries_the_security_headers(served: Served, path):
    headers = served.client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert len(headers["Wattsplit-Request-Id"]) == 32
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "10.0.0.5", "[2001:db8::1]:8080", ""]
)
def test_another_host_name_is_refused(served: Served, host):
    answer = served.client.get("/v1/fleet", headers={"Host": host})
    assert (answer.status_code, answer.json["code"]) == (421, "host_not_allowed")


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "LOCALHOST", "[::1]:8080", "127.0.0.53"])
def test_this_machine_by_any_of_its_names_is_served(served: Served, host):
    assert served.client.get("/v1/fleet", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://localhost:9"}, {"Sec-Fetch-Site": "cross-site"}],
)
def test_another_sites_page_reads_nothing(served: Served, headers):
    answer = served.client.get("/v1/fleet", headers={"Host": "localhost:8080", **headers})
    assert (answer.status_code, answer.json["code"]) == (403, "origin_not_allowed")


def test_a_link_from_elsewhere_opens_the_page(served: Served):
    words = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert served.client.get("/docs", headers=words).status_code == 200


def test_a_sign_in_link_opens_one_session(served: Served):
    key_id = served.keyring.recognise(served.tokens["operator"]).id
    token = served.keyring.sign_in_token(key_id)
    browser = served.client
    answer = browser.get("/sign-in", query_string={"token": token})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert served.client.get("/sign-in", query_string={"token": token}).status_code == 404
    assert browser.get("/v1/audit-log").status_code == 200
    own = {"Origin": "http://localhost"}
    assert browser.post("/v1/events", json=ORDER).json["code"] == "origin_not_allowed"
    assert browser.post("/v1/events", json=ORDER, headers={"Origin": "https://evil.example"}).status_code == 403
    assert browser.post("/v1/events", json=ORDER, headers=own).status_code == 201
    assert browser.post("/sign-out", json={}, headers=own).status_code == 204
    assert served.client.get("/v1/audit-log", headers={"Cookie": cookie.split(";")[0]}).status_code == 401


def test_links_and_sessions_end(served: Served):
    key_id = served.keyring.recognise(served.tokens["operator"]).id
    late = served.keyring.sign_in_token(key_id)
    session = served.keyring.open_session(served.keyring.sign_in_token(key_id))
    served.now.ahead(minutes=31)
    assert served.keyring.open_session(late) is None
    assert served.keyring.of_session(session) is not None
    served.store.keys.revoke(key_id, by="test", at=served.now())
    assert served.keyring.of_session(session) is None


def test_behind_tls_the_cookie_is_bound_to_host_and_tls(tmp_path: Path):
    served = Served(tmp_path, behind_tls_proxy=True, public_hosts=("plan.example.org",))
    token = served.keyring.sign_in_token(served.keyring.recognise(served.tokens["operator"]).id)
    cookie = served.client.get("/sign-in", query_string={"token": token}, headers={"Host": "plan.example.org"}).headers[
        "Set-Cookie"
    ]
    assert cookie.startswith("__Host-wattsplit=")
    assert "; Secure" in cookie
    served.close()


@pytest.mark.parametrize(
    ("settings", "any_key", "words"),
    [
        ({"host": "0.0.0.0"}, True, "TLS proxy"),
        ({"host": "192.0.2.7"}, False, "TLS proxy"),
        ({"host": "0.0.0.0", "behind_tls_proxy": True}, True, "PUBLIC_HOSTS"),
        ({"host": "0.0.0.0", "behind_tls_proxy": True, "public_hosts": ("plan.example.org",)}, False, "no live key"),
        ({"host": "127.0.0.1", "behind_tls_proxy": True, "public_hosts": ("plan.example.org",)}, False, "no live key"),
    ],
)
def test_an_unsafe_address_is_refused_in_one_line(settings, any_key, words):
    with pytest.raises(UnsafeSettingsError, match=words) as refused:
        refuse_unsafe(Settings(**settings), any_key=any_key)
    assert "\n" not in str(refused.value)


def test_safe_addresses_are_not_refused():
    refuse_unsafe(Settings(), any_key=False)
    refuse_unsafe(Settings(host="::1"), any_key=False)
    refuse_unsafe(Settings(host="0.0.0.0", behind_tls_proxy=True, public_hosts=("plan.example.org",)), any_key=True)


@pytest.mark.parametrize(
    ("environment", "words"),
    [({"WATTSPLIT_PROT": "1"}, "not a setting"), ({"WATTSPLIT_PORT": "x"}, "PORT"), ({"WATTSPLIT_PORT": "70000"}, "PORT")],
)
def test_an_unknown_or_unreadable_setting_is_an_error(environment, words):
    with pytest.raises(UnsafeSettingsError, match=words):
        Settings.from_environment(environment)


def test_the_environment_is_read():
    settings = Settings.from_environment({"WATTSPLIT_PORT": "9000", "WATTSPLIT_PUBLIC_HOSTS": "a.example,b.example", "HOME": "/"})
    assert settings.port == 9000
    assert settings.public_hosts == ("a.example", "b.example")


def test_what_nobody_foresaw_shows_nothing_of_the_inside(served: Served):
    def broken(*args, **kwargs):
        raise RuntimeError("secret path /var/lib/wattsplit: SELECT * FROM key")

    served.store.fleets.newest = broken
    answer = served.client.get("/v1/fleet")
    assert answer.status_code == 500
    assert answer.mimetype == "application/problem+json"
    assert answer.json["code"] == "internal_error"
    assert len(answer.json["request_id"]) == 32
    assert not [word for word in ("secret", "SELECT", "Traceback", "RuntimeError", ".py") if word in answer.text]


def test_unknown_paths_and_methods_are_problems(served: Served):
    for path in ("/v2", "/v1/fleet/", "/v1/%00", "/v1/sites/..%2f..%2fetc", "/v1/sites/" + "a" * 64):
        answer = served.client.get(path)
        assert (answer.status_code, answer.json["code"]) == (404, "not_found"), path
    answer = served.client.delete("/v1/fleet")
    assert (answer.status_code, answer.json["code"]) == (405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "PUT"}
    assert served.client.options("/v1/fleet").status_code == 405


def test_lists_go_by_cursor(served: Served):
    for number in range(5):
        served.store.jobs.add(f"job-{number}", "plan", {}, by="test", at=served.now())
    seen, query = [], {"limit": 2}
    while True:
        page = served.client.get("/v1/jobs", query_string=query).json
        seen += [job["job_id"] for job in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == [f"job-{number}" for number in (4, 3, 2, 1, 0)]
    first = served.client.get("/v1/sites", query_string={"limit": 1}).json
    second = served.client.get("/v1/sites", query_string={"limit": 1, "cursor": first["next_cursor"]}).json
    assert [site["name"] for site in first["items"] + second["items"]] == ["pecos", "kiruna"]
    assert second["next_cursor"] is None


def test_over_the_wire(served: Served):
    """What only a real socket shows: chunks, lengths that lie, huge and endlessly nested bodies, and many threads."""
    with served.listening() as address, httpx.Client(base_url=address, headers=served.as_("operator"), trust_env=False) as wire:
        plain = {"Content-Type": "application/json"}
        nested = wire.post("/v1/events", content=b"[" * 100_000, headers=plain)
        assert (nested.status_code, nested.json()["errors"][0]["code"]) == (400, "too_deep")
        assert wire.post("/v1/events", content=b"{" + b" " * 2**20, headers=plain).status_code == 413
        assert wire.post("/v1/events", content=iter([b"{}"]), headers=plain).status_code in (400, 411, 501)
        host, port = urlsplit(address).hostname, urlsplit(address).port
        with socket.create_connection((host, port), timeout=10) as line:
            line.sendall(b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}")
            assert b" 400 " in line.recv(200).split(b"\r\n")[0] + b" "
        connection = http.client.HTTPConnection(host, port, timeout=10)
        connection.request("GET", "/v1/fleet", headers={"Host": "evil.example"})
        assert connection.getresponse().status == 421
        connection.close()
        codes: list[int] = []
        readers = [threading.Thread(target=lambda: codes.append(wire.get("/v1/plans/latest").status_code)) for _ in range(40)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(30)
        assert codes == [200] * 40


def test_a_telemetry_body_has_a_smaller_cap(served: Served):
    body = json.dumps({"points": [], "x": "y" * 70_000})
    answer = served.client.post(
        "/v1/sites/pecos/telemetry", data=body, content_type="application/json", headers=served.as_("controller")
    )
    assert (answer.status_code, answer.json["code"]) == (413, "body_too_large")
