"""The process that answers sites imports no solver and trains nothing: that is done in child processes, which can be killed."""

import subprocess
import sys
from pathlib import Path

SOLVERS = ("highspy", "ortools", "pyomo")
TEACHERS = ("sklearn",)
"""What trains forecasts."""

PROGRAM = f"""
import sys
from service.app import create_app, release
from service.config import Settings
from service.http.server import create
from service.web.routes import page_routes
from service.wiring import assemble

service = assemble(Settings(data_dir=sys.argv[1], port=0))
app = create_app(service.services, page_routes(service.services, release=release()))
plan = service.planner.publish_rule("start") if service.leadership.lead() else None
assert plan is not None
answer = app.test_client().get("/v1/sites/pecos/setpoints", headers={{"Host": "127.0.0.1"}})
assert answer.status_code == 200, answer.get_data()
why = app.test_client().get("/v1/plans/latest/explanations?site=monahans&step=3", headers={{"Host": "127.0.0.1"}})
assert why.status_code in (200, 503), why.get_data()
service.stop()
print(" ".join(name for name in {SOLVERS + TEACHERS!r} if name in sys.modules))
"""


def test_a_process_that_plans_by_rule_serves_and_explains_has_imported_no_solver(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
