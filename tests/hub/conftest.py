from __future__ import annotations

import pytest
from tests.fake_github.http_server import running

from torchproof.hub import GitHub


REPOSITORY = "octo/model"
TOKEN = "ghs_workflow"
WORKFLOW = ".github/workflows/torchproof.yml"
RUN_NAME = "torchproof ${{ fromJSON(inputs.request).nonce }}"


@pytest.fixture(params=["github.com"])
def github(request):
    """Give a GitHub with one repository, one pull request (#7) and the workflow's own token."""
    with running(flavour=request.param) as fake:
        fake.world.add_repository(REPOSITORY)
        fake.world.add_token(TOKEN)
        fake.world.add_pull(REPOSITORY, 7)
        inputs = ("runner", "request")
        fake.world.add_workflow(REPOSITORY, WORKFLOW, inputs=inputs, run_name=RUN_NAME)
        yield fake


@pytest.fixture
def waits():
    """Collect the seconds that clients of the fixture ``connect`` wait."""
    return []


@pytest.fixture
def connect(github, waits):
    """Give a function that opens a hub on the fake GitHub."""

    def connected(token=TOKEN):
        return GitHub(REPOSITORY, token=token, api_url=github.api_url, sleep=waits.append)

    return connected


@pytest.fixture
def hub(connect):
    return connect()


@pytest.fixture
def comments(github):
    """Give a function that lists the bodies on #7, without their hidden first lines."""

    def bodies():
        texts = [comment["body"] for comment in github.world.data["comments"]]
        return [text.partition("-->\n")[2] or text for text in texts]

    return bodies


@pytest.fixture
def requests_made(github):
    """Give a function that counts requests of one method whose path ends so."""

    def count(method, end=""):
        made = github.world.data["requests"]
        return sum(r["method"] == method and r["path"].endswith(end) for r in made)

    return count
