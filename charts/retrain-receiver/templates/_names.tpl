{{/* Names, labels, and who is who. Every value is read as ((.Values.a).b): a release that reuses older values may lack it. */}}

{{- define "retrain-receiver.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 57 | trimSuffix "-" -}}
{{- end }}

{{- define "retrain-receiver.fullname" -}}
{{- $name := include "retrain-receiver.name" . -}}
{{- $default := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- /* A StatefulSet's pods carry its name and a hash of 11 characters as a label of at most 63. */ -}}
{{- .Values.fullnameOverride | default $default | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{/* Immutable in Deployments and StatefulSets: nothing that a value or a version could change. */}}
{{- define "retrain-receiver.selectorLabels" -}}
app.kubernetes.io/name: {{ include "retrain-receiver.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The store that the pods share. Helm can leave the other store's pods behind; no Service may lead to both. */}}
{{- define "retrain-receiver.storeLabel" -}}
retrain-receiver/store: {{ include "retrain-receiver.postgresql" . | empty | ternary "sqlite" "postgresql" }}
{{- end }}

{{/* Labels of an object: (dict "root" $ "labels" MORE). The selector's names win, then MORE, then commonLabels. */}}
{{- define "retrain-receiver.labels" -}}
{{- $standard := dict "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") -}}
{{- $_ := set $standard "app.kubernetes.io/version" (.root.Chart.AppVersion | toString) -}}
{{- $_ := set $standard "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $_ := set $standard "app.kubernetes.io/part-of" "retrain-receiver" -}}
{{- $selector := include "retrain-receiver.selectorLabels" .root | fromYaml -}}
{{- toYaml (merge $selector (.labels | default dict) (.root.Values.commonLabels | default dict) $standard) -}}
{{- end }}

{{/* The name, labels and annotations of an object: (dict "root" $ "section" .Values.x "name" "suffix" "namespace" "x"). */}}
{{- define "retrain-receiver.metadata" -}}
{{- $section := .section | default dict -}}
{{- $home := .root.Release.Namespace -}}
{{- $namespace := $section.namespace | default $home -}}
{{- /* In a namespace that others share, a release of the same name elsewhere must not meet ours. */ -}}
name: {{ include "retrain-receiver.fullname" .root }}{{ if ne $namespace $home }}-{{ $home }}{{ end }}{{ with .suffix }}-{{ . }}{{ end }}
namespace: {{ $namespace }}
labels:
  {{- include "retrain-receiver.labels" (dict "root" .root "labels" $section.labels) | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) ($section.annotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "retrain-receiver.serviceAccountName" -}}
{{- $made := ternary (include "retrain-receiver.fullname" .) "default" (((.Values.serviceAccount).create) | default false) -}}
{{- ((.Values.serviceAccount).name) | default $made -}}
{{- end }}

{{- define "retrain-receiver.image" -}}
{{- $repository := ((.Values.image).repository) | default "ghcr.io/retrain-receiver/retrain-receiver" -}}
{{- with ((.Values.image).digest) -}}
{{ $repository }}@{{ . }}
{{- else -}}
{{ $repository }}:{{ ((.Values.image).tag) | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "retrain-receiver.postgresql" -}}
{{- if eq "postgresql" (((.Values.database).type) | default "sqlite") }}true{{ end -}}
{{- end }}

{{/* The claim of SQLite's file. */}}
{{- define "retrain-receiver.claimName" -}}
{{- ((.Values.persistence).existingClaim) | default (printf "%s-data" (include "retrain-receiver.fullname" .)) -}}
{{- end }}

{{/* How many pods there are at least. */}}
{{- define "retrain-receiver.replicas" -}}
{{- if ((.Values.autoscaling).enabled) -}}
{{- ((.Values.autoscaling).minReplicas) | default 1 | int -}}
{{- else -}}
{{- kindIs "invalid" .Values.replicaCount | ternary 1 .Values.replicaCount | int -}}
{{- end -}}
{{- end }}

{{/* Where Alertmanager and people inside the cluster find the receiver. */}}
{{- define "retrain-receiver.url" -}}
http://{{ include "retrain-receiver.fullname" . }}.{{ .Release.Namespace }}.svc:{{ ((.Values.service).port) | default 8080 | int }}
{{- end }}

{{/* The Secret and key of a role's token: (dict "root" $ "section" .Values.x "keys" .Values.auth.y), as YAML or nothing. */}}
{{- define "retrain-receiver.tokenSecret" -}}
{{- $own := (.section).tokenSecret | default dict -}}
{{- $name := $own.name | default (((.root.Values.auth).existingSecret) | default "") -}}
{{- $key := $own.key | default (first (.keys | default list) | default "") -}}
{{- if and $name $key -}}
name: {{ $name }}
key: {{ $key }}
{{- end -}}
{{- end }}

{{/* The pod of `helm test` has another name, so that no Service, PDB or Deployment takes it for ours. */}}
{{- define "retrain-receiver.testLabels" -}}
app.kubernetes.io/name: {{ include "retrain-receiver.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
