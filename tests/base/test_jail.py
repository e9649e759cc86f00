"""The helper process: it answers, it is killed in time, it cannot eat the machine, it works from threads and forks."""

from __future__ import annotations

import os
import threading
import time

import pytest

from base import jail

HERE = "tests.base.jailed"


def run(name: str, payload: bytes = b"", seconds: float = 10, megabytes: int = 256) -> bytes:
    return jail.run(f"{HERE}:{name}", payload, seconds=seconds, megabytes=megabytes)


def test_the_answer_comes_back_byte_for_byte() -> None:
    payload = bytes(range(256)) * 4000
    assert run("echo", payload) == payload


def test_an_endless_loop_is_killed_in_time() -> None:
    start = time.monotonic()
    with pytest.raises(jail.JailTimeout):
        run("loop", seconds=1)
    assert time.monotonic() - start < 4


def test_a_sleeper_is_killed_too() -> None:
    with pytest.raises(jail.JailTimeout):
        run("sleep", seconds=1)


def test_memory_is_bounded() -> None:
    with pytest.raises(jail.JailFailed, match="MemoryError"):
        run("eat")


def test_an_exception_is_named_without_what_it_says() -> None:
    with pytest.raises(jail.JailFailed) as caught:
        run("fail", b"secret words")
    assert "ValueError" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_sudden_death_is_a_failure() -> None:
    with pytest.raises(jail.JailFailed):
        run("die")


def test_too_big_an_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jail, "MAX_OUTPUT", 1000)
    with pytest.raises(jail.JailFailed):
        run("echo", b"x" * 2000)


def test_noise_on_standard_output_is_no_answer() -> None:
    with pytest.raises(jail.JailFailed):
        run("noisy")


def test_no_secret_of_ours_is_in_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIAL_KEYS", "do-not-tell")
    assert b"do-not-tell" not in run("environment")


def test_only_the_path_of_a_function_is_accepted() -> None:
    for path in ("os", "os:system;x", "../x:y", "-c:x", "os:system"):
        with pytest.raises(ValueError, match="not the path"):
            jail.run(path, b"", seconds=1, megabytes=128)


def test_threads_may_use_it_at_once() -> None:
    answers: list[bytes] = []
    threads = [threading.Thread(target=lambda n=n: answers.append(run("echo", b"%d" % n))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [b"0", b"1", b"2", b"3"]


def test_a_forked_child_may_use_it() -> None:
    child = os.fork()
    if not child:
        code = 1
        try:
            code = 0 if run("echo", b"hi") == b"hi" else 1
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
