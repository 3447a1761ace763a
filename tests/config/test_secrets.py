from __future__ import annotations

import copy
import json
import pickle
from dataclasses import asdict, dataclass

import pytest

from config.secrets import Secret


@dataclass(frozen=True)
class Holder:
    key: Secret


@pytest.mark.parametrize(
    "shown",
    [
        repr(Secret("hunter2")),
        str(Secret("hunter2")),
        f"{Secret('hunter2')}",
        f"{Secret('hunter2')!r}",
        f"{Secret('hunter2'):>20}".strip(),
        json.dumps({"key": Secret("hunter2")}, default=str)[9:-2],
        repr(Holder(Secret("hunter2")))[11:-1],
    ],
)
def test_a_secret_shows_its_mask_however_it_is_printed(shown: str) -> None:
    assert shown == "<secret>"


def test_plain_json_refuses_a_secret_without_showing_it() -> None:
    with pytest.raises(TypeError) as refused:
        json.dumps(Secret("hunter2"))

    assert "hunter2" not in str(refused.value)


def test_a_secret_reveals_its_text_and_bytes_on_request() -> None:
    secret = Secret("pässword\udcff")

    assert secret.reveal() == "pässword\udcff"
    assert secret.bytes == "pässword".encode() + b"\xff"


def test_secrets_are_equal_when_their_texts_are() -> None:
    assert Secret("one") == Secret("one")
    assert Secret("one") != Secret("two")
    assert Secret("one") != "one"
    assert hash(Secret("one")) == hash(Secret("one"))
    assert Secret("lone \ud800") == Secret("lone \ud800")


def test_a_secret_survives_copying() -> None:
    holder = Holder(Secret("hunter2"))

    assert copy.deepcopy(holder) == holder
    assert asdict(holder)["key"] == holder.key
    assert pickle.loads(pickle.dumps(holder)) == holder
