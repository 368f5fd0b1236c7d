{{/* What is asked of the cluster. Where there is none to ask (`helm template`, Argo CD, --dry-run=client) nothing is found. */}}

{{/* Whether SQLite's claim of this very release is there: it stays in the release when the store is switched. */}}
{{- define "retrain-receiver.claimIsThere" -}}
{{- $claim := lookup "v1" "PersistentVolumeClaim" .Release.Namespace (include "retrain-receiver.claimName" .) -}}
{{- if eq .Release.Name (dig "metadata" "annotations" "meta.helm.sh/release-name" "" $claim) }}true{{ end -}}
{{- end }}

{{/* The namespaces with all of these labels, as a JSON list: (dict "labels" LABELS). Those that are going away are none. */}}
{{- define "retrain-receiver.namespacesLabelled" -}}
{{- $found := list -}}
{{- range (lookup "v1" "Namespace" "" "").items -}}
{{- $has := .metadata.labels | default dict -}}
{{- $fits := not .metadata.deletionTimestamp -}}
{{- range $label, $value := $.labels -}}
{{- if ne $value (index $has $label | default "") -}}{{- $fits = false -}}{{- end -}}
{{- end -}}
{{- if $fits -}}{{- $found = append $found .metadata.name -}}{{- end -}}
{{- end -}}
{{- $found | sortAlpha | toJson -}}
{{- end }}
