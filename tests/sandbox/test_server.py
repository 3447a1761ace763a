import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sandbox.app import create_app
from sandbox.server import running, serve
from tests.conftest import free_port, until
from tests.sandbox.client import DOWNTOWN, FAULTS, Client, answers, options

_SERVE = f"""
import sys
from pathlib import Path
from sandbox.app import SandboxOptions, create_app
from sandbox.server import serve
app = create_app(SandboxOptions(locations={{{DOWNTOWN!r}: "Downtown"}}, data=Path(sys.argv[1])))
serve(app, "127.0.0.1", int(sys.argv[2]))
"""


@pytest.mark.slow
def test_tickets_and_faults_survive_a_sigkill(tmp_path: Path) -> None:
    data, port = tmp_path / "new" / "sandbox.sqlite", free_port()
    client = Client(f"http://127.0.0.1:{port}")
    with subprocess.Popen([sys.executable, "-c", _SERVE, str(data), str(port)]) as process:
        until(lambda: answers(client.url))
        filed = client.file().json()["ticket"]
        client.faults({"kind": "status", "status": 503, "times": 3, "seed": 7})
        client.file()
        before = client.call("GET", FAULTS).json()
        process.kill()
    with running(create_app(options(data=data))) as url:
        again = Client(url)
        after = again.call("GET", FAULTS).json()
        again.call("DELETE", FAULTS)
        shown = again.call("GET", "/sandbox/tickets").json()["tickets"]
        assert again.file().json()["ticket"]["number"] == 2
    assert after == before
    assert [ticket["id"] for ticket in shown] == [filed["id"]]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_cleanly(number: signal.Signals) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    before = signal.getsignal(number)

    def stop() -> None:
        until(lambda: answers(url))
        os.kill(os.getpid(), number)

    stopper = threading.Thread(target=stop)
    stopper.start()
    serve(create_app(options()), "127.0.0.1", port)
    stopper.join()
    assert not answers(url)
    assert signal.getsignal(number) is before


def test_a_port_in_use_is_an_error_of_the_system() -> None:
    app = create_app(options())
    with (
        running(app) as url,
        pytest.raises(OSError, match="in use"),
        running(app, int(url.rpartition(":")[2])),
    ):
        pass


def test_an_app_can_be_served_again_and_keeps_what_it_holds() -> None:
    app = create_app(options())
    with running(app) as url:
        Client(url).file()
    with running(app) as url:
        assert Client(url).filed() == 1


def test_requests_at_the_same_time_each_get_their_own_number() -> None:
    with running(create_app(options())) as url:
        client = Client(url)
        numbers: list[int] = []
        threads = [
            threading.Thread(target=lambda: numbers.append(client.file().json()["ticket"]["number"]))
            for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(numbers) == list(range(1, 21))


def test_secrets_are_not_shown_with_the_options() -> None:
    shown = repr(options(token="t0k3n", client_secret="s3cr3t"))
    assert "t0k3n" not in shown
    assert "s3cr3t" not in shown


def test_requests_are_not_logged(capfd: pytest.CaptureFixture[str]) -> None:
    with running(create_app(options())) as url:
        client = Client(url)
        client.file()
        client.faults({"kind": "reset"})
        client.call("GET", "/nowhere")
    assert capfd.readouterr() == ("", "")
