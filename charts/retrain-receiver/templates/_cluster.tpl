{{/* What is asked of the cluster. Where there is none to ask (`helm template`, Argo CD, --dry-run=client) nothing is found. */}}

{{/* Whether SQLite's claim of this very release is there: it stays in the release when the store is switched. */}}
{{- define "retrain-receiver.claimIsThere" -}}
{{- $claim := lookup "v1" "PersistentVolumeClaim" .Release.Namespace (include "retrain-receiver.claimName" .) -}}
{{- if eq .Release.Name (dig "metadata" "annotations" "meta.helm.sh/release-name" "" $claim) }}true{{ end -}}
{{- end }}
