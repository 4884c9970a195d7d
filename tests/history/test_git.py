import base64
import os
import traceback

import pytest

from torchproof.errors import HistoryError
from torchproof.history import plumbing
from torchproof.history.failure import GitError
from torchproof.history.git import Repository


TOKEN = "ghs_canary0123456789"
BASIC = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()


def test_records_go_to_and_come_from_a_web_server_with_the_token(web, history, record):
    store = history(web.url, token=TOKEN)
    store.append([record()])
    assert store.records() == [record()]
    assert set(web.seen) == {f"basic {BASIC}"}


def test_the_token_goes_to_no_other_host(web, tmp_path):
    repository = Repository(tmp_path / "own", "https://example.org/x.git", token=TOKEN)
    with pytest.raises(GitError):
        repository.git("ls-remote", web.url)
    assert set(web.seen) == {None}


def test_a_token_that_may_not_write_gets_a_remedy(web, history, record):
    web.refused["git-receive-pack"] = 403
    with pytest.raises(HistoryError, match="contents: write"):
        history(web.url, token=TOKEN).append([record()])
    assert len(web.seen) < 20


@pytest.fixture
def refusing_web(web, service, status):
    web.refused[service] = status
    return web


@pytest.mark.parametrize("service", ["git-receive-pack", "git-upload-pack"])
@pytest.mark.parametrize("status", [401, 403, 429, 502])
def test_the_token_never_appears(refusing_web, history, record, capfd):
    plain = refusing_web.url
    for remote in (plain, plain.replace("://", f"://x-access-token:{TOKEN}@")):
        with pytest.raises(HistoryError) as error:
            history(remote, token=TOKEN, patience=0).append([record()])
        text = "".join(traceback.format_exception(error.value))
        text += repr(error.value) + "".join(capfd.readouterr())
        assert TOKEN not in text
        assert BASIC not in text


def test_the_token_is_neither_in_an_argument_nor_on_the_disk(web, tmp_path, record):
    log = tmp_path / "argv"
    wrapper = tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    path = os.environ["PATH"]
    wrapper.write_text(f'#!/bin/sh\necho "$@" >> {log}\nPATH={path} exec git "$@"\n')
    wrapper.chmod(0o755)
    environ = {**os.environ, "PATH": f"{wrapper.parent}:{path}"}
    repository = Repository(tmp_path / "own", web.url, token=TOKEN, environ=environ)
    plumbing.list_refs(repository, "HEAD")
    texts = [item.read_bytes() for item in (tmp_path / "own").rglob("*") if item.is_file()]
    texts.append(log.read_bytes())
    assert b"ls-remote" in texts[-1]
    assert not any(secret.encode() in text for text in texts for secret in (TOKEN, BASIC))


def test_nothing_of_the_callers_git_environment_gets_through(history, record, remote, tmp_path):
    environ = {
        **os.environ,
        "GIT_DIR": "/nonexistent",
        "GIT_INDEX_FILE": "/nonexistent",
        "GIT_TRACE": str(tmp_path / "trace"),
        "GIT_CONFIG_PARAMETERS": "'core.bare'='nonsense'",
    }
    store = history(environ=environ)
    store.append([record()])
    assert store.records() == [record()]
    assert not (tmp_path / "trace").exists()


def test_a_persons_own_git_settings_count_unless_a_token_is_given(remote, tmp_path):
    (tmp_path / ".gitconfig").write_text(f'[url "{remote.path.parent}/"]\n    insteadOf = short:\n')
    environ = {**os.environ, "HOME": str(tmp_path)}
    own = Repository(tmp_path / "own", "short:remote.git", environ=environ)
    assert plumbing.list_refs(own).commits == {}
    sealed = Repository(tmp_path / "sealed", "short:remote.git", token=TOKEN, environ=environ)
    with pytest.raises(GitError):
        plumbing.list_refs(sealed)


def test_an_old_git_is_named_with_the_version_that_is_needed(tmp_path, remote):
    (tmp_path / "git").write_text("#!/bin/sh\necho git version 2.30.2\n")
    (tmp_path / "git").chmod(0o755)
    with pytest.raises(HistoryError, match=r"git version 2\.30\.2 is too old\. Install git 2\.32"):
        Repository(tmp_path / "own", remote.url, environ={"PATH": str(tmp_path)})


def test_a_machine_without_git_is_told_so(tmp_path, remote):
    with pytest.raises(HistoryError, match="Install git"):
        Repository(tmp_path / "own", remote.url, environ={"PATH": str(tmp_path / "empty")})


@pytest.mark.parametrize(
    "output",
    [
        "! [remote rejected] a -> b (pre-receive hook declined)",
        "remote: error: GH006: Protected branch update failed for refs/heads/torchproof-history.",
        "remote: error: GH013: Repository rule violations found for refs/heads/torchproof-history.",
        "fatal: unable to access 'https://github.com/o/r/': The requested URL returned error: 403",
        "remote: Permission to o/r.git denied to github-actions[bot].",
        "fatal: Authentication failed for 'https://github.com/o/r/'",
        "remote: Repository not found.\nfatal: repository 'https://github.com/o/r/' not found",
    ],
)
def test_a_refusal_for_good_is_not_tried_again(output):
    assert GitError("push", 1, output).final
    assert GitError("push", 1, output).remedy


@pytest.mark.parametrize(
    "output",
    [
        " ! [rejected]        a -> b (fetch first)",
        " ! [rejected]        a -> b (non-fast-forward)",
        " ! [remote rejected] a -> b (failed to update ref)",
        " ! [remote rejected] a -> b (cannot lock ref 'refs/heads/b': reference already exists)",
        "fatal: read error: Connection reset by peer",
        "fatal: the remote end hung up unexpectedly",
        "fatal: unable to access 'https://github.com/o/r/': The requested URL returned error: 502",
        "fatal: unable to access 'https://github.com/o/r/': Could not resolve host: github.com",
        "",
    ],
)
def test_every_other_refusal_is_tried_again(output):
    assert not GitError("push", 1, output).final


def test_an_error_is_one_short_printable_line():
    error = GitError("push", 1, "remote: ::error::\x1b[31m" + "x" * 5000 + "\r\nremote: second\n")
    assert str(error).isprintable()
    assert len(str(error)) < 400
