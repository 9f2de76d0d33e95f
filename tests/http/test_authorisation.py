"""Every operation of the API, for every role, on one's own and on another site: exactly what the policy declares."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from served import Served

from service.http.routes import Access, Route, UndeclaredError, reads, writes
from service.keys import LIFETIME_DAYS
from service.store.records import ROLES

NOBODY = "nobody"
METHODS = ("get", "post", "put", "delete")


def operations(served: Served):
    """Give method, path, roles, site parameter, whether reads are open and whether all are, out of the OpenAPI document."""
    api = served.client.get("/openapi.json").json
    for path, methods in api["paths"].items():
        for method, op in methods.items():
            yield (
                method, path, set(op["x-wattsplit-roles"]), op.get("x-wattsplit-site"), {} in op["security"], not op["security"],
            )  # fmt: skip


def call(served: Served, method: str, path: str, headers: dict[str, str], site: str = "pecos", **parameters: str):
    filled = path.replace("{site}", site)
    for name in re.findall(r"\{(\w+)\}", filled):
        filled = filled.replace(f"{{{name}}}", parameters.get(name, "unknown-id"))
    words = {"data": "{}", "content_type": "application/json"} if method in ("post", "put") else {}
    return served.client.open(filled, method=method.upper(), headers=headers, **words)


def test_the_matrix_of_operations_and_roles(served: Served):
    cells = 0
    for method, path, roles, site, _, public in operations(served):
        if public:
            continue
        for role in ROLES:
            answer = call(served, method, path, served.as_(role))
            refused = answer.status_code == 403 and answer.json["code"] == "role_not_allowed"
            assert refused == (role not in roles), f"{role}: {method} {path} → {answer.status_code} {answer.text[:200]}"
            assert answer.status_code not in (401, 500), f"{role}: {method} {path} → {answer.status_code}"
            cells += 1
            if role == "controller" and role in roles and site is not None:
                assert answer.status_code != 404 or "{" in path.replace("{site}", ""), f"own site: {method} {path}"
                foreign = call(served, method, path, served.as_(role), site="kiruna")
                unknown = call(served, method, path, served.as_(role), site="atlantis")
                assert foreign.status_code == unknown.status_code == 404
                assert anonymous(foreign) == anonymous(unknown)
                cells += 2
    assert cells > 150


def test_a_key_is_needed_for_every_write_on_loopback_too(served: Served):
    for method, path, _, _, open_on_loopback, public in operations(served):
        answer = call(served, method, path, {})
        if public or open_on_loopback:
            assert method == "get"
            assert answer.status_code not in (401, 403), f"{method} {path}"
        else:
            assert answer.status_code == 401, f"{method} {path} → {answer.status_code}"


def test_behind_a_proxy_reads_need_keys_too(tmp_path: Path):
    served = Served(tmp_path, behind_tls_proxy=True, public_hosts=("plan.example.org",))
    operator = {**served.as_("operator"), "Host": "plan.example.org"}
    paths = served.client.get("/openapi.json", headers=operator).json["paths"]
    for path, methods in paths.items():
        for method, op in methods.items():
            answer = call(served, method, path, {"Host": "plan.example.org"})
            assert answer.status_code == (401 if op["security"] else 200), f"{method} {path} → {answer.status_code}"
            assert {} not in op["security"]
    for page in ("/docs", "/docs/reference.css", "/openapi.json"):
        assert served.client.get(page, headers={"Host": "plan.example.org"}).status_code == 401
    served.close()


def test_a_request_that_came_through_a_proxy_is_no_loopback_read(served: Served):
    for header in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"):
        assert served.client.get("/v1/fleet", headers={header: "203.0.113.7"}).status_code == 401
    assert served.client.get("/v1/fleet", environ_overrides={"REMOTE_ADDR": "203.0.113.7"}).status_code == 401


def anonymous(answer) -> dict[str, object]:
    return {key: value for key, value in answer.json.items() if key != "request_id"}


def test_every_reason_for_401_answers_alike(served: Served):
    good = served.tokens["operator"]
    served.now.ahead(days=0)
    revoked = served.key("operator")
    served.store.keys.revoke(revoked[3:35], by="test", at=served.now())
    _, expired = served.keyring.issue("operator", label="short", by="test", lifetime_days=1)
    served.now.ahead(days=1)
    wrong_secret = good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB")
    bad = [
        revoked, expired, wrong_secret, "ws_" + "0" * 32 + "." + "a" * 43, "ws_x.y", "", "ws_", good + "x", good.upper(),
        "ws_%00.%00",
    ]  # fmt: skip
    answers = [served.client.get("/v1/audit-log", headers={"Authorization": f"Bearer {token}"}) for token in bad]
    answers.append(served.client.get("/v1/audit-log"))
    answers.append(served.client.get("/v1/audit-log", headers={"Authorization": f"Basic {good}"}))
    assert {answer.status_code for answer in answers} == {401}
    assert len({json.dumps(anonymous(answer), sort_keys=True) for answer in answers}) == 1
    assert {answer.headers["WWW-Authenticate"] for answer in answers} == {"Bearer"}
    # a bad key is refused where nobody at all would be let in
    assert served.client.get("/v1/fleet", headers={"Authorization": f"Bearer {wrong_secret}"}).status_code == 401


def test_a_controller_of_two_sites_reaches_both(served: Served):
    both = {"Authorization": f"Bearer {served.key('controller', ('pecos', 'kiruna'))}"}
    for site in ("pecos", "kiruna"):
        assert served.client.get(f"/v1/sites/{site}/setpoints", headers=both).status_code == 200


def test_contract_prices_are_hidden_from_controllers(served: Served):
    for path in ("/v1/sites/pecos", "/v1/sites", "/v1/fleet", "/v1/plans/latest", "/v1/plans/latest/money"):
        assert served.client.get(path, headers=served.as_("controller")).status_code == 403


def test_a_key_lives_as_long_as_its_role_allows(served: Served):
    for role, days in LIFETIME_DAYS.items():
        sites = ("pecos",) if role == "controller" else ()
        record, _ = served.keyring.issue(role, label="x", by="test", sites=sites)
        assert record.expires_at - record.created_at == timedelta(days=days)
        with pytest.raises(ValueError, match="lifetime_days"):
            served.keyring.issue(role, label="x", by="test", sites=sites, lifetime_days=days + 1)


def test_keys_are_issued_listed_and_revoked_by_admins(served: Served):
    admin = served.as_("admin")
    made = served.client.post("/v1/keys", json={"role": "controller", "label": "pecos plc", "sites": ["pecos"]}, headers=admin)
    assert made.status_code == 201
    token, key_id = made.json["token"], made.json["key"]["key_id"]
    mine = {"Authorization": f"Bearer {token}"}
    assert served.client.get("/v1/sites/pecos/setpoints", headers=mine).status_code == 200
    assert key_id in {key["key_id"] for key in served.client.get("/v1/keys", headers=admin).json["items"]}
    assert served.client.delete(f"/v1/keys/{key_id}", headers=admin).json["revoked_at"]
    assert served.client.get("/v1/sites/pecos/setpoints", headers=mine).status_code == 401


def test_two_live_keys_allow_rotation(served: Served):
    first, second = served.key("feed"), served.key("feed")
    served.store.keys.revoke(first[3:35], by="test", at=served.now())
    assert served.keyring.recognise(first) is None
    assert served.keyring.recognise(second) is not None


def test_no_secret_is_in_the_store(served: Served, tmp_path: Path):
    answer = served.client.post(
        "/v1/keys", json={"role": "feed", "label": "prices"}, headers={**served.as_("admin"), "Idempotency-Key": "k1"}
    )
    link = served.keyring.sign_in_token(served.keyring.recognise(served.tokens["operator"]).id)
    session = served.keyring.open_session(served.keyring.sign_in_token(served.keyring.recognise(served.tokens["operator"]).id))
    secrets = [token.split(".")[1] for token in (*served.tokens.values(), answer.json["token"])] + [link, session]
    content = (tmp_path / "store.db").read_bytes()
    assert not [secret for secret in secrets if secret.encode() in content]


def test_a_repeated_key_request_makes_one_key_and_shows_its_secret_once(served: Served):
    words = {**served.as_("admin"), "Idempotency-Key": "k1"}
    first = served.client.post("/v1/keys", json={"role": "feed", "label": "prices"}, headers=words)
    again = served.client.post("/v1/keys", json={"role": "feed", "label": "prices"}, headers=words)
    assert first.json["token"]
    assert again.status_code == 201
    assert again.json["token"] is None
    assert again.json["key"] == first.json["key"]


@pytest.mark.parametrize(
    "declared",
    [
        {"access": Access()},
        {"access": Access(roles=frozenset({"operator"}), open_on_loopback=True), "method": "POST"},
        {"access": Access(public=True), "method": "DELETE"},
        {"access": writes("controller", site="site")},
        {"access": reads("operator"), "path": "/x/{other}"},
    ],
    ids=["no policy", "a write open on loopback", "a public write", "a site that the path lacks", "a handler of another shape"],
)
def test_a_route_without_a_sound_policy_does_not_start(declared):
    def handler(call):
        return None

    with pytest.raises(UndeclaredError):
        Route(**{"method": "GET", "path": "/x", "handler": handler, "summary": "x", "tag": "x", **declared})
