"""Settings: every source, and no name that is ignored in silence."""

import json
from pathlib import Path

import pytest

from models.errors import UsageError
from worker import settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.upper().startswith("STRANDWATCH_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("STRANDWATCH_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9092")


def test_one_variable_is_a_whole_start() -> None:
    loaded = settings.load()
    assert loaded.kafka.bootstrap_servers == "127.0.0.1:9092"
    assert loaded.kafka.member == "strandwatch-0"
    assert (loaded.delivery, loaded.start_from, loaded.commit_interval_ms) == ("exactly_once", "latest", 100)
    assert (loaded.http.host, loaded.http.port) == ("127.0.0.1", 9464)
    assert loaded.topics.dead_letters == "casting.dead-letters"


def test_environment_wins_over_file_and_file_over_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "kafka__sasl_password").write_text("hidden")
    (secrets / "kafka__sasl_username").write_text("from-secret")
    config = tmp_path / "worker.toml"
    config.write_text(
        f'secrets_dir = "{secrets}"\n[kafka]\nsasl_username = "from-file"\ngroup_id = "from-file"\n'
        '[kafka.extra]\n"socket.keepalive.enable" = "true"\n'
    )
    monkeypatch.setenv("STRANDWATCH_KAFKA__GROUP_ID", "from-env")
    kafka = settings.load(config).kafka
    assert (kafka.group_id, kafka.sasl_username) == ("from-env", "from-file")
    assert kafka.sasl_password is not None
    assert kafka.sasl_password.get_secret_value() == "hidden"
    assert kafka.extra == {"socket.keepalive.enable": "true"}


def test_masked_settings_hold_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kafka__ssl_key_password").write_text("hidden")
    monkeypatch.setenv("STRANDWATCH_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("STRANDWATCH_KAFKA__EXTRA", '{"ssl.keystore.password": "hidden"}')
    loaded = settings.load()
    assert loaded.kafka.ssl_key_password is not None
    assert "hidden" not in json.dumps(settings.masked(loaded)) + repr(loaded.kafka.ssl_key_password)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("STRANDWATCH_DELIVRY", "did you mean `delivery`"),
        ("STRANDWATCH_KAFKA__BOOTSTRAP_SERVER", "did you mean `kafka.bootstrap_servers`"),
        ("STRANDWATCH_KAFKA_GROUP_ID", "expected the name of a setting"),
        ("STRANDWATCH_PORT_9464_TCP_ADDR", "expected the name of a setting"),
        ("STRANDWATCH_MODEL__BUNDLE__NAME", "`bundle` holds nothing further"),
        ("strandwatch_delivry", "did you mean `delivery`"),
    ],
)
def test_name_that_is_no_setting_is_an_error(monkeypatch: pytest.MonkeyPatch, name: str, hint: str) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(UsageError, match=hint):
        settings.load()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[kafka]\ngroup_idd = "x"\n', r"kafka.group_idd in .*did you mean `kafka.group_id`"),
        ('colour = "blue"\n', "got `colour in"),
        ("delivery = \n", "expected TOML"),
        (
            'delivery = "at_most_once"\n',
            "input should be 'exactly_once' or 'at_least_once', got 'at_most_once' at delivery",
        ),
        ("commit_interval_ms = 0\n", "commit_interval_ms"),
        ('[encoding]\noutput = "avro"\n', "expected schema_registry_url to be set with avro, got none at encoding"),
        ('[encoding]\nschema_registry_url = "http://a:b@c"\n', "expected schema_registry_url without a name, got one"),
        ('[encoding]\nschema_registry_user = "a"\n', "expected schema_registry_user and schema_registry_password tog"),
    ],
)
def test_wrong_file_is_an_error_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    config = tmp_path / "worker.toml"
    config.write_text(text)
    with pytest.raises(UsageError, match=message):
        settings.load(config)


def test_missing_file_and_missing_secrets_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="expected a TOML file"):
        settings.load(tmp_path / "absent.toml")
    monkeypatch.setenv("STRANDWATCH_SECRETS_DIR", str(tmp_path / "absent"))
    with pytest.raises(UsageError, match="does not exist"):
        settings.load()


def test_stray_secret_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kafka__sasl_pasword").write_text("hidden")
    monkeypatch.setenv("STRANDWATCH_SECRETS_DIR", str(tmp_path))
    with pytest.raises(UsageError, match=r"did you mean `kafka\.sasl_password`"):
        settings.load()


def test_missing_broker_address_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STRANDWATCH_KAFKA__BOOTSTRAP_SERVERS")
    with pytest.raises(UsageError, match="set STRANDWATCH_KAFKA__BOOTSTRAP_SERVERS"):
        settings.load()


def test_every_listed_name_takes_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = dict(settings.names())
    assert listed["STRANDWATCH_KAFKA__BOOTSTRAP_SERVERS"] == "required"
    assert listed["STRANDWATCH_BATCH__MAX_WINDOWS"] == "not set: 16; on CUDA 256"
    plain = settings.load()
    for name, default in listed.items():
        if default != "required" and not default.startswith("not set"):
            monkeypatch.setenv(name, default)
    assert settings.load() == plain
