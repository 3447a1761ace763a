from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.secrets import Secret
from config.settings import Settings, load_settings
from config.variables import VARIABLES
from service.core import errors as core_errors

NETWORK = "3C90C3CC-0D44-4B50-8888-8DD25736052A"


def problems(**environ: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as raised:
        load_settings(environ)
    assert str(raised.value) == "\n".join(raised.value.problems)
    return raised.value.problems


def test_an_empty_environment_gives_the_defaults() -> None:
    assert load_settings({}) == Settings()


def test_empty_variables_count_as_not_set() -> None:
    environ = {variable.name: " " for variable in VARIABLES} | {"BRIDGE_API_TOKEN_FILE": ""}

    assert load_settings(environ) == Settings()


def test_every_variable_reaches_its_field() -> None:
    settings = load_settings(
        {
            "REDIS_URL": "rediss://user:pw@store.example:6380/2",
            "REDIS_TLS": "insecure",
            "PORT": " 8080 ",
            "BRIDGE_CONFIG": "other.toml",
            "BRIDGE_DATA": "var",
            "BRIDGE_ADMIN_PASSWORD": "admin pw ",
            "BRIDGE_API_TOKEN": "api",
            "BRIDGE_SECRET_KEY": "key",
            "BRIDGE_PUBLIC_URL": "https://bridge.example.com/in/",
            "SPACEBRING_URL": "http://127.0.0.1:8001/",
            "SPACEBRING_NETWORK_ID": NETWORK,
            "SPACEBRING_CLIENT_ID": "client",
            "SPACEBRING_CLIENT_SECRET": "shh",
            "SPACEBRING_REFRESH_TOKEN": "shh-too",
            "SANDBOX_PORT": "9001",
            "LOG_FORMAT": "json",
            "SENTRY_DSN": "https://key@sentry.example/1 ",
            "BRIDGE_TRUSTED_PROXIES": "2",
            "BRIDGE_DATA_PERSISTENT": "true",
        }
    )

    assert settings == Settings(
        redis_url="rediss://user:pw@store.example:6380/2",
        redis_tls="insecure",
        port=8080,
        config="other.toml",
        data=Path("var"),
        admin_password=Secret("admin pw "),
        api_token=Secret("api"),
        secret_key=Secret("key"),
        public_url="https://bridge.example.com/in",
        spacebring_url="http://127.0.0.1:8001",
        network_id=NETWORK.lower(),
        client_id="client",
        client_secret=Secret("shh"),
        refresh_token=Secret("shh-too"),
        sandbox_port=9001,
        log_format="json",
        sentry_dsn=Secret("https://key@sentry.example/1"),
        trusted_proxies=2,
        data_persistent=True,
    )
    for hidden in ("pw", "other.toml", "shh"):
        assert hidden not in repr(settings)


def test_the_table_of_variables_names_each_field_once_and_its_default() -> None:
    written = {variable.name: variable.default for variable in VARIABLES if variable.default}

    assert sorted(variable.field for variable in VARIABLES) == sorted(Settings.__dataclass_fields__)
    assert load_settings(written) == Settings()


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_may_stand_in_a_file_with_a_newline_at_its_end(tmp_path: Path, end: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"from file" + end.encode())

    assert load_settings({"BRIDGE_SECRET_KEY_FILE": str(path)}).secret_key == Secret("from file")


def test_only_secrets_are_read_from_files(tmp_path: Path) -> None:
    assert load_settings({"PORT_FILE": str(tmp_path / "none")}) == Settings()


def test_a_secret_given_twice_is_a_problem() -> None:
    assert problems(BRIDGE_API_TOKEN="a", BRIDGE_API_TOKEN_FILE="b") == (
        "BRIDGE_API_TOKEN: is set, and BRIDGE_API_TOKEN_FILE too; remove one of them",
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfe", "not UTF-8"),
        (b"two\nlines", "line break"),
    ],
)
def test_a_secret_file_that_cannot_be_used_is_a_problem(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)

    (problem,) = problems(BRIDGE_SECRET_KEY_FILE=str(path))

    assert problem.startswith("BRIDGE_SECRET_KEY: ")
    assert said in problem


