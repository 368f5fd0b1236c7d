{{/* Contradictions, each told with the value to change. Included by the workload, of which there is always one. */}}

{{- define "retrain-receiver.validate" -}}
{{- $database := .Values.database | default dict -}}
{{- $autoscaling := .Values.autoscaling | default dict -}}
{{- $persistence := .Values.persistence | default dict -}}
{{- $replicas := include "retrain-receiver.replicas" . | int -}}
{{- if include "retrain-receiver.postgresql" . -}}
{{- if not $database.existingSecret -}}
{{- fail "database.type: postgresql needs the database's address: set database.existingSecret" -}}
{{- end -}}
{{- else -}}
{{- if $autoscaling.enabled -}}
{{- fail "autoscaling.enabled: SQLite allows one pod: set database.type to postgresql" -}}
{{- end -}}
{{- if gt $replicas 1 -}}
{{- fail (printf "replicaCount is %d, but SQLite allows one pod: set database.type to postgresql" $replicas) -}}
{{- end -}}
{{- if $database.existingSecret -}}
{{- fail "database.existingSecret is set, but database.type is sqlite: set database.type to postgresql" -}}
{{- end -}}
{{- if and $persistence.existingClaim (not $persistence.enabled) -}}
{{- fail "persistence.existingClaim is set, but persistence.enabled is false: set persistence.enabled to true" -}}
{{- end -}}
{{- end -}}
{{- if $autoscaling.enabled -}}
{{- if gt ($autoscaling.minReplicas | default 1 | int) ($autoscaling.maxReplicas | default 1 | int) -}}
{{- fail "autoscaling.minReplicas is greater than autoscaling.maxReplicas: set autoscaling.maxReplicas" -}}
{{- end -}}
{{- if and $autoscaling.targetCPUUtilizationPercentage (not (((.Values.resources).requests).cpu)) -}}
{{- fail "autoscaling.targetCPUUtilizationPercentage is a share of the CPU request: set resources.requests.cpu" -}}
{{- end -}}
{{- end -}}
{{- if and (eq "true" (toString ((.Values.podDisruptionBudget).enabled))) (lt $replicas 2) -}}
{{- fail "podDisruptionBudget.enabled with one pod: set replicaCount (or autoscaling.minReplicas) to 2 or more" -}}
{{- end -}}
{{- if and ((.Values.ingress).enabled) (not (.Values.ingress).hosts) -}}
{{- fail "ingress.enabled without a host would take every host: set ingress.hosts" -}}
{{- end -}}
{{- if ((.Values.httpRoute).enabled) -}}
{{- if not (.Values.httpRoute).hostnames -}}
{{- fail "httpRoute.enabled without a host would take every host: set httpRoute.hostnames" -}}
{{- end -}}
{{- if not (.Values.httpRoute).parentRefs -}}
{{- fail "httpRoute.enabled without a gateway: set httpRoute.parentRefs" -}}
{{- end -}}
{{- end -}}
{{- $rbac := ((.Values.kubeflow).rbac) | default dict -}}
{{- if and $rbac.create (not (or $rbac.namespaces (($rbac.namespaceSelector).matchLabels))) -}}
{{- fail "kubeflow.rbac.create without namespaces: set kubeflow.rbac.namespaces or kubeflow.rbac.namespaceSelector" -}}
{{- end -}}
{{- if and ((.Values.github).appId) (not ((.Values.github).installationId)) -}}
{{- fail "github.appId without an installation: set github.installationId" -}}
{{- end -}}
{{- include "retrain-receiver.validateTokens" . -}}
{{- include "retrain-receiver.validateAction" . -}}
{{- range $value := list "commonLabels" "podLabels" -}}
{{- range $label, $_ := index $.Values $value | default dict -}}
{{- if has $label (list "app.kubernetes.io/name" "app.kubernetes.io/instance") -}}
{{- fail (printf "%s may not set %s, which selectors use: set nameOverride instead" $value $label) -}}
{{- end -}}
{{- if eq $label "retrain-receiver/store" -}}
{{- fail (printf "%s may not set %s, which the Service's selector uses: set database.type instead" $value $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Whether the storage class is named after a filesystem that SQLite loses data on; only the receiver can see what it is. */}}
{{- define "retrain-receiver.namesNetworkStorage" -}}
{{- $ours := and ((.Values.persistence).enabled) (not ((.Values.persistence).existingClaim)) -}}
{{- $class := ((.Values.persistence).storageClassName) | default "" | lower -}}
{{- $network := "nfs|(^|[^a-z])(efs|cifs|smb|azurefile|cephfs|glusterfs|filestore|rwx)([^a-z]|$)" -}}
{{- if and $ours (not (include "retrain-receiver.postgresql" .)) (regexMatch $network $class) }}true{{ end -}}
{{- end }}

{{/* Who is sent to a closed door. */}}
{{- define "retrain-receiver.validateTokens" -}}
{{- $open := (((.Values.config).server).metrics_open) -}}
{{- if and ((.Values.serviceMonitor).enabled) (not $open) -}}
{{- if not (include "retrain-receiver.tokenSecret" (dict "root" . "section" .Values.serviceMonitor "keys" ((.Values.auth).readerKeys))) -}}
{{- fail "serviceMonitor.enabled, but the metrics are closed: set auth.existingSecret (with auth.readerKeys), or config.server.metrics_open to true" -}}
{{- end -}}
{{- end -}}
{{- if ((.Values.alertmanagerConfig).enabled) -}}
{{- if not (include "retrain-receiver.tokenSecret" (dict "root" . "section" .Values.alertmanagerConfig "keys" ((.Values.auth).webhookKeys))) -}}
{{- fail "alertmanagerConfig.enabled, but the webhook is closed: set auth.existingSecret (with auth.webhookKeys)" -}}
{{- end -}}
{{- end -}}
{{- end }}
