"""Many clients at once: those who wait, and those who are connected and say nothing, leave room for the others."""

import socket
import threading
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import pytest
from served import Served

WAIT_S = 6


def test_waits_of_all_kinds_together_leave_threads_for_the_others(tmp_path):
    served = Served(tmp_path, threads=8, long_polls_max=20)
    served.store.jobs.add("job", "backtest", {}, by="test", at=served.now())
    with served.listening() as address, httpx.Client(base_url=address, timeout=60) as client:
        etag = client.get("/v1/sites/pecos/setpoints", headers=served.as_("controller")).headers["ETag"]
        held = served.as_("controller") | {"If-None-Match": etag}
        asks = [
            (f"/v1/sites/pecos/setpoints?wait={WAIT_S}", held),
            (f"/v1/jobs/job?wait={WAIT_S}", served.as_("operator")),
        ] * 8
        answers: list[int] = []
        waiting = [threading.Thread(target=lambda ask=ask: answers.append(asked(address, *ask))) for ask in asks]
        for thread in waiting:
            thread.start()
        time.sleep(1)
        began = time.monotonic()
        assert client.get("/v1/health/live").status_code == 200
        assert time.monotonic() - began < WAIT_S / 3
        for thread in waiting:
            thread.join(60)
    assert sorted(answers) == [200] * 8 + [304] * 8
    served.close()


def asked(address: str, path: str, headers: dict[str, str]) -> int:
    return httpx.get(f"{address}{path}", headers=headers, timeout=60).status_code


@pytest.mark.parametrize("silent", [150])
def test_connections_on_which_nothing_is_said_keep_nobody_out(served, silent):
    with served.listening() as address, ExitStack() as open_ones:
        where = urlsplit(address)
        for _ in range(silent):
            open_ones.enter_context(socket.create_connection((where.hostname, where.port), timeout=10))
        assert httpx.get(f"{address}/v1/health/live", timeout=10).status_code == 200
