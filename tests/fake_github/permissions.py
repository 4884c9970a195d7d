"""Which permission of an app's token an operation needs; any one of several will do.

After docs.github.com, "Permissions required for GitHub Apps".
"""

from __future__ import annotations


READ = ("read", "write")
WRITE = ("write",)
COMMENTS = ("pull-requests", "issues")
NEEDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "actions/create-workflow-dispatch": (("actions",), WRITE),
    "actions/get-workflow": (("actions",), READ),
    "actions/get-workflow-run": (("actions",), READ),
    "actions/list-workflow-runs": (("actions",), READ),
    "checks/create": (("checks",), WRITE),
    "checks/get": (("checks",), READ),
    "checks/list-annotations": (("checks",), READ),
    "checks/list-for-ref": (("checks",), READ),
    "checks/update": (("checks",), WRITE),
    "issues/create": (("issues",), WRITE),
    "issues/create-comment": (COMMENTS, WRITE),
    "issues/delete-comment": (COMMENTS, WRITE),
    "issues/get": (COMMENTS, READ),
    "issues/get-comment": (COMMENTS, READ),
    "issues/list-comments": (COMMENTS, READ),
    "issues/list-for-repo": (("issues",), READ),
    "issues/update": (("issues",), WRITE),
    "issues/update-comment": (COMMENTS, WRITE),
    "pulls/get": (("pull-requests",), READ),
    "repos/get": (("metadata",), READ),
    "repos/get-commit": (("contents",), READ),
}


def permitted(operation: str, permissions: dict[str, str], *, private: bool) -> bool:
    """Say whether an app's token may do this; what is public is read without a permission."""
    if operation not in NEEDS:
        return True
    names, levels = NEEDS[operation]
    public_read = not private and "read" in levels
    return public_read or any(permissions.get(name) in levels for name in names)
