from __future__ import annotations

import json
from pathlib import Path

import pytest

from omi.outscale.client import Cloud
from omi.outscale.credentials import find_credentials, lone_session
from omi.outscale.oos import ObjectStore
from omi.state.image import CloudAccess
from omi.support.errors import CredentialsError
from tests.omi.specs import make_access

REGION = "eu-west-2"


def access(osc_file: str | None = None, osc_profile: str | None = None) -> CloudAccess:
    return make_access(
        region=REGION,
        api="https://127.0.0.1:1/api/v1",
        osc_file=osc_file,
        osc_profile=osc_profile,
    )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write_profiles(path: Path, **profiles: dict[str, str]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(profiles))
    return str(path)


ENVIRON = {"OSC_ACCESS_KEY": "ENVKEY", "OSC_SECRET_KEY": "e"}


def test_the_environment_wins_over_the_stacks_profile(home: Path) -> None:
    profiles = {name: {"access_key": f"{name.upper()}KEY", "secret_key": "s"} for name in ("main", "other")}
    named = access(write_profiles(home / "osc.json", **profiles), "main")
    assert find_credentials(named, {}).access_key == "MAINKEY"
    assert find_credentials(named, {"OSC_PROFILE": "other"}).access_key == "OTHERKEY"
    assert find_credentials(named, {**ENVIRON, "OSC_PROFILE": "other"}).access_key == "ENVKEY"
    gone = access(str(home / "gone.json"), "main")
    assert find_credentials(gone, ENVIRON).access_key == "ENVKEY"


def test_the_environment_has_no_say_in_the_key_of_a_further_region(home: Path) -> None:
    file = write_profiles(home / "osc.json", us={"access_key": "USKEY", "secret_key": "s"})
    further = access(file, "us").model_copy(update={"own_key": True})
    for environ in (ENVIRON, {"OSC_ACCESS_KEY": "half"}, {"OSC_PROFILE": "other"}):
        assert find_credentials(further, environ).access_key == "USKEY"


def test_environment_wins_over_boto_chain(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AWSKEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a")
    assert find_credentials(access(), {"OSC_ACCESS_KEY": "ENVKEY", "OSC_SECRET_KEY": "e"}).access_key == "ENVKEY"
    assert find_credentials(access(), {}).access_key == "AWSKEY"


def test_osc_profile_reads_the_users_own_file(home: Path) -> None:
    write_profiles(home / ".osc" / "config.json", work={"access_key": "WORKKEY", "secret_key": "w"})
    assert find_credentials(access(), {"OSC_PROFILE": "work"}).access_key == "WORKKEY"


def test_missing_credentials_name_the_cure(home: Path) -> None:
    with pytest.raises(CredentialsError, match="OSC_ACCESS_KEY and OSC_SECRET_KEY"):
        find_credentials(access(), {})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ('{"other": {}}', "it has: other"),
        ('{"main": {"access_key": "A"}}', "lacks access_key or secret_key"),
        ('{"main": {"access_key": "A", "secret_key": "topsecret", "region": "us-east-2"}}', "is of Region us-east-2"),
    ],
)
def test_bad_profile_file_is_one_line_without_the_secret(home: Path, content: str, said: str) -> None:
    file = home / "osc.json"
    file.write_text(content)
    with pytest.raises(CredentialsError, match=said) as raised:
        find_credentials(access(str(file), "main"), {})
    assert "\n" not in str(raised.value)
    assert "topsecret" not in str(raised.value)


def test_half_a_key_in_the_environment_is_named(home: Path) -> None:
    with pytest.raises(CredentialsError, match="OSC_SECRET_KEY is not set"):
        find_credentials(access(), {"OSC_ACCESS_KEY": "A"})


def test_secret_never_shows_in_a_repr(home: Path) -> None:
    assert "hushhush" not in repr(find_credentials(access(), {"OSC_ACCESS_KEY": "A", "OSC_SECRET_KEY": "hushhush"}))


EXPLICIT = pytest.mark.parametrize(
    "environ", [{"OSC_ACCESS_KEY": "ENVKEY", "OSC_SECRET_KEY": "e"}, {"OSC_PROFILE": "work"}], ids=["keys", "profile"]
)


@EXPLICIT
@pytest.mark.parametrize("name", ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"])
def test_explicit_keys_never_touch_the_aws_files(
    home: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], name: str
) -> None:
    write_profiles(home / ".osc" / "config.json", work={"access_key": "WORKKEY", "secret_key": "w"})
    monkeypatch.setenv(name, "no-such-profile")
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text("no INI file [")
    monkeypatch.setattr("omi.outscale.oos.lone_session", lone_session)
    connected = Cloud.connect(access(), environ)
    assert connected.credentials.access_key in {"ENVKEY", "WORKKEY"}
    ObjectStore(access(), connected.credentials)


@pytest.mark.parametrize("name", ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"])
def test_a_profile_that_the_aws_files_lack_is_named(home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "no-such-profile")
    with pytest.raises(
        CredentialsError, match=f"{name} names the profile 'no-such-profile', .* correct or unset {name}"
    ):
        find_credentials(access(), {})


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("no INI file [", "Unable to parse config file"),
        ("[default]\naws_access_key_id = A\n", "Partial credentials found"),
        ("[default]\ncredential_process = echo none\n", "gave none"),
        ("[default]\ncredential_process = no-such-program\n", "gave none"),
    ],
)
def test_aws_files_that_are_wrong_are_told_in_a_line(home: Path, config: str, said: str) -> None:
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text(config)
    with pytest.raises(CredentialsError, match=said) as raised:
        find_credentials(access(), {})
    assert "\n" not in str(raised.value)


def test_a_credential_process_that_hangs_is_left(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omi.outscale.credentials._CHAIN", 0.2)
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text("[default]\ncredential_process = sleep 5\n")
    with pytest.raises(CredentialsError, match="gave none within 0 s; does a credential_process hang"):
        find_credentials(access(), {})