def test_an_impossible_file_name_is_a_problem() -> None:
    (problem,) = problems(BRIDGE_SECRET_KEY_FILE="a\0b")

    assert "null byte" in problem


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORT", "web", "'web' is not a port"),
        ("PORT", "0", "from 1 to 65535"),
        ("PORT", "65536", "from 1 to 65535"),
        ("PORT", "9" * 5000, "from 1 to 65535"),
        ("PORT", "²", "is not a port"),
        ("SPACEBRING_URL", "https://api..example", "is not a URL"),
        ("SPACEBRING_URL", "https://äpi.example", "is not a URL"),
        ("SPACEBRING_URL", f"https://{'a' * 64}.example", "is not a URL"),
        ("SPACEBRING_TOKEN", "tök", "no header may carry"),
        ("SPACEBRING_TOKEN", "token ", "a space at an end"),
        ("SENTRY_DSN", "https://sentry.example/1", "is not a Sentry DSN"),
        ("BRIDGE_DATA_PERSISTENT", "yes", "neither true nor false"),
        ("BRIDGE_TRUSTED_PROXIES", "-1", "is no number of proxies"),
        ("BRIDGE_TRUSTED_PROXIES", "²", "is no number of proxies"),
        ("BRIDGE_TRUSTED_PROXIES", "10", "from 0 to 9"),
        ("SANDBOX_PORT", "-1", "is not a port"),
        ("LOG_FORMAT", "xml", "give one of auto, json, console"),
        ("REDIS_URL", "http://u:hunter2@host", "redis://"),
        ("REDIS_URL", "redis://host:hunter2", "redis://"),
        ("REDIS_URL", "unix://", "names no socket"),
        ("REDIS_URL", "REDISS://:hunter2@host", "rediss://"),
        ("REDIS_TLS", "pyproject.toml", "no file of PEM certificates"),
        ("BRIDGE_PUBLIC_URL", "bridge.example.com", "https://"),
        ("BRIDGE_PUBLIC_URL", "ftp://bridge.example.com", "https://"),
        ("BRIDGE_PUBLIC_URL", "https://", "https://"),
        ("BRIDGE_PUBLIC_URL", "https://[::1", "https://"),
        ("BRIDGE_PUBLIC_URL", "https://a b", "https://"),
        ("BRIDGE_PUBLIC_URL", "https://u:hunter2@bridge.example.com", "leave out user name"),
        ("BRIDGE_PUBLIC_URL", "https://bridge.example.com/?a=1", "leave out user name"),
        ("BRIDGE_PUBLIC_URL", "https://bridge.example.com/#a", "leave out user name"),
        ("SPACEBRING_URL", "http://api.spacebring.com", "unencrypted"),
        ("SPACEBRING_URL", "http://10.0.0.1", "unencrypted"),
        ("SPACEBRING_CLIENT_ID", "hunter2\n2", "line break"),
        ("SPACEBRING_TOKEN", "hunter2\r\nX: y", "line break"),
    ],
)
def test_a_wrong_value_is_named_with_a_remedy_and_no_secret(name: str, value: str, said: str) -> None:
    found = problems(**{name: value})

    assert found[0].startswith(f"{name}: ")
    assert said in found[0]
    assert "hunter2" not in " ".join(found)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.9.9.9:81"])
def test_spacebring_may_be_this_machine_over_plain_http(host: str) -> None:
    assert load_settings({"SPACEBRING_URL": f"http://{host}"}).spacebring_url == f"http://{host}"


@pytest.mark.parametrize(
    "url", ["redis://", "redis://h/0", "rediss://:pw@h:1", "unix:///run/redis.sock?db=1"]
)
def test_redis_urls_stay_as_they_are(url: str) -> None:
    assert load_settings({"REDIS_URL": url}).redis_url == url


def test_all_problems_come_out_at_once() -> None:
    found = problems(PORT="x", LOG_FORMAT="x", SPACEBRING_NETWORK_ID="x", SPACEBRING_CLIENT_ID="x")

    assert [problem.partition(":")[0] for problem in found] == [
        "PORT",
        "SPACEBRING_NETWORK_ID",
        "LOG_FORMAT",
        "SPACEBRING_CLIENT_SECRET",
    ]


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"SPACEBRING_TOKEN": "t"}, "SPACEBRING_NETWORK_ID"),
        ({"SPACEBRING_NETWORK_ID": NETWORK}, "SPACEBRING_TOKEN"),
        ({"SPACEBRING_CLIENT_ID": "c"}, "SPACEBRING_CLIENT_SECRET"),
        ({"SPACEBRING_CLIENT_SECRET": "s"}, "SPACEBRING_CLIENT_ID"),
        ({"SPACEBRING_CLIENT_SECRET": "s", "SPACEBRING_NETWORK_ID": NETWORK}, "SPACEBRING_CLIENT_ID"),
        ({"SPACEBRING_REFRESH_TOKEN": "r", "SPACEBRING_NETWORK_ID": NETWORK}, "SPACEBRING_CLIENT_ID"),
        (
            {
                "SPACEBRING_REFRESH_TOKEN": "r",
                "SPACEBRING_CLIENT_ID": "c",
                "SPACEBRING_CLIENT_SECRET": "s",
            },
            "SPACEBRING_NETWORK_ID",
        ),
    ],
)
def test_half_given_credentials_are_a_problem(given: dict[str, str], missing: str) -> None:
    (problem,) = problems(**given)

    assert problem.startswith(f"{missing}: is missing")


def test_a_refresh_token_beside_a_token_is_a_problem() -> None:
    (problem,) = problems(
        SPACEBRING_TOKEN="t",
        SPACEBRING_NETWORK_ID=NETWORK,
        SPACEBRING_CLIENT_ID="c",
        SPACEBRING_CLIENT_SECRET="s",
        SPACEBRING_REFRESH_TOKEN="r",
    )

    assert problem == "SPACEBRING_REFRESH_TOKEN: is set, and SPACEBRING_TOKEN too; remove one of them"


def test_credentials_given_as_a_file_count_as_given(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("t\n")

    settings = load_settings({"SPACEBRING_TOKEN_FILE": str(path), "SPACEBRING_NETWORK_ID": NETWORK})

    assert settings.has_credentials


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, False),
        ({"SPACEBRING_TOKEN": "t", "SPACEBRING_NETWORK_ID": NETWORK}, True),
        ({"SPACEBRING_CLIENT_ID": "c", "SPACEBRING_CLIENT_SECRET": "s"}, True),
        (
            {
                "SPACEBRING_CLIENT_ID": "c",
                "SPACEBRING_CLIENT_SECRET": "s",
                "SPACEBRING_NETWORK_ID": NETWORK,
            },
            True,
        ),
    ],
)
def test_a_token_with_its_network_or_a_client_with_its_secret_are_credentials(
    given: dict[str, str],
    expected: bool,  # noqa: FBT001 - a parameter of the table above
) -> None:
    assert load_settings(given).has_credentials is expected


def test_the_kernel_knows_the_same_configuration_error() -> None:
    assert core_errors.ConfigError is ConfigError
    assert issubclass(ConfigError, core_errors.BridgeError)
