"""What to mend where Kubeflow refuses, by its own words or those of what stands before it."""

from collections.abc import Mapping
from http import HTTPStatus

BY_STATUS: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "give `token_file` a service account token for the audience "
    "pipelines.kubeflow.org",
    HTTPStatus.FORBIDDEN: "bind the ClusterRole kubeflow-pipelines-edit to the receiver's service "
    "account in the run's namespace",
    HTTPStatus.NOT_FOUND: "check the target's endpoint, pipeline and experiment",
}

NAMESPACE = "the server is for several users: write the target's `namespace`"

BY_WORDS: Mapping[str, str] = {
    "rbac: access denied": "Istio turns us away before Kubeflow is asked: admit the receiver's "
    "service account in the AuthorizationPolicy of ml-pipeline",
    "user identity header": "the server is for several users and asks who we are: give "
    "`token_file` a service account token, or go through its gateway",
    "in single-user mode": "this server knows no namespaces of users: take `namespace` out of "
    "the target",
    "namespace is empty": NAMESPACE,
    "empty namespace": NAMESPACE,
    "archived": "restore the experiment on the page of Kubeflow, or name another",
}


def cure_of(status: int, said: str) -> str | None:
    """What lets a run start; None if nobody knows. Words count more than the status."""
    words = said.lower()
    fitting = (cure for part, cure in BY_WORDS.items() if part in words)
    return next(fitting, BY_STATUS.get(status))
