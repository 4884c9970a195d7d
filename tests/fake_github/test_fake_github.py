"""The fake keeps GitHub's description, and clients that know nothing of it get on with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from github import Auth, Github, GithubException
from tests.fake_github.http_server import FakeGitHub, running


REPOSITORY = "octo/model"
TOKEN = "ghs_workflow"


@pytest.fixture(params=["github.com", "ghes"])
def github(request, tmp_path):
    with running(flavour=request.param, directory=tmp_path) as fake:
        fake.world.add_repository(REPOSITORY)
        fake.world.add_token(TOKEN)
        fake.world.add_pull(REPOSITORY, 7)
        yield fake


@pytest.fixture
def repository(github):
    quick = {"seconds_between_requests": None, "seconds_between_writes": None}
    client = Github(auth=Auth.Token(TOKEN), base_url=github.api_url, **quick)
    return client.get_repo(REPOSITORY)


def ask(github, method, path, **arguments):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return requests.request(method, github.api_url + path, headers=headers, timeout=5, **arguments)


def git(*arguments, cwd):
    environ = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": str(cwd)}
    return subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
        cwd=cwd,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def push_a_commit(github, folder):
    """Push a commit to main, larger than git sends in one piece, and return it."""
    address = f"{github.url}/{REPOSITORY}.git"
    git("clone", "-q", address, "work", cwd=folder)
    work = folder / "work"
    (work / "weights.bin").write_bytes(os.urandom(2_000_000))
    git("add", ".", cwd=work)
    git("commit", "-qm", "first", cwd=work)
    signed = address.replace("://", f"://x-access-token:{TOKEN}@")
    assert git("push", "-q", signed, "HEAD:main", cwd=work).stderr == ""
    return git("rev-parse", "HEAD", cwd=work).stdout.strip()


def test_pygithub_comments_on_a_pull_request(repository):
    pull = repository.get_pull(7)
    comment = pull.create_issue_comment("first")
    comment.edit("second")
    assert [item.body for item in pull.get_issue_comments()] == ["second"]
    assert repository.get_issue(7).get_comment(comment.id).user.login == "github-actions[bot]"
    comment.delete()
    assert pull.get_issue_comments().totalCount == 0


def test_pygithub_makes_a_check_run(repository):
    check = repository.create_check_run("proof", "a" * 40, status="in_progress")
    mark = {"path": "a.py", "start_line": 1, "end_line": 1, "annotation_level": "notice"}
    marks = [{**mark, "message": "here"}]
    check.edit(conclusion="success", output={"title": "t", "summary": "s", "annotations": marks})
    seen = repository.get_check_run(check.id)
    assert (seen.status, seen.conclusion) == ("completed", "success")
    assert [item.message for item in seen.get_annotations()] == ["here"]


def test_pygithub_starts_a_workflow(github, repository, tmp_path):
    commit = push_a_commit(github, tmp_path)
    path = ".github/workflows/gpu.yml"
    name = "for ${{ inputs.who }}"
    github.world.add_workflow(REPOSITORY, path, inputs=("who",), run_name=name)
    workflow = repository.get_workflow("gpu.yml")
    assert workflow.create_dispatch("main", {"who": "me"}, throw=True)
    (run,) = workflow.get_runs(event="workflow_dispatch")
    assert (run.display_title, run.head_sha) == ("for me", commit)
    assert repository.get_workflow_run(run.id).path == path


def test_pages_are_linked(github, repository):
    for number in range(65):
        github.world.add_comment(REPOSITORY, 7, str(number))
    bodies = [comment.body for comment in repository.get_pull(7).get_issue_comments()]
    assert bodies == [str(number) for number in range(65)]


@pytest.mark.parametrize(
    ("method", "path", "body", "problem"),
    [
        ("GET", "/repos/octo/model/stargazers", None, "the operation is not"),
        ("GET", "/repos/octo/model/issues/7/comments?colour=red", None, "colour"),
        ("POST", "/repos/octo/model/issues/7/comments", {"body": 7}, "is not of type"),
        ("POST", "/repos/octo/model/issues/7/comments", {"body": "", "x": 1}, '"x" is not'),
        ("POST", "/repos/octo/model/check-runs", {"name": "proof"}, "head_sha"),
    ],
)
def test_a_request_against_the_description_is_no_answer(github, method, path, body, problem):
    answer = ask(github, method, path, json=body)
    (violation,) = github.world.data["violations"]
    github.world.data["violations"].clear()
    assert answer.status_code == 500
    assert problem in answer.json()["message"]
    assert problem in violation


def test_an_answer_against_the_description_is_no_answer(github):
    github.world.add_comment(REPOSITORY, 7, "text")["id"] = "seven"
    answer = ask(github, "GET", "/repos/octo/model/issues/7/comments")
    github.world.data["violations"].clear()
    assert answer.status_code == 500
    assert "$.id" in answer.json()["message"]


def test_a_test_that_broke_the_description_fails():
    with pytest.raises(AssertionError, match="the operation is not"), running() as github:
        ask(github, "GET", "/emojis")


@pytest.mark.parametrize(
    ("token", "status", "message"),
    [
        ("ghs_nobody", 401, "Bad credentials"),
        ("ghs_reader", 403, "Resource not accessible by integration"),
    ],
)
def test_a_token_may_do_what_its_permissions_say(github, token, status, message):
    github.world.add_token("ghs_reader", permissions={"pull-requests": "read"})
    client = Github(auth=Auth.Token(token), base_url=github.api_url, retry=None, lazy=True)
    pull = client.get_repo(REPOSITORY).get_pull(7)
    with pytest.raises(GithubException) as caught:
        pull.create_issue_comment("text")
    assert (caught.value.status, caught.value.data["message"]) == (status, message)


def test_what_is_private_is_not_read_without_a_permission(github):
    github.world.data["repositories"][REPOSITORY]["private"] = True
    github.world.add_token(TOKEN, permissions={"contents": "read"})
    assert ask(github, "GET", "/repos/octo/model/pulls/7").status_code == 403


def test_a_long_comment_is_refused_in_githubs_words(github):
    body = {"body": "x" * 65_537}
    answer = ask(github, "POST", "/repos/octo/model/issues/7/comments", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["message"].endswith("(maximum is 65536 characters)")


def test_git_reads_what_a_token_pushed(github, tmp_path):
    commit = push_a_commit(github, tmp_path)
    assert github.world.branches(REPOSITORY) == ["main"]
    assert github.world.commit_of(REPOSITORY, "main") == commit
    git("init", "-q", "partial", cwd=tmp_path)
    address = f"{github.url}/{REPOSITORY}"
    arguments = ("fetch", "-q", "--depth=1", "--filter=blob:none", address, commit)
    assert git(*arguments, cwd=tmp_path / "partial").stderr == ""


@pytest.mark.parametrize(
    ("token", "words"),
    [("ghs_reader", "403"), ("ghs_nobody", "Authentication failed"), ("", "could not read")],
)
def test_a_push_needs_a_token_that_may_write(github, tmp_path, token, words):
    github.world.add_token("ghs_reader", permissions={"contents": "read"})
    git("init", "-q", ".", cwd=tmp_path)
    git("commit", "-q", "--allow-empty", "-m", "x", cwd=tmp_path)
    user = f"x-access-token:{token}@" if token else ""
    address = f"{github.url}/{REPOSITORY}.git".replace("://", f"://{user}")
    assert words in git("push", address, "HEAD:main", cwd=tmp_path).stderr


@pytest.fixture
def program(tmp_path):
    """Give the addresses of a fake GitHub in a process of its own, and the way to command it."""
    server = Path(__file__).with_name("server.py")
    argv = [sys.executable, str(server), "--state", str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        addresses = json.loads(process.stdout.readline())

        def command(name, /, **arguments):
            address = f"{addresses['url']}/_fake/{name}"
            return requests.post(address, json=arguments, timeout=5).json()

        try:
            yield addresses, command
        finally:
            process.terminate()


def test_the_program_serves_and_keeps_its_state(program, tmp_path):
    addresses, command = program
    command("repository", name=REPOSITORY)
    command("token", token=TOKEN)
    command("pull", repository=REPOSITORY, number=7)
    command("fail", kind="status")
    client = Github(auth=Auth.Token(TOKEN), base_url=addresses["api_url"], retry=None)
    with pytest.raises(GithubException):
        client.get_repo(REPOSITORY)
    client.get_repo(REPOSITORY).get_pull(7).create_issue_comment("text")
    assert command("state")["violations"] == []
    kept = json.loads((tmp_path / "state.json").read_text("utf-8"))
    assert [comment["body"] for comment in kept["comments"]] == ["text"]
    again = FakeGitHub(directory=tmp_path)
    again.server.server_close()
    assert again.world.one("pulls", number=7)["head_ref"] == "topic"
