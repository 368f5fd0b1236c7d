"""Labels that should not name a model: some change by themselves, some name a part of it."""

import re
from collections.abc import Mapping

MOVES = "changes when a pod moves, and the model's name with it; use another label"

REPLICA = (
    "names one of several copies of the same alert, each of which would retrain a model of its "
    "own; use another label"
)

VERSION = (
    "changes with each retraining, which then makes a new model: cooldown, attempts and budgets "
    "per model never hold; leave it out of the name"
)

REQUEST = (
    "is new for each request, and each would be a new model with a run of its own; use another "
    "label"
)

TIER = (
    "says how bad it is: two tiers of one alert would be two models, and two runs at once; leave "
    "it out of the name"
)

PART = (
    "names a part of what is measured: one bad model would become many, each with a run of its "
    "own; leave it out of the name"
)

RULE = (
    "names the rule, not the model: two alerts about one model would become two runs; use another "
    "label"
)

KINDS: Mapping[str, str] = {
    MOVES: """
        address container container_id container_name controller_revision_hash endpoint host
        host_name hostname instance instance_id instance_name ip node node_ip node_name
        node_id nodename pod pod_id pod_ip pod_name pod_template_hash pod_uid podname replica_set
        replicaset replicaset_name scrape_endpoint server_address service_instance_id
        statefulset_io_pod_name target_instance uid
    """,
    REPLICA: """
        alertmanager_replica ha_replica prometheus prometheus_instance prometheus_replica
        receive_replica replica replica_id rule_replica ruler_replica thanos_replica
        thanos_ruler_replica vmagent_replica vmalert_replica
    """,
    VERSION: """
        app_version artifact artifact_id artifact_uri artifact_version build build_id build_number
        checkpoint checkpoint_id commit commit_hash commit_id commit_sha deployment_revision digest
        execution_id experiment_id experiment_run_id generation git_commit git_revision git_sha
        image image_digest image_id image_tag job_id mlflow_run_id model_artifact model_build
        model_checkpoint model_commit model_digest model_hash model_id_version model_image
        model_release model_revision model_run model_run_id model_sha model_tag model_uri model_ver
        model_version model_version_id modelver modelversion pipeline_run pipeline_run_id release
        release_version rev revision revision_id revision_name run run_id run_name run_uuid runid
        serving_knative_dev_revision serving_revision sha snapshot snapshot_id tag
        trained_at training_date training_id training_job_id training_run training_run_id ver
        version version_id version_name version_number workflow_run_id
    """,
    REQUEST: """
        correlation_id exec_id inference_id prediction_id query_id request request_id request_uuid
        session session_id span_id trace trace_id transaction_id
    """,
    TIER: """
        alert_level alert_severity alertlevel criticality level prio priority sev severity
        severity_level urgency
    """,
    PART: """
        bucket class_id class_label class_name column column_name drift_method
        drift_metric drift_type feat feature feature_group feature_id feature_name feature_names
        features fold le metric metric_name metric_type percentile quantile
        response_code split stat statistic stattest status_code test_name
    """,
    RULE: """
        alert alert_id alert_name alert_rule alert_rule_uid alert_uid alertgroup alertstate
        group_name rule rule_group rule_id rule_name rule_uid ruleid rulename
    """,
}
"""What would happen, and the spellings that were seen: of kube-state-metrics, KServe, MLflow,
TrustyAI, Evidently, Thanos, Mimir, VictoriaMetrics, OpenTelemetry and published rules."""

CHURNING = {name: happens for happens, names in KINDS.items() for name in names.split()}

ENDINGS: Mapping[str, str] = {
    MOVES: "ip",
    REPLICA: "replica",
    VERSION: "commit digest hash image revision revision_id run_id sha version version_number",
    REQUEST: "request_id trace_id",
    TIER: "severity",
}
"""Words that say the same of whatever stands before them: `registered_model_version`."""

CHURNING_ENDS = {f"_{end}": happens for happens, ends in ENDINGS.items() for end in ends.split()}

PREFIXES = re.compile(r"(?:exported|label|kubernetes|kubernetes_io|k8s|kube|meta|tag)_+(?=.)")
"""Of one label copied from another: by scraping, kube-state-metrics, relabelling."""

SEPARATORS = re.compile(r"[^a-z0-9]+")
HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def what_happens(label: str) -> str | None:
    """What becomes of models that this label names; None if nothing is known against it.

    `job` and `monitor` may be what a team calls its models by.
    """
    name = SEPARATORS.sub("_", HUMP.sub("_", label).lower()).strip("_")
    while name not in CHURNING and (prefix := PREFIXES.match(name)):
        name = name[prefix.end() :]
    by_end = (happens for end, happens in CHURNING_ENDS.items() if name.endswith(end))
    return CHURNING.get(name) or next(by_end, None)
